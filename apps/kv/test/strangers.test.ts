import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addToken } from '../src/server/access.ts'
import { bearer, GuardedMember } from './guarded-member.ts'
import type { Asking } from './three-members.ts'

// What a server meets that anyone can reach.

const limits = {
  connections: 20,
  inFlightBytes: 100 * 1024,
  bodyBytes: 64 * 1024,
  headerBytes: 8 * 1024,
  headers: 20,
  headersTimeout: 1_000,
  requestTimeout: 1_500,
  keepAliveTimeout: 1_000,
  stallTimeout: 2_000,
}

let member: GuardedMember
let port: number
const before = prototypeNames()
beforeAll(async () => {
  const allow = { allowHost: ['kv.example', '10.1.2.3'], allowOrigin: ['https://admin.example'] }
  member = await GuardedMember.start({ ...allow, limits })
  port = Number(new URL(member.served.url).port)
})
afterAll(() => member.stop())

const may = (role: 'read' | 'write' | 'admin') => bearer(member.tokens[role])
const put = (key: string, value: string, headers: Record<string, string> = {}) =>
  member.ask(`/v1/kv/${encodeURIComponent(key)}`, {
    method: 'PUT',
    body: { value },
    headers: { ...may('write'), ...headers },
  })

describe('names under which it is asked', () => {
  test.each([
    ['localhost', 200],
    ['LOCALHOST:1', 200],
    ['127.0.0.1', 200],
    ['[::1]:80', 200],
    ['kv.example', 200],
    ['KV.example:443', 200],
    ['10.1.2.3:80', 200],
    ['10.1.2.4', 403],
    ['evil.test', 403],
    ['kv.example.evil.test', 403],
    ['evil.test:kv.example', 403],
    ['kv.example@evil.test', 403],
    ['localhost.', 403],
    ['[::2]', 403],
    ['127.0.0.2', 403],
    [' ', 403],
  ])('a Host of %j is answered %d', async (host, status) => {
    const answer = await member.ask('/livez', { headers: { host } })
    expect(answer.status).toBe(status)
    if (status === 403) expect(answer.body.error.code).toBe('FOREIGN_HOST')
  })
})

describe('pages that ask', () => {
  test.each([
    ['http://localhost', 200],
    ['https://localhost', 200],
    ['https://admin.example', 200],
    ['http://admin.example', 403],
    ['https://admin.example.evil.test', 403],
    ['https://evil.test', 403],
    ['null', 403],
    ['', 403],
  ])('from %j are answered %d, also with a token', async (origin, status) => {
    const answer = await member.ask('/v1/kv', { headers: { host: 'localhost', origin, ...may('admin') } })
    expect(answer.status).toBe(status)
    const allowed = answer.headers['access-control-allow-origin']
    expect(allowed).toBe(origin === 'https://admin.example' ? origin : undefined)
  })

  test('a browser may ask first, without a token, and only for a site that is let in', async () => {
    const preflight = (origin: string) =>
      member.ask('/v1/kv/k', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT' } })
    const allowed = await preflight('https://admin.example')
    expect(allowed.status).toBe(204)
    expect(allowed.headers['access-control-allow-headers']).toContain('authorization')
    expect((await preflight('https://evil.test')).status).toBe(403)
  })

  test('a watch tells its browser, too, that the site may read it', async () => {
    const headers = { origin: 'https://admin.example', ...may('read') }
    const answer = await member.ask('/v1/watch?from=1', { headers })
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, 'https://admin.example'])
  })
})

describe('what is too much', () => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, 'y']))

  test.each<[string, () => Promise<{ status: number; body: { error?: { code: string } } }>, number, string?]>([
    ['headers', () => member.ask('/livez', { headers: many(21) }), 431, 'TOO_MANY_HEADERS'],
    ['bytes of headers', () => member.ask('/livez', { headers: { x: 'y'.repeat(9_000) } }), 431],
    ['a key', () => put('k'.repeat(1_025), 'x'), 400, 'INVALID_KEY'],
    ['a body', () => put('k', 'x'.repeat(65 * 1024)), 413],
    ['a body that does not say how long it is', () => member.ask('/v1/kv/k', chunked('x'.repeat(65 * 1024))), 413],
  ])('of %s is refused, and the next request is served', async (_what, ask, status, code) => {
    const answer = await ask()
    expect(answer.status).toBe(status)
    if (code !== undefined) expect(answer.body.error?.code).toBe(code)
    expect((await put('next', 'x')).status).toBe(200)
  })

  const chunked = (value: string): Asking => ({
    method: 'PUT',
    body: { value },
    headers: { ...may('write'), 'transfer-encoding': 'chunked' },
  })

  test('requests that hold too much together are refused before they are read, until those before have ended', async () => {
    const head = `PUT /v1/kv/k HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${member.tokens.write}\r\ncontent-type: application/json\r\n`
    const half = async () => {
      const socket = await dial()
      socket.write(`${head}content-length: 60000\r\n\r\n{"value":"`)
      return socket
    }
    const first = await half()
    // The first may not have been heard of yet.
    let answer = await put('k', 'x'.repeat(50_000))
    while (answer.status === 200) answer = await put('k', 'x'.repeat(50_000))
    expect([answer.status, answer.body.error]).toEqual([
      503,
      expect.objectContaining({ code: 'OVERLOADED', outcome: 'refused' }),
    ])
    expect(answer.headers['retry-after']).toBe('1')
    // Small ones go on.
    expect((await put('small', 'x')).status).toBe(200)
    first.destroy()
    while ((await put('k', 'x'.repeat(50_000))).status !== 200) await pause(5)
  })

  test('connections beyond those allowed are closed, and taken again once others have ended', async () => {
    const sockets: Socket[] = []
    // Those that say nothing are closed after a while: some more then.
    do sockets.push(...(await Promise.all(Array.from({ length: 20 }, dial))))
    while (await livesOn(await dial()))
    for (const socket of sockets) socket.destroy()
    while (!(await livesOn(await dial()))) await pause(5)
  })
})

