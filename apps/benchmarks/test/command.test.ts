import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { canWatchFlushes } from '../src/harness/flushes.ts'

// Each test starts a dozen processes.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

// A real process runs plain JavaScript: the sources, bundled.
let program: string
let directory: string

beforeAll(async () => {
  program = await mkdtemp(join(tmpdir(), 'raftkit-bench-program-'))
  await build({
    entry: [fileURLToPath(new URL('program.ts', import.meta.url))],
    outDir: program,
    format: 'esm',
    target: 'node20',
    outExtension: () => ({ js: '.mjs' }),
    config: false,
    silent: true,
    noExternal: [/.*/],
  })
})
afterAll(() => rm(program, { recursive: true, force: true }))

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-bench-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

interface Ended {
  readonly code: number
  readonly output: string
  readonly progress: string
  /** The last line on stdout. */
  // biome-ignore lint/suspicious/noExplicitAny: what a script would read
  readonly json: () => any
}

async function bench(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [join(program, 'program.mjs'), ...args], { cwd: directory })
  let output = ''
  let progress = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    progress += text
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, output, progress, json: () => JSON.parse(output.trimEnd().split('\n').at(-1)!) }
}

describe('a part that runs', () => {
  it('prints its tables, then one line of JSON, and leaves the same in a file', async () => {
    const { code, output, json } = await bench('good')
    expect(code).toBe(0)
    expect(output).toContain('Two sides')
    expect(output).toContain('| b    |    20 |')
    expect(output).not.toContain('\x1b')
    expect(output.split('\n').filter((line) => line.startsWith('{'))).toHaveLength(1)
    const result = json()
    expect(result).toMatchObject({
      part: 'good',
      ok: true,
      quick: false,
      seconds: 0.05,
      pairs: 3,
      rows: [
        { table: 'sides', side: 'a', value: 10, samples: 3, spread: { value: 0 } },
        { table: 'sides', side: 'b', value: 20, samples: 3 },
      ],
      figures: [{ measure: 'b over a', value: 2, low: 2, high: 2, unit: '×' }, {}],
      notes: ['with 3 pairs'],
      machine: { node: process.version },
    })
    const files = await readdir(join(directory, '.tmp', 'bench'))
    expect(files).toHaveLength(1)
    expect(JSON.parse(await readFile(join(directory, '.tmp', 'bench', files[0]!), 'utf8'))).toEqual(result)
  })

  it('takes every sample in a process of its own', async () => {
    const { json } = await bench('good', '--pairs', '2')
    expect(json().figures[1]).toMatchObject({ measure: 'processes', value: 4 })
  })

  it('takes its sides in turns, and says on stderr how far it is', async () => {
    const { progress } = await bench('good', '--pairs', '2')
    expect(
      progress
        .trim()
        .split('\n')
        .map((line) => line.replace(/^ *\d+ s +/, '')),
    ).toEqual([
      'good  pair 1 of 2  side a',
      'good  pair 1 of 2  side b',
      'good  pair 2 of 2  side a',
      'good  pair 2 of 2  side b',
    ])
  })

  it('says which bars its figures reach', async () => {
    expect((await bench('good', '--quick')).output).toContain('must reached')
    expect((await bench('good', '--quick', '--factor', '1')).output).toContain('**falls short**')
    expect((await bench('good', '--quick', '--factor', '11')).output).toContain('goal reached')
  })

  it('has helpers that can be talked with, and tells when one is gone', async () => {
    const { json } = await bench('talking')
    expect(json().rows[0]).toMatchObject({ first: 41, sum: 42, gone: 1 })
  })

  it.skipIf(!canWatchFlushes())('sees each flush of another process (needs strace)', async () => {
    const { json } = await bench('flushing')
    expect(json().rows[0]).toMatchObject({ value: 5 + 3 + 1, bytes: 50 + 300 + 1000 })
  })

  it('tells with --hot where the time of each case goes', async () => {
    const { json } = await bench('good', '--quick', '--hot')
    const hot = json().rows.filter((row: { table: string }) => row.table === 'profile')
    expect(new Set(hot.map((row: { of: string }) => row.of))).toEqual(new Set(['side a', 'side b']))
    for (const { where, percent } of hot) {
      expect(where).toMatch(/^`.+`$/)
      expect(percent).toBeGreaterThan(0)
    }
  })

  it('writes its result where --out says', async () => {
    const { code } = await bench('good', '--quick', '--out', 'deep/result.json')
    expect(code).toBe(0)
    expect(JSON.parse(await readFile(join(directory, 'deep', 'result.json'), 'utf8'))).toMatchObject({
      quick: true,
      pairs: 1,
    })
  })

  it('goes on by itself with --background, and says where its result will be', async () => {
    const { code, output } = await bench('good', '--quick', '--background', '--out', 'result.json')
    expect(code).toBe(0)
    expect(output).toMatch(/^process \d+ measures; its result will be in result.json, what it says is in result.log$/m)
    while (!existsSync(join(directory, 'result.json'))) await setTimeout(20)
    expect(JSON.parse(await readFile(join(directory, 'result.json'), 'utf8'))).toMatchObject({ part: 'good', ok: true })
  })
})

