import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, ThreeMembers } from './three-members.ts'

let cluster: ThreeMembers
beforeAll(async () => {
  cluster = await ThreeMembers.start()
})
afterAll(() => cluster.stop())

/** A connection of its own, which stays open. */
function watch(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(`${url}/v1/watch?from=1`, { agent: false }, resolve).on('error', reject)
  })
}

/** Says a request line and waits for the answer to begin; false if the connection was closed instead. */
async function served(socket: Socket): Promise<boolean> {
  const closed = once(socket, 'close').then(() => false)
  socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
  return Promise.race([once(socket, 'data').then(() => true), closed])
}

test('a member takes 256 watches, says so to the next one, and takes it once another has ended', async () => {
  const url = cluster.url('n1')
  const watches = await Promise.all(Array.from({ length: 256 }, () => watch(url)))
  expect(watches.map(({ statusCode }) => statusCode)).toEqual(watches.map(() => 200))

  const refused = await ask(url, '/v1/watch?from=1')
  expect([refused.status, refused.body.error.code]).toEqual([429, 'TOO_MANY_WATCHERS'])
  // Other members, and other requests of this one, have nothing to do with it.
  const elsewhere = await watch(cluster.url('n2'))
  expect(elsewhere.statusCode).toBe(200)
  expect((await ask(url, '/v1/kv/k', { method: 'PUT', body: { value: 'v' } })).status).toBe(200)

  watches[0]!.destroy()
  let next = await watch(url)
  // The server hears of the end a moment later.
  while (next.statusCode === 429) {
    next.destroy()
    await pause(5)
    next = await watch(url)
  }
  for (const stream of [...watches, elsewhere, next]) stream.destroy()
}, 60_000)

test('a member takes 1,024 connections, closes what comes beyond at once, and takes another once one has ended', async () => {
  const port = Number(new URL(cluster.url('n3')).port)
  const dial = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await once(socket, 'connect')
    return socket
  }
  const sockets: Socket[] = []
  while (sockets.length < 1024) sockets.push(...(await Promise.all(Array.from({ length: 64 }, dial))))
  expect(await served(sockets.at(-1)!)).toBe(true)

  expect(await served(await dial())).toBe(false)
  expect(await served(sockets[0]!)).toBe(true)

  sockets[1]!.destroy()
  while (!(await served(await dial()))) await pause(5)
  for (const socket of sockets) socket.destroy()
}, 60_000)