describe.concurrent('who is slow', () => {
  test.each([
    ['says nothing', ''],
    ['ends in the middle of the headers', 'GET /livez HTTP/1.1\r\nhost: local'],
    [
      'ends in the middle of the body',
      'PUT /v1/kv/k HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"va',
    ],
    ['asks no more', 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n'],
  ])('and %s is hung up on', async (_who, bytes) => {
    const socket = await dial()
    socket.resume().write(bytes)
    await ended(socket)
  })

  test('and does not move while it is answered is hung up on', async () => {
    const socket = await dial()
    // Nothing is told by a watch on which nothing happens, but that it lives, every ten seconds.
    socket
      .resume()
      .write(`GET /v1/watch HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${member.tokens.read}\r\n\r\n`)
    await ended(socket)
  })

  test('and sends a byte now and then is hung up on, too', async () => {
    const socket = await dial()
    const drip = setInterval(() => socket.write('x'), 50)
    socket.resume().write('GET /livez HTTP/1.1\r\nhost: localhost\r\nx: ')
    await ended(socket)
    clearInterval(drip)
  })
})

test('a token that is taken out of the file is good for no further request, and a new one for the next', async () => {
  const gone = addToken(member.access, 'gone', 'read')
  const status = async () => (await member.ask('/v1/kv', { headers: bearer(gone) })).status
  while ((await status()) !== 200) await pause(50)
  const { gone: _, ...kept } = JSON.parse(readFileSync(member.access, 'utf8'))
  expect(Object.keys(kept)).toEqual(['read', 'write', 'admin'])
  writeFileSync(member.access, JSON.stringify(kept))
  while ((await status()) !== 401) await pause(50)
  expect((await member.ask('/v1/kv', { headers: may('read') })).status).toBe(200)
}, 20_000)

test('an access file that becomes unusable changes nothing, and is told of', async () => {
  writeFileSync(member.access, '{ "admin": { "role": "admin", "tokens": ["not-a-hash"] } }')
  while (!member.said.some((line) => line.includes('stays in force'))) await pause(50)
  expect((await member.ask('/v1/kv', { headers: may('read') })).status).toBe(200)
  rmSync(member.access)
  while (member.said.filter((line) => line.includes('stays in force')).length < 2) await pause(50)
  expect((await member.ask('/v1/kv', { headers: may('read') })).status).toBe(200)
}, 20_000)

test('no secret is in an answer to another, nor in anything the server says', async () => {
  const secret = 'S3cretS3cretS3cretS3cretS3cretS3cretS3cretS'
  const answers = await Promise.all([
    member.ask('/v1/kv', { headers: bearer(secret) }),
    member.ask('/v1/kv', { headers: { authorization: secret } }),
    member.ask('/v1/kv', { headers: { authorization: `Basic ${secret}` } }),
    member.ask('/v1/members', { method: 'POST', body: { id: 'x' }, headers: { ...may('write') } }),
    member.ask('/v1/nowhere', { headers: may('admin') }),
    member.ask('/v1/kv/%ff', { headers: may('admin') }),
    member.ask('/v1/kv/k', { method: 'PUT', text: `{"value":"${secret}`, headers: may('write') }),
    member.ask('/v1/status', { headers: may('admin') }),
    member.ask('/metrics', { headers: may('admin') }),
    member.ask('/livez'),
    put('k', 'x', { host: 'evil.test' }),
  ])
  const told = JSON.stringify(answers.map(({ headers, body }) => ({ headers, body }))) + member.said.join('\n')
  for (const each of [secret, ...Object.values(member.tokens)]) expect(told).not.toContain(each)
})

test('keys, values and fields with the names of prototypes change no prototype', async () => {
  for (const key of ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', '__defineGetter__']) {
    expect((await put(key, '{"polluted":true}')).status).toBe(200)
    expect((await member.ask(`/v1/kv/${key}`, { headers: may('read') })).body.key).toBe(key)
    expect((await member.ask(`/v1/kv?${key}=x`, { headers: may('read') })).status).toBe(400)
    const field = `{"value":"x","${key}":{"polluted":true}}`
    expect((await member.ask('/v1/kv/k', { method: 'PUT', text: field, headers: may('write') })).status).toBe(400)
    const expectation = `{"value":"x","expect":{"${key}":{"polluted":true}}}`
    const cas = { method: 'POST', text: expectation, headers: may('write') }
    expect((await member.ask('/v1/kv/k/cas', cas)).status).toBe(400)
  }
  expect(prototypeNames()).toEqual(before)
})

function prototypeNames(): string[][] {
  return [Object.prototype, Array.prototype, Function.prototype, String.prototype].map((prototype) =>
    Reflect.ownKeys(prototype).map(String),
  )
}

async function dial(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** However: a reset is an end, too. */
const ended = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('close', () => resolve()))

async function livesOn(socket: Socket): Promise<boolean> {
  const closed = ended(socket).then(() => false)
  socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  const lives = await Promise.race([
    new Promise<boolean>((resolve) => socket.once('data', () => resolve(true))),
    closed,
  ])
  socket.destroy()
  return lives
}
