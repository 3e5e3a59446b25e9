import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { createAuthority, type Issued, issue } from '@raftkit/certificates'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../src/client/command-line.ts'
import { Dialer } from '../src/client/exchange.ts'
import { GuardedMember } from './guarded-member.ts'

// The command line beside a server that asks who comes.

let directory: string
let member: GuardedMember
let server: Issued
const file = (name: string) => join(directory, name)
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'raftkit-kv-'))
  const authority = await createAuthority({ cluster: 'test' })
  server = await issue(authority, { node: 'n1' })
  member = await GuardedMember.start({}, server)
  const client = await issue(authority, { client: 'write' })
  for (const name of ['ca', 'cert', 'key'] as const) writeFileSync(file(`${name}.pem`), client[name])
  for (const [role, token] of Object.entries(member.tokens)) writeFileSync(file(`${role}.token`), `${token}\n`)
})
afterAll(async () => {
  await member.stop()
  rmSync(directory, { recursive: true })
})

interface Around {
  env?: Record<string, string>
  interrupted?: AbortSignal
  stdout?: PassThrough
}

async function kv(args: readonly string[], { env, interrupted, stdout = new PassThrough() }: Around = {}) {
  const stderr = new PassThrough()
  const read = Promise.all([text(stdout), text(stderr)])
  const code = await run(args, {
    stdin: Readable.from(['']),
    stdout,
    stderr,
    env: { RAFTKIT_KV_ENDPOINTS: member.served.url, ...env },
    interrupted: interrupted ?? new AbortController().signal,
  })
  stdout.end()
  stderr.end()
  const [out, talk] = await read
  return { code, out, talk }
}
const ca = () => ['--ca', file('ca.pem')]

describe('the command line', () => {
  test('shows a token from a file, or from the environment', async () => {
    expect(await kv([...ca(), '--token', file('write.token'), 'put', 'a', 'x'])).toMatchObject({ code: 0, talk: '' })
    const env = { RAFTKIT_TOKEN: member.tokens.read }
    expect(await kv([...ca(), 'get', 'a'], { env })).toEqual({ code: 0, out: 'x\n', talk: '' })
    // The file wins.
    expect(
      await kv([...ca(), '--token', file('read.token'), 'get', 'a'], { env: { RAFTKIT_TOKEN: 'x' } }),
    ).toMatchObject({ code: 0 })
    expect((await kv([...ca(), 'status', '--json'], { env })).out).toContain('"healthy":true')
  })

  test('shows a certificate', async () => {
    const own = [...ca(), '--cert', file('cert.pem'), '--key', file('key.pem')]
    expect(await kv([...own, 'put', 'b', 'y'])).toMatchObject({ code: 0 })
    expect(await kv([...own, 'transfer'])).toMatchObject({ code: 1, talk: expect.stringContaining('FORBIDDEN') })
  })

  test.each<[string, () => Parameters<typeof kv>, number, string]>([
    ['nothing to show', () => [[...ca(), 'get', 'a']], 1, 'UNAUTHENTICATED'],
    [
      'a token of too low a role',
      () => [[...ca(), '--token', file('read.token'), 'put', 'a', 'z']],
      1,
      'FORBIDDEN: read may read',
    ],
    ['a server that it does not know', () => [['--token', file('read.token'), 'get', 'a']], 5, 'UNREACHABLE'],
    ['a file that is not there', () => [['--token', file('none'), 'get', 'a']], 2, '--token: ENOENT'],
    ['a certificate without its key', () => [['--cert', file('cert.pem'), 'get', 'a']], 2, '--cert and --key'],
    [
      'a token that is none',
      () => [['get', 'a'], { env: { RAFTKIT_TOKEN: 'two words\nand' } }],
      2,
      'RAFTKIT_TOKEN holds no token',
    ],
  ])('with %s says so', async (_what, call, code, talk) => {
    const ended = await kv(...call())
    expect(ended).toMatchObject({ code, out: '', talk: expect.stringContaining(talk) })
    for (const token of [...Object.values(member.tokens), 'two words']) expect(ended.talk).not.toContain(token)
  })

  test('watches by HTTPS', async () => {
    await kv([...ca(), '--token', file('write.token'), 'put', 'w/1', 'one'])
    const interruption = new AbortController()
    const stdout = new PassThrough()
    let out = ''
    stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    const args = [...ca(), '--token', file('read.token'), 'watch', 'w/', '--from', '1']
    const watching = kv(args, { stdout, interrupted: interruption.signal })
    while (!out.includes('w/1\tone')) await pause(10)
    interruption.abort()
    expect((await watching).code).toBe(0)
    expect(await kv([...ca(), 'watch', 'w/'])).toMatchObject({
      code: 1,
      talk: expect.stringContaining('UNAUTHENTICATED'),
    })
  })

  test('makes a token that is printed once, and is good at once', async () => {
    const made = await kv(['token', 'ops', '--role', 'admin', '--access', member.access])
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^[\w-]{43}\n$/) })
    expect(readFileSync(member.access, 'utf8')).not.toContain(made.out.trim())
    const env = { RAFTKIT_TOKEN: made.out }
    while ((await kv([...ca(), 'snapshot'], { env })).code !== 0) await pause(50)
    expect(await kv(['token', 'ops', '--role', 'root'])).toMatchObject({ code: 2, out: '' })
    expect(await kv(['token', 'new', '--access', member.access])).toMatchObject({
      code: 2,
      talk: expect.stringContaining('--role'),
    })
  }, 20_000)

  test('warns before a token is sent in the clear', async () => {
    const env = { RAFTKIT_TOKEN: member.tokens.read, RAFTKIT_KV_ENDPOINTS: 'http://kv.invalid:1' }
    const warned = await kv(['get', 'a'], { env })
    expect(warned.talk).toContain('crosses the network in the clear')
    expect(warned.talk).not.toContain(member.tokens.read)
  })

  test('does not serve beyond loopback without a word', async () => {
    const args = ['serve', '--id', 'n1', '--members', 'n1=127.0.0.1:1', '--http', '0.0.0.0:1', '--storage', 'memory']
    const refused = await kv([...args, '--transport', 'memory'])
    expect(refused).toMatchObject({ code: 2, talk: expect.stringMatching(/--access FILE.*--insecure/) })
  })
})

test('a certificate that is renewed is shown to new connections, without a restart', async () => {
  const seen = () =>
    new Promise<string>((resolve, reject) => {
      const dialer = new Dialer({ ca: readFileSync(join(member.directory, 'ca.pem'), 'utf8') })
      const outgoing = dialer.request(member.served.url, { method: 'GET', path: '/livez' })
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) => {
        const { fingerprint256 } = (incoming.socket as TLSSocket).getPeerCertificate()
        incoming.resume().on('end', () => resolve(fingerprint256))
        dialer.hangUp()
      })
      outgoing.end()
    })
  expect(await seen()).toBe(server.fingerprint)
  const authority = await createAuthority({ cluster: 'test' })
  const renewed = await issue(authority, { node: 'n1' })
  writeFileSync(join(member.directory, 'cert.pem'), 'half of a certi')
  while (!member.said.some((line) => line.includes('stays in force'))) await pause(50)
  expect(await seen()).toBe(server.fingerprint)
  for (const name of ['key', 'cert', 'ca'] as const) writeFileSync(join(member.directory, `${name}.pem`), renewed[name])
  while ((await seen().catch(() => '')) !== renewed.fingerprint) await pause(50)
}, 20_000)