describe('a part that fails', () => {
  it('ends with 1 and its reason, in words and in JSON', async () => {
    const { code, output, json } = await bench('failing')
    expect(code).toBe(1)
    expect(output).toContain('failing failed: failing/throws failed: Error: the disk is on fire')
    expect(json()).toMatchObject({
      part: 'failing',
      ok: false,
      rows: [],
      error: expect.stringContaining('the disk is on fire'),
    })
  })

  it('tells whoever waits for its word', async () => {
    const { json } = await bench('failing', '--how', 'throws', '--waiting')
    expect(json().error).toContain('failing/throws failed: Error: the disk is on fire')
  })

  it('has the last words of a process that just left', async () => {
    const { json } = await bench('failing', '--how', 'leaves')
    expect(json().error).toBe('failing/leaves ended with code 3 before its result\nlast words')
  })

  it('is one whose figures are no numbers', async () => {
    const { code, json } = await bench('nothing')
    expect(code).toBe(1)
    expect(json().error).toContain('value is NaN')
  })

  it('does not wait for its other cases', async () => {
    expect(await bench('failing', '--beside')).toMatchObject({ code: 1 })
  })

  it('does not stop the others in `all`, which then ends with 1', async () => {
    const { code, json } = await bench('all', '--quick')
    expect(code).toBe(1)
    const { part, ok, parts } = json()
    expect({ part, ok }).toEqual({ part: 'all', ok: false })
    expect(parts.map((result: { part: string }) => result.part)).toEqual([
      'good',
      'failing',
      'talking',
      'flushing',
      'nothing',
    ])
    expect(parts[0].ok).toBe(true)
  })

  it('leaves no directory behind', async () => {
    await bench('failing')
    expect((await readdir(join(directory, '.tmp', 'bench'))).filter((name) => name.startsWith('scratch'))).toEqual([])
  })
})

describe('a command that is ended', () => {
  it('takes its processes and directories with it', async () => {
    const child = spawn(process.execPath, [join(program, 'program.mjs'), 'endless'], { cwd: directory })
    let progress = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      progress += text
    })
    while (!/process \d+/.test(progress)) await setTimeout(10)
    const pid = /process (\d+)/.exec(progress)![1]!
    child.kill('SIGTERM')
    const [code] = (await once(child, 'close')) as [number]
    expect(code).toBe(130)
    while (existsSync(`/proc/${pid}`)) await setTimeout(10)
    expect(await readdir(join(directory, '.tmp', 'bench'))).toEqual([])
  })
})

describe('the command', () => {
  it('lists its parts with what they answer and their flags', async () => {
    const { code, output } = await bench('--list')
    expect(code).toBe(0)
    expect(output).toContain('good         does the harness work?')
    expect(output).toContain('--factor …  what b is multiplied by; default 2')
  })

  it.each([
    [[], 'one part is wanted'],
    [['good', 'talking'], 'one part is wanted'],
    [['goood'], 'there is no part goood; there are good, failing'],
    [['good', '--seconds', '0'], '--seconds is a number above 0'],
    [['good', '--pairs', '1.5'], '--pairs is a whole number'],
    [['good', '--how', 'x'], "Unknown option '--how'"],
  ])('does not understand %j: ends with 2 and says why', async (args, reason) => {
    const { code, output, progress } = await bench(...args)
    expect(code).toBe(2)
    expect(output).toBe('')
    expect(progress).toContain(reason)
    expect(progress).toContain('usage: bench PART')
  })

  it('writes the report', async () => {
    expect(await bench('report')).toMatchObject({ code: 0, output: 'the report\n' })
  })
})
