import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Client } from '../src/client/client.ts'
import { freePorts } from '../src/local/member-process.ts'

const open = new Set<Server>()
afterEach(() => {
  for (const server of open) server.close()
  open.clear()
})

async function listen(server: Server): Promise<string> {
  open.add(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Counts what reaches it, then answers. */
async function answering(answer: RequestListener): Promise<{ url: string; requests: () => number }> {
  let requests = 0
  const url = await listen(
    createHttpServer((request, response) => {
      requests++
      request.resume()
      request.on('end', () => answer(request, response))
    }),
  )
  return { url, requests: () => requests }
}

const ok = () =>
  answering((_request, response) => response.setHeader('content-type', 'application/json').end('{"revision":7}'))

const saying = (status: number, error: object) =>
  answering((_request, response) => response.writeHead(status).end(JSON.stringify({ error })))

/** Takes the request and hangs up. */
const hangingUp = () =>
  listen(createServer((socket: Socket) => socket.once('data', () => socket.destroy()).on('error', () => {})))

async function nobody(): Promise<string> {
  return `http://127.0.0.1:${(await freePorts(1))[0]}`
}

const append = { method: 'POST', path: '/v1/kv/k/append', body: { value: 'x' } } as const

describe('a change', () => {
  test('goes on with the next member after one that nobody listens on', async () => {
    const good = await ok()
    const client = new Client({ endpoints: [await nobody(), good.url] })
    expect(await client.call(append)).toEqual({ revision: 7 })
    expect(good.requests()).toBe(1)
  })

  test('goes on with the next member after one that certainly did not do it', async () => {
    const busy = await saying(503, { code: 'NO_LEADER', message: 'nobody leads', outcome: 'refused' })
    const good = await ok()
    await new Client({ endpoints: [busy.url, good.url] }).call(append)
    expect([busy.requests(), good.requests()]).toEqual([1, 1])
  })

  // reliability Q8, Q10
  test.each([
    ['the connection was lost', async () => ({ url: await hangingUp() })],
    ['the server does not know', () => saying(504, { code: 'TIMEOUT', message: 'too slow', outcome: 'unknown' })],
    ['the server failed', () => saying(500, { code: 'INTERNAL', message: 'oops' })],
    ['the answer is no answer of ours', () => answering((_request, response) => response.writeHead(502).end('<html>'))],
  ])('is not sent again, and of unknown outcome, if %s', async (_name, start) => {
    const bad = await start()
    const good = await ok()
    const client = new Client({ endpoints: [bad.url, good.url] })
    await expect(client.call(append)).rejects.toMatchObject({ outcome: 'unknown' })
    expect(good.requests()).toBe(0)
  })

  test('without an answer in time is of unknown outcome', async () => {
    const silent = await answering(() => {})
    const client = new Client({ endpoints: [silent.url], timeout: 200 })
    await expect(client.call(append)).rejects.toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' })
  })

  test('is refused at once if no member is reached', async () => {
    const client = new Client({ endpoints: [await nobody(), await nobody()] })
    await expect(client.call(append)).rejects.toMatchObject({ code: 'UNREACHABLE', outcome: 'refused' })
  })

  test('is tried again until its time is up, if no member can do it', async () => {
    const busy = await saying(503, { code: 'NO_LEADER', message: 'nobody leads', outcome: 'refused' })
    const client = new Client({ endpoints: [busy.url, await nobody()], timeout: 300 })
    await expect(client.call(append)).rejects.toThrow()
    expect(busy.requests()).toBeGreaterThan(1)
  })

  test('that is wrong in itself is not tried elsewhere', async () => {
    const strict = await saying(412, { code: 'PRECONDITION_FAILED', message: 'no' })
    const good = await ok()
    const client = new Client({ endpoints: [strict.url, good.url] })
    await expect(client.call(append)).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      status: 412,
      outcome: 'refused',
    })
    expect(good.requests()).toBe(0)
  })
})

test('a read goes on with the next member whatever became of it', async () => {
  const good = await ok()
  const unknown = await saying(504, { code: 'TIMEOUT', message: 'too slow', outcome: 'unknown' })
  const client = new Client({ endpoints: [await hangingUp(), unknown.url, await nobody(), good.url] })
  expect(await client.get('/v1/kv/k')).toEqual({ revision: 7 })
})

test('a read without an answer changed nothing: its outcome is not unknown', async () => {
  const client = new Client({ endpoints: [await hangingUp()], timeout: 300 })
  await expect(client.get('/v1/kv/k')).rejects.toMatchObject({ code: 'CONNECTION_LOST', outcome: 'refused' })
})
