import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../src/client/command-line.ts'
import { freePorts } from '../src/local/member-process.ts'
import { ThreeMembers } from './three-members.ts'

let cluster: ThreeMembers
beforeAll(async () => {
  cluster = await ThreeMembers.start()
})
afterAll(() => cluster.stop())

interface Ended {
  code: number
  out: string
  talk: string
}

interface Around {
  stdin?: string
  endpoints?: string
  interrupted?: AbortSignal
  stdout?: PassThrough
}

/** One run of the command line, as a shell would see it. */
async function kv(args: readonly string[], around: Around = {}): Promise<Ended> {
  const stdout = around.stdout ?? new PassThrough()
  const stderr = new PassThrough()
  const read = Promise.all([around.stdout ? '' : text(stdout), text(stderr)])
  const code = await run(args, {
    stdin: Readable.from([around.stdin ?? '']),
    stdout,
    stderr,
    env: { RAFTKIT_KV_ENDPOINTS: around.endpoints ?? cluster.urls.join(',') },
    interrupted: around.interrupted ?? new AbortController().signal,
  })
  stdout.end()
  stderr.end()
  const [out, talk] = await read
  return { code, out, talk }
}

async function nobody(): Promise<string> {
  return (await freePorts(2)).map((port) => `http://127.0.0.1:${port}`).join(',')
}

describe('the commands on keys', () => {
  test('put, get, append, del: data goes to standard output', async () => {
    expect(await kv(['put', 'a', 'x'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\n$/), talk: '' })
    expect(await kv(['append', 'a', '-'], { stdin: 'y\nz' })).toMatchObject({ code: 0 })
    expect(await kv(['get', 'a'])).toEqual({ code: 0, out: 'xy\nz\n', talk: '' })
    expect(JSON.parse((await kv(['get', 'a', '--json'])).out)).toMatchObject({ key: 'a', value: 'xy\nz' })
    expect(await kv(['del', 'a'])).toMatchObject({ code: 0 })
  })

  test('what is not there ends with 4', async () => {
    expect(await kv(['get', 'nobody'])).toMatchObject({ code: 4, out: '', talk: expect.stringContaining('NOT_FOUND') })
    expect(await kv(['del', 'nobody'])).toMatchObject({ code: 4, out: '' })
  })

  test('a precondition that does not hold ends with 3', async () => {
    expect(await kv(['cas', 'lock', 'mine', '--absent'])).toMatchObject({ code: 0 })
    expect(await kv(['cas', 'lock', 'yours', '--absent'])).toMatchObject({ code: 3, out: '' })
    expect(await kv(['cas', 'lock', 'yours', '--expect', 'mine'])).toMatchObject({ code: 0 })
    expect(await kv(['cas', 'lock', 'theirs', '--revision', '1'])).toMatchObject({ code: 3 })
    expect((await kv(['get', 'lock'])).out).toBe('yours\n')
  })

  test('list prints a line for each key, and says how to go on', async () => {
    for (const key of ['l/b', 'l/a', 'l/c']) await kv(['put', key, `value of ${key}`])
    const page = await kv(['list', 'l/', '--limit', '2'])
    expect(page).toMatchObject({ code: 0, out: 'l/a\tvalue of l/a\nl/b\tvalue of l/b\n' })
    expect(page.talk).toContain('--after "l/b"')
    expect((await kv(['list', 'l/', '--after', 'l/b'])).out).toBe('l/c\tvalue of l/c\n')
    expect(await kv(['list', 'none/'])).toEqual({ code: 0, out: '', talk: '' })
  })

  test('watch prints changes until it is interrupted', async () => {
    await kv(['put', 'w/1', 'one'])
    const revision = JSON.parse((await kv(['get', 'w/1', '--json'])).out).revision
    const interruption = new AbortController()
    const stdout = new PassThrough()
    const watching = kv(['watch', 'w/', '--from', String(revision)], { interrupted: interruption.signal, stdout })
    let out = ''
    stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    await kv(['append', 'w/1', '+'])
    await kv(['del', 'w/1'])
    while (out.split('\n').length < 4) await pause(10)
    interruption.abort()
    expect((await watching).code).toBe(0)
    const lines = out.trimEnd().split('\n')
    expect(lines.map((line) => line.split('\t').slice(1).join(' '))).toEqual([
      'put w/1 one',
      'append w/1 +',
      'delete w/1',
    ])
  })
})

