import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { bundle, type Program } from '@raftkit/testing/program'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let folder: string
let program: Program
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raftkit-linearizability-'))
  program = await bundle(new URL('../src/cli.ts', import.meta.url))
}, 60_000)
afterAll(async () => {
  await program.remove()
  await rm(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly said: string
  readonly complained: string
  /** The last line of standard output, parsed. */
  readonly json: unknown
}

async function run(args: readonly string[], stdin = ''): Promise<Ended> {
  const child = spawn(process.execPath, [program.path, ...args])
  child.stdin.on('error', () => {}) // It may end before it has read all.
  child.stdin.end(stdin)
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve))
  const [said, complained, code] = await Promise.all([text(child.stdout), text(child.stderr), closed])
  return { code, said, complained, json: JSON.parse(said.trimEnd().split('\n').at(-1)!) }
}

const line = (client: number, op: string, value: unknown, call: number, rest: object = {}): string =>
  `${JSON.stringify({ client, key: 'k', op, ...(op === 'get' ? { output: value } : { input: value }), call_ns: call, return_ns: call + 5, ok: true, ...rest })}\n`
const legal =
  line(1, 'put', 1, 0) +
  line(2, 'put', 2, 10, { ok: 'unknown' }) +
  line(3, 'put', 3, 10, { ok: false }) +
  line(1, 'get', 1, 20)
const stale = line(1, 'put', 1, 0) + line(1, 'put', 2, 10) + line(2, 'get', 1, 20)
const hopeless = Array.from({ length: 40 }, (_, i) => line(i, 'put', i, 0)).join('') + line(99, 'get', null, 10)

describe('raftkit-linearizability', () => {
  test('ends with 0 and the counts for a linearizable history on standard input', async () => {
    const { code, json } = await run([], legal)
    expect(code).toBe(0)
    expect(json).toMatchObject({
      verdict: 'ok',
      operations: 4,
      checked: 3,
      dropped: 1,
      unknown: 1,
      clients: 3,
      keys: 1,
      offending: [],
    })
  })

  test('ends with 1 for one that is not, names the operation, and draws it', async () => {
    const [history, html] = [join(folder, 'stale.ndjson'), join(folder, 'stale.html')]
    await writeFile(history, stale)
    const { code, said, json } = await run([history, '--html', html])
    expect(code).toBe(1)
    expect(said).toContain(
      'key "k" illegal: client 2, get: 1, called at 20, returned at 25, cannot be placed where the value is 2\n',
    )
    expect(json).toMatchObject({ verdict: 'illegal', illegal: 1, offending: [{ key: 'k', verdict: 'illegal' }] })
    expect(await readFile(html, 'utf8')).toContain('class="op stuck"')
  })

  test('ends with 2 when the budget ends first', async () => {
    for (const limit of [
      ['--steps', '1000'],
      ['--memory', '1'],
      ['--timeout', '0.000001'],
    ]) {
      expect(await run(['-', ...limit], hopeless)).toMatchObject({
        code: 2,
        json: { verdict: 'undecided', undecided: 1 },
      })
    }
  })

  test('ends with 3 for what is malformed, and says where', async () => {
    expect(await run([], '')).toMatchObject({
      code: 3,
      json: { verdict: 'malformed', error: expect.stringMatching(/empty/) },
    })
    expect(await run([], legal + legal.replaceAll('true', '1'))).toMatchObject({
      code: 3,
      json: { verdict: 'malformed', line: 5 },
    })
    expect(await run([], `${legal}{"client":`)).toMatchObject({ code: 3, json: { verdict: 'malformed', line: 5 } })
    expect(await run([], legal + line(1, 'get', 1, 22))).toMatchObject({
      code: 3,
      json: { verdict: 'malformed', line: 5 },
    })
  })

  test('ends with 3 for a file that is not there and for arguments that it does not know', async () => {
    for (const args of [
      [join(folder, 'nothing')],
      [folder],
      ['--step', '1'],
      ['--steps', 'many'],
      ['--timeout', '-1'],
      ['a', 'b'],
    ]) {
      const { code, json, complained } = await run(args, legal)
      expect({ args, code, json }).toMatchObject({ code: 3, json: { verdict: 'error' } })
      expect(complained).toContain('Usage:')
    }
  })

  test('--order follows the log', async () => {
    const written = line(1, 'put', 1, 0, { index: 1 }) + line(2, 'put', 2, 10, { index: 2 })
    expect(await run(['--order'], written + line(3, 'get', 2, 20, { index: 2 }))).toMatchObject({
      code: 0,
      json: { verdict: 'ok', checked: 3 },
    })
    expect(await run(['--order'], written + line(3, 'get', 1, 20, { index: 1 }))).toMatchObject({
      code: 1,
      json: { verdict: 'illegal', offending: [{ key: 'k', reason: 'time', index: 1 }] },
    })
    expect(await run(['--order'], legal)).toMatchObject({ code: 3, json: { verdict: 'malformed' } })
  })

  test('what strangers wrote cannot steer the terminal', async () => {
    const { said } = await run([], line(1, 'get', '\u001b[2J\u202e', 0))
    expect(said).toContain('key "k" illegal')
    for (const steering of ['\u001b', '\u202e']) expect(said).not.toContain(steering)
  })

  test('--help', async () => {
    const child = spawn(process.execPath, [program.path, '--help'])
    expect(await text(child.stdout)).toMatch(/^Usage: raftkit-linearizability/)
  })
})
