import { createServer as createHttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { decodeGreeting, encodeGreeting, type Hello } from '@raftkit/links'
import { dialInVain, remain, undisturbed } from '@raftkit/testing/hostile'
import { closeAll, TestNode } from '@raftkit/testing/node'
import { noise } from '@raftkit/testing/noise'
import { closeStrangers, said, strangers, tcp } from '@raftkit/testing/strangers'
import { until, wait } from '@raftkit/testing/until'
import { type TransportReport, wsTransport } from '@raftkit/transport-ws'
import { afterEach, describe, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { encodeFrames } from '../src/frames.ts'
import { closed, message, opened, upgrade, webSocket } from './dialled.ts'

const reports: TransportReport[] = []
const options = {
  maxFrameBytes: 65_536,
  maxConnections: 100,
  onReport: (report: TransportReport) => reports.push(report),
}
const world = { transport: () => wsTransport(options) }

function greeting(hello: string, { maxFrameBytes = 65_536, lane = 'control' as 'control' | 'bulk' } = {}): Uint8Array {
  const of = { life: '00112233445566ff', maxFrameBytes, nonce: noise(16), proof: new Uint8Array(0) }
  return encodeGreeting({
    kind: 'hello',
    lane,
    hello: { ...of, hello: new TextEncoder().encode(hello) } satisfies Hello,
  })
}
const admitted = encodeGreeting({ kind: 'admitted' })
const frame = (size: number) => encodeFrames([[noise(size)]], size)[0]!

afterEach(async () => {
  closeStrangers()
  reports.length = 0
  await closeAll()
})

describe('whatever comes to the port', { timeout: 60_000 }, () => {
  test('noise, TLS, other paths and methods, and what is no WebSocket, is closed; plain requests are told what this is', () =>
    undisturbed(world, async (a, at) => {
      const answers: [string | Uint8Array, RegExp][] = [
        [noise(100_000), /^(HTTP\/1.1 400.*)?$/s],
        [Buffer.from([0x16, 3, 1, 2, 0]), /it speaks TLS, and this node does not/],
        ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1.1 426.*WebSocket/s],
        ['POST /raftkit/control HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\nx', /^HTTP\/1.1 426/],
        [`GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, /^(HTTP\/1.1 400.*)?$/s],
        [upgrade('/raftkit'), /^HTTP\/1.1 400.*no node listens at this path/s],
        [upgrade('/raftkit/other'), /^HTTP\/1.1 400.*no node listens at this path/s],
        [upgrade('/raftkit/control/../bulk'), /^HTTP\/1.1 400/],
        [upgrade('/raftkit/bulk').replace('Protocol: raftkit1', 'Protocol: chat'), /400.*subprotocol raftkit1/s],
        [upgrade('/raftkit/bulk').replace('Version: 13', 'Version: 7'), /^HTTP\/1.1 400/],
        [upgrade('/raftkit/bulk').replace('GET', 'POST'), /^HTTP\/1.1 (400|405)/],
        [
          upgrade('/raftkit/bulk', ['Origin: https://evil.example']),
          /403.*pages of https:\/\/evil.example may not connect/s,
        ],
        [upgrade('/raftkit/bulk', ['Origin: null']), /^HTTP\/1.1 403/],
      ]
      for (const [bytes, answer] of answers) {
        const socket = tcp(at)
        socket.write(bytes)
        expect(await said(socket), String(bytes).slice(0, 100)).toMatch(answer)
      }
      for (let n = 0; n < 50; n++) tcp(at).destroy()
      await wait(20)
      expect(a.admitted.every((id) => id === 'b')).toBe(true)
    }))

  test('messages that are no greeting: each is told so, and closed', () =>
    undisturbed(world, async (a, at) => {
      const told = async (say: (socket: WebSocket) => void, path = '/raftkit/control') => {
        const socket = webSocket(at, path)
        const answer = message(socket)
        const end = closed(socket)
        await opened(socket)
        say(socket)
        const first = await Promise.race([answer, end])
        await end
        if (typeof first === 'number') return `closed with ${first}`
        const greeting = decodeGreeting(first)
        return greeting.kind === 'refused' ? `${greeting.refusal.kind}: ${greeting.refusal.reason}` : greeting.kind
      }
      expect(await told((socket) => socket.send(noise(1000)))).toMatch(/^malformed: no greeting/)
      expect(await told((socket) => socket.send(new Uint8Array(0)))).toMatch(/^malformed: no greeting/)
      expect(await told((socket) => socket.send('hello'))).toBe('malformed: a text, and frames are binary')
      expect(await told((socket) => socket.send(admitted))).toBe('malformed: a greeting out of order')
      expect(await told((socket) => socket.send(frame(100)))).toMatch(/^malformed/)
      expect(await told((socket) => socket.send(new Uint8Array(65_537)))).toBe('closed with 1009')
      expect(await told((socket) => socket.send(greeting('c/mallory', { lane: 'bulk' })))).toMatch(
        /path names one lane/,
      )
      expect(await told((socket) => socket.send(greeting('other/mallory')))).toContain('refused: REFUSED: this is c/a')
      expect(await told((socket) => socket.send(greeting('c/a')))).toBe('refused: a is the name of this node itself')
      expect(await told((socket) => socket.send(greeting('c/m', { maxFrameBytes: 100_000 })))).toContain('limits: ')
      // Who has other limits is turned down before the host hears of it.
      expect(a.admitted.filter((id) => id !== 'b')).toEqual(['a'])
      expect(a.links).toEqual(['b up'])
      expect(a.heard.every(({ from }) => from === 'b')).toBe(true)
    }))

  test('unmasked frames, compressed ones, lengths of 2^63, endless fragments and pings that nobody reads', () =>
    undisturbed(world, async (a, at) => {
      const raw = async (then: (socket: Socket) => void) => {
        const socket = tcp(at)
        const end = said(socket)
        socket.write(upgrade())
        await new Promise((resolve) => socket.once('data', resolve))
        then(socket)
        return end
      }
      const before = process.memoryUsage().arrayBuffers
      const masked = (head: string) => Buffer.from(`${head}00000000`, 'hex')
      await raw((socket) => socket.write(Buffer.from('820100', 'hex')))
      await raw((socket) => socket.write(Buffer.concat([masked('c281'), Buffer.of(0)])))
      await raw((socket) => socket.write(masked('82ff7fffffffffffffff')))
      await raw((socket) => socket.write(masked('82ff0000000040000000')))
      // Fragments of nothing, and of a byte each.
      for (const fragment of [masked('0080'), Buffer.concat([masked('0081'), Buffer.of(7)])])
        await raw((socket) => {
          socket.write(masked('0280'))
          socket.write(Buffer.concat(Array.from({ length: 100_000 }, () => fragment)))
        })
      // What is not read does not gather in our memory without end.
      const deaf = await new Promise<Socket>((resolve) => {
        void raw((socket) => {
          socket.pause()
          const pings = Buffer.concat(Array.from({ length: 1000 }, () => Buffer.concat([masked('89fd'), noise(125)])))
          for (let n = 0; n < 500; n++) socket.write(pings)
          resolve(socket)
        })
      })
      await wait(200)
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000_000)
      deaf.resume()
      expect(a.admitted.every((id) => id === 'b')).toBe(true)
    }))

  /** A peer that is admitted, and then goes wrong. */
  async function intruder(a: TestNode): Promise<WebSocket> {
    const heard = () => a.heard.filter(({ from }) => from === 'mallory').length
    const before = heard()
    const socket = webSocket(a.peer.address!)
    await opened(socket)
    const answer = message(socket)
    socket.send(greeting('c/mallory'))
    expect(decodeGreeting(await answer)).toMatchObject({ kind: 'hello' })
    socket.send(admitted)
    socket.send(frame(5))
    await until(() => heard() > before)
    return socket
  }

  test('frames before both sides have admitted each other are not read', () =>
    undisturbed(world, async (a, at) => {
      const stranger = webSocket(at)
      await opened(stranger)
      const end = closed(stranger)
      stranger.send(greeting('other/mallory'))
      stranger.send(admitted)
      for (let n = 0; n < 50; n++) stranger.send(frame(1000))
      await end
      expect(a.heard.every(({ from }) => from === 'b')).toBe(true)
    }))

  test('an admitted peer that sends a length above the limit, a text, or too large a message is reported and closed', () =>
    undisturbed(world, async (a) => {
      const wrongs = ['01000000aa01000100', '00000080', 'ffffffff', '00000000feffffff'].map((hex) =>
        Buffer.from(hex, 'hex'),
      )
      for (const wrong of [...wrongs, 'text', new Uint8Array(65_537)]) {
        const socket = await intruder(a)
        const before = process.memoryUsage().arrayBuffers
        const end = closed(socket)
        socket.send(wrong)
        await end
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4_000_000)
      }
      expect(a.heard.every(({ frame }) => frame.length < 100)).toBe(true)
      expect(new Set(reports.map(({ kind, peer }) => `${kind} ${peer}`))).toEqual(new Set(['malformed mallory']))
      expect(reports.map(({ reason }) => reason).sort()).toEqual([
        'Max payload size exceeded',
        'a text, and frames are binary',
        'its bytes are no frames, or one is above the limit',
      ])
    }))

  test('a peer that asks for signs of life without end gets few', async () => {
    const http = createHttpServer()
    strangers.add({ destroy: () => http.close() })
    let answers = 0
    new WebSocketServer({ server: http, perMessageDeflate: false }).on('connection', (socket, { url }) => {
      const lane = url?.endsWith('bulk') ? 'bulk' : 'control'
      socket.once('message', () => {
        socket.send(greeting('c/curious', { lane }))
        socket.once('message', () => {
          socket.on('message', () => answers++)
          for (let n = 0; n < 10_000; n++) socket.send(new Uint8Array(0))
        })
      })
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const b = await TestNode.start(world, 'b')
    b.transport.setPeers([{ id: 'curious', address: `127.0.0.1:${(http.address() as { port: number }).port}` }])
    await until(() => b.links.includes('curious up') && answers >= 2)
    await wait(200)
    expect(answers).toBeLessThan(2000)
  })

  test('connections that stay mute, trickle, or never confirm are closed in time, and are never many (N4)', () =>
    undisturbed(world, async (a, at) => {
      let open = 0
      const trickles: NodeJS.Timeout[] = []
      for (let n = 0; n < 300; n++) {
        const socket = tcp(at)
        open++
        socket.on('close', () => open--)
        // An upgrade without end, or messages without end, a byte at a time, each well before it is missed.
        const bytes = Buffer.from(upgrade('/raftkit/bulk', [`X: ${'x'.repeat(8000)}`]))
        if (n % 3 === 1) {
          let said = 0
          trickles.push(setInterval(() => socket.write(bytes.subarray(said, ++said)), 500))
        }
        if (n % 3 === 2) {
          socket.write(upgrade())
          trickles.push(setInterval(() => socket.write(Buffer.from('028100000000aa', 'hex')), 500))
        }
        socket.resume()
      }
      await until(() => open <= 64)
      // And all the while, a peer gets in.
      const c = await TestNode.start(world, 'c', { address: null })
      c.transport.setPeers([a.peer])
      await until(() => c.state(a) === 'up')
      const unconfirmed = webSocket(at)
      await opened(unconfirmed)
      unconfirmed.send(greeting('c/mallory'))
      await Promise.all([until(() => open === 0), closed(unconfirmed)])
      for (const trickle of trickles) clearInterval(trickle)
      expect(a.links.filter((link) => link.startsWith('mallory'))).toEqual([])
    }))

  test('no more connections than the option says', () =>
    remain(3, { transport: () => wsTransport({ maxConnections: 3 }) }))

  test('whatever answers where a peer is dialled, it is told of once, and tried again', async () => {
    const answers: Record<string, (socket: Socket) => void> = {
      http: (socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
      'another http': (socket) =>
        socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      noise: (socket) => socket.write(noise(100_000)),
      nothing: (socket) => socket.end(),
      redirect: (socket) =>
        socket.end('HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n'),
    }
    const mallory = await TestNode.start(world, 'mallory')
    const answering = Object.entries(answers).map(([id, answer]) => [
      id,
      (socket: Socket) => socket.once('data', () => answer(socket)),
    ])
    await dialInVain(world, Object.fromEntries(answering), [{ id: 'another', address: mallory.peer.address! }])
    const told = (id: string) => reports.filter(({ peer }) => peer === id)
    expect(told('http')).toMatchObject([{ kind: 'refused', reason: expect.stringContaining('404 Not Found') }])
    expect(told('redirect')).toMatchObject([{ kind: 'refused', reason: expect.stringContaining('302 Found') }])
    expect(told('noise')).toMatchObject([
      { kind: 'refused', reason: expect.stringContaining('does not answer in HTTP') },
    ])
    expect(told('nothing')).toMatchObject([{ kind: 'unreachable' }])
    expect(told('another')[0]?.reason).toContain('another is expected there, but mallory answers')
    for (const id of Object.keys(answers)) expect(told(id).length, id).toBeLessThan(4)
  })
})
