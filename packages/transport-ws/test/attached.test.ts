import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { networkInterfaces } from 'node:os'
import { closeAll, connect, TestNode, type World } from '@raftkit/testing/node'
import { closeStrangers, said, tcp } from '@raftkit/testing/strangers'
import { until } from '@raftkit/testing/until'
import type { TransportReport } from '@raftkit/transport-ws'
import { wsTransport } from '@raftkit/transport-ws'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { App } from './app.ts'
import { closed, message, opened, upgrade, webSocket } from './dialled.ts'

const secret = 'nobody but us knows these words of mine'
const reports: TransportReport[] = []
const onReport = (report: TransportReport) => reports.push(report)
const world = { transport: () => new App({ secret, onReport }) }
const app = (node: TestNode) => node.transport as App
const servers: Server[] = []

async function server(host = '127.0.0.1'): Promise<Server> {
  const made = createServer((_, response) => response.end('the app'))
  servers.push(made)
  made.listen(0, host)
  await once(made, 'listening')
  return made
}
const portOf = (server: Server) => (server.address() as { port: number }).port

afterEach(async () => {
  closeStrangers()
  await closeAll()
  for (const each of servers.splice(0)) {
    each.closeAllConnections()
    each.close()
  }
  reports.length = 0
})

describe("beside an app's own server", { timeout: 60_000 }, () => {
  test('the app answers its requests and its WebSockets, and the node its peers', async () => {
    const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
    const chat = new WebSocketServer({ noServer: true })
    app(a).server.on('upgrade', (request, socket, head) => {
      if (request.url === '/chat') chat.handleUpgrade(request, socket, head, (chatter) => chatter.send('welcome'))
    })
    await connect(a, b)
    expect(await (await fetch(`http://${app(a).address}/`)).text()).toBe('the app')
    const chatter = webSocket(app(a).address, '/chat', {})
    expect(String(await message(chatter))).toBe('welcome')
    a.send(b, 'to b')
    b.send(a, 'to a')
    await until(() => b.texts.includes('to b') && a.texts.includes('to a'))
    // The node goes, the app stays.
    await app(a).transport.close()
    await until(() => b.state(a) === 'down')
    expect(await (await fetch(`http://${app(a).address}/`)).text()).toBe('the app')
    expect(chatter.readyState).toBe(chatter.OPEN)
    expect(app(a).server.listenerCount('upgrade')).toBe(1)
  })

  test('upgrades of other paths are left alone, and answered only if nobody else would', async () => {
    const a = await TestNode.start(world, 'a')
    const alone = tcp(app(a).address)
    alone.write(upgrade('/chat'))
    expect(await said(alone)).toMatch(/^HTTP\/1.1 400.*nothing at this path/s)
    app(a).server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 418 From The App\r\n\r\n'))
    const other = tcp(app(a).address)
    other.write(upgrade('/chat'))
    expect(await said(other)).toMatch(/^HTTP\/1.1 418/)
    expect(reports).toEqual([])
  })

  test('upgrades of our path that are not ours are turned away, with the app none the wiser', async () => {
    const a = await TestNode.start(world, 'a')
    for (const [bytes, answer] of [
      [upgrade('/raftkit'), /400.*no node listens/s],
      [upgrade('/raftkit/else'), /400.*no node listens/s],
      [upgrade('/raftkit/bulk', ['Origin: http://evil.example']), /403/],
      [upgrade('/raftkit/bulk').replace('raftkit1', 'chat'), /400/],
    ] as const) {
      const socket = tcp(app(a).address)
      socket.write(bytes)
      expect(await said(socket)).toMatch(answer)
    }
    expect(reports.length).toBeGreaterThan(0)
  })

  test('strangers are few, and not for long, here as well', async () => {
    const a = await TestNode.start(world, 'a')
    let open = 0
    for (let n = 0; n < 200; n++) {
      const socket = tcp(app(a).address)
      socket.write(upgrade())
      open++
      socket.on('close', () => open--).resume()
    }
    await until(() => open <= 64)
    const b = await TestNode.start(world, 'b', { address: null })
    b.transport.setPeers([a.peer])
    await until(() => b.state(a) === 'up')
    await until(() => open === 0)
  })

  test('two nodes of one server, each at its own path; a path that is taken is refused', async () => {
    const shared = await server()
    const node = (path: string) => wsTransport({ server: shared, path, secret })
    const receiver = { hello: () => new Uint8Array(0), admit: () => 'x', frame: () => {}, link: () => {} }
    const [a, b, c] = [node('/a'), node('/b'), node('/a')]
    await a.start({ id: 'a', address: `ws://127.0.0.1:${portOf(shared)}/a` }, receiver)
    await b.start({ id: 'b', address: `ws://127.0.0.1:${portOf(shared)}/b` }, receiver)
    await expect(c.start({ id: 'c' }, receiver)).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
    expect(a.address).toBe(`127.0.0.1:${portOf(shared)}`)
    expect(shared.listenerCount('upgrade')).toBe(1)
    const stranger = webSocket(`127.0.0.1:${portOf(shared)}`, '/b/bulk')
    await opened(stranger)
    await Promise.all([a.close(), b.close(), closed(stranger)])
    expect(shared.listenerCount('upgrade')).toBe(0)
    await c.close()
  })

  test('peers are found by URL, whatever the path', async () => {
    const [one, two] = [await server(), await server()]
    const at = (on: Server, path: string) => `ws://127.0.0.1:${portOf(on)}${path}`
    const urls: World = {
      transport: () => wsTransport({ secret, server: one, path: '/here/raft' }),
      address: () => at(one, '/here/raft/'),
      reached: () => at(one, '/here/raft/'),
    }
    const there: World = {
      transport: () => wsTransport({ secret, server: two, path: '/there' }),
      address: () => at(two, '/there'),
      reached: () => at(two, '/there'),
    }
    const [a, b] = [await TestNode.start(urls, 'a'), await TestNode.start(there, 'b')]
    await connect(a, b)
    b.send(a, 'hello', 'bulk')
    await until(() => a.texts.includes('hello'))
  })

  test('a server that is open to the network wants tls, a secret, or insecure', async () => {
    const open = await server('0.0.0.0')
    const receiver = { hello: () => new Uint8Array(0), admit: () => 'x', frame: () => {}, link: () => {} }
    const bare = wsTransport({ server: open })
    await expect(bare.start({ id: 'a' }, receiver)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await bare.close()
    const insecure = wsTransport({ server: open, insecure: true, onReport })
    await insecure.start({ id: 'a' }, receiver)
    expect(reports).toMatchObject([{ kind: 'insecure' }])
    await insecure.close()
    const withSecret = wsTransport({ server: open, secret })
    await withSecret.start({ id: 'a' }, receiver)
    await withSecret.close()
    expect(() => wsTransport({ server: open, listen: '127.0.0.1:0' })).toThrow(/server/)
    expect(() => wsTransport({ path: 'raft' })).toThrow(/path/)
    expect(() => wsTransport({ path: '/a?b' })).toThrow(/path/)
  })

  test('a server that begins to listen on the network later lets in only who comes by loopback', async ({ skip }) => {
    const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
    const outside = addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address
    if (outside === undefined) return skip('this machine has no address beyond loopback')
    const late = createServer()
    servers.push(late)
    const node = wsTransport({ server: late, onReport })
    const receiver = { hello: () => new Uint8Array(0), admit: () => 'x', frame: () => {}, link: () => {} }
    await node.start({ id: 'a' }, receiver)
    expect(node.address).toBeUndefined()
    late.listen(0, '0.0.0.0')
    await once(late, 'listening')
    const inside = webSocket(`127.0.0.1:${portOf(late)}`)
    await opened(inside)
    const stranger = tcp(`${outside}:${portOf(late)}`)
    stranger.write(upgrade())
    expect(await said(stranger)).toMatch(/403.*frames would go in the clear/s)
    await node.close()
  })
})