describe('the commands on the cluster', () => {
  test('status shows each member, and who leads', async () => {
    const leader = await cluster.leader()
    const { code, out } = await kv(['status'])
    expect(code).toBe(0)
    expect(out.split('\n')[0]).toMatch(/^member +role +term/)
    expect(out).toMatch(new RegExp(`^${leader} +leader`, 'm'))
    const json = JSON.parse((await kv(['status', '--json'])).out)
    expect(json).toMatchObject({ healthy: true, members: [{ id: 'n1' }, { id: 'n2' }, { id: 'n3' }] })
  })

  test('member list, transfer, snapshot and hash answer', async () => {
    expect((await kv(['member', 'list'])).out).toMatch(/^n3 +voter/m)
    const to = await cluster.follower()
    expect(await kv(['transfer', to])).toMatchObject({ code: 0, out: `${to}\n` })
    expect(await kv(['snapshot'])).toMatchObject({ code: 0 })
    expect((await kv(['hash'])).out).toMatch(/^n1 +\d+ +[0-9a-f]{64}$/m)
  })

  test('a member is added, demoted, promoted and removed', async () => {
    await cluster.add('n4', { join: true, address: 'n4' })
    expect(await kv(['member', 'add', 'n4', 'n4'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^n4 +voter/m),
    })
    expect((await kv(['member', 'demote', 'n4'])).out).toMatch(/^n4 +learner/m)
    expect((await kv(['member', 'promote', 'n4'])).out).toMatch(/^n4 +voter/m)
    expect((await kv(['member', 'remove', 'n4'])).out).not.toContain('n4')
    expect(await kv(['member', 'remove', 'n4'])).toMatchObject({ code: 4 })
    await cluster.served.get('n4')!.stop()
    cluster.served.delete('n4')
  }, 30_000)
})

describe('what goes wrong has an exit code of its own', () => {
  test.each([
    [['frobnicate']],
    [['put', 'only-a-key']],
    [['put', '..', 'x']],
    [['get', '']],
    [['cas', 'k', 'v']],
    [['cas', 'k', 'v', '--absent', '--expect', 'x']],
    [['list', '--limit', 'ten']],
    [['list', '--limit', '5000']],
    [['get', 'k', '--endpoints', 'localhost']],
    [['get', 'k', '--timeout', '0']],
    [['serve']],
    [['serve', '--id', 'n1', '--members', 'n1']],
    [['serve', '--id', 'n1', '--members', 'n1=127.0.0.1:1', '--storage', 'constructor']],
    [['serve', '--id', 'n1', '--members', 'n1=127.0.0.1:1', '--http', '0.0.0.0:0']],
    [['serve', '--id', 'n1', '--members', 'n1=127.0.0.1:1', '--http', '8001']],
    [['serve', '--config', 'no-such-file.mjs']],
  ])('%j is a wrong call: 2', async (args) => {
    const { code, out, talk } = await kv(args)
    expect([code, out]).toEqual([2, ''])
    expect(talk).not.toBe('')
  })

  test('help and its exit codes: 0', async () => {
    const { code, out } = await kv(['--help'])
    expect(code).toBe(0)
    expect(out).toContain('6 unknown')
  })

  test('no member answers: 5', async () => {
    const endpoints = await nobody()
    for (const args of [['get', 'k'], ['put', 'k', 'v'], ['status'], ['hash'], ['member', 'list']]) {
      expect(await kv([...args, '--timeout', '300'], { endpoints })).toMatchObject({ code: 5, out: '' })
    }
  })

  test('a change of which nobody knows whether it happened: 6', async () => {
    const leader = await cluster.leader()
    cluster.network.isolate(leader)
    const ended = await kv(['put', 'k', 'v', '--timeout', '1000'], { endpoints: cluster.url(leader) })
    cluster.network.heal()
    await cluster.leader()
    expect(ended).toMatchObject({ code: 6, out: '', talk: expect.stringContaining('may or may not') })
  })
})
