import type { Socket } from 'node:net'
import type { Lane } from '@raftkit/contract'
import { type Greeting, type Hello, Refusal } from '@raftkit/links'
import { dialInVain, remain, undisturbed } from '@raftkit/testing/hostile'
import { closeAll, TestNode } from '@raftkit/testing/node'
import { noise } from '@raftkit/testing/noise'
import { closeStrangers, ended, tcp } from '@raftkit/testing/strangers'
import { until, wait } from '@raftkit/testing/until'
import { type TransportReport, tcpTransport } from '@raftkit/transport-tcp'
import { afterEach, describe, expect, test } from 'vitest'
import { encodeFrames } from '../src/frames.ts'
import { encode, encodeTurnedDown, GreetingReader } from '../src/greeting.ts'

const reports: TransportReport[] = []
const world = {
  transport: () =>
    tcpTransport({ maxFrameBytes: 65_536, maxConnections: 100, onReport: (report) => reports.push(report) }),
}
const life = '00112233445566ff'
const mallory: Hello = {
  hello: Buffer.from('c/mallory'),
  life,
  maxFrameBytes: 65_536,
  nonce: noise(16),
  proof: new Uint8Array(0),
}
const encodeHello = (lane: Lane, hello: Hello) => encode({ kind: 'hello', lane, hello }, true)
const admitted = encode({ kind: 'admitted' }, false)

/** What the other side greets with, until it closes or has said so many messages. */
function greetings(socket: Socket, count: number): Promise<Greeting[]> {
  const reader = new GreetingReader()
  const messages: Greeting[] = []
  return new Promise((resolve) => {
    socket.on('close', () => resolve(messages))
    socket.on('data', (chunk) => {
      reader.add(chunk)
      for (let message = reader.next(); message; message = reader.next()) messages.push(message)
      if (messages.length >= count) resolve(messages)
    })
  })
}

function frame(size: number): Buffer {
  return Buffer.concat(encodeFrames([[noise(size)]], Buffer.alloc(size + 4)))
}

describe('whatever comes to the port', { timeout: 60_000 }, () => {
  afterEach(async () => {
    closeStrangers()
    reports.length = 0
    await closeAll()
  })

  test('noise, HTTP, TLS, a length of 2^32 - 1, a name alone, and connections that are dropped at once', () =>
    undisturbed(world, async (a, at) => {
      const garbage = [
        noise(100_000),
        Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
        Buffer.from([0x16, 3, 1, 2, 0]),
        Buffer.from('ffffffff', 'hex'),
        Buffer.concat([Buffer.from('raftkit1'), Buffer.from('ffffffff', 'hex')]),
        Buffer.concat([Buffer.from('raftkit1'), noise(50_000)]),
        admitted,
        Buffer.concat([Buffer.from('raftkit1'), admitted, frame(100)]),
        encodeTurnedDown(new Refusal('busy', 'no'), true),
      ]
      for (const bytes of garbage) {
        const socket = tcp(at)
        socket.write(bytes)
        await ended(socket)
      }
      for (const cut of [3, 8, 9, 20]) {
        const socket = tcp(at)
        socket.end(encodeHello('bulk', mallory).subarray(0, cut))
        await ended(socket)
      }
      for (let n = 0; n < 50; n++) tcp(at).destroy()
      await wait(20)
      expect(a.admitted.every((id) => id === 'b')).toBe(true)
    }))

  test('a hello of another cluster, of our own name, of another limit: each is told why (N1)', () =>
    undisturbed(world, async (a, at) => {
      const told = async (hello: string, maxFrameBytes = 65_536) => {
        const socket = tcp(at)
        socket.write(encodeHello('control', { ...mallory, hello: Buffer.from(hello), maxFrameBytes }))
        const [answer] = await greetings(socket, 1)
        await ended(socket)
        return answer?.kind === 'refused' ? `${answer.refusal.kind}: ${answer.refusal.reason}` : answer?.kind
      }
      expect(await told('other/mallory')).toBe('refused: REFUSED: this is c/a, and you are other/mallory')
      expect(await told('c/a')).toBe('refused: a is the name of this node itself')
      expect(await told('c/mallory', 100_000)).toContain('limits: maxFrameBytes is 65536 here and 100000 there')
      expect(await told('ö\u0000\ud83d/mallory')).toMatch(/^refused: REFUSED: this is c\/a, and you are [ -~]*$/)
      expect(a.links).toEqual(['b up'])
      expect(new Set(reports.map(({ kind }) => kind))).toEqual(new Set(['refused']))
    }))

  test('frames before the dialler is admitted are not read', () =>
    undisturbed(world, async (a, at) => {
      const stranger = tcp(at)
      const hello = encodeHello('bulk', { ...mallory, hello: Buffer.from('other/mallory') })
      stranger.write(Buffer.concat([hello, admitted, ...Array.from({ length: 50 }, () => frame(1000))]))
      await ended(stranger)
      expect(a.heard.every(({ from }) => from === 'b')).toBe(true)
    }))

  /** A peer that is admitted, and then goes wrong. */
  async function intruder(a: TestNode): Promise<Socket> {
    const heard = () => a.heard.filter(({ from }) => from === 'mallory').length
    const before = heard()
    const socket = tcp(a.peer.address!)
    socket.write(encodeHello('control', mallory))
    expect(await greetings(socket, 1)).toMatchObject([{ kind: 'hello' }])
    socket.write(admitted)
    socket.write(frame(5))
    await until(() => heard() > before)
    return socket
  }

  test('an admitted peer that sends a length above the limit is reported and closed before anything is allocated', () =>
    undisturbed(world, async (a) => {
      for (const length of ['01000100', '00000080', 'feffffff']) {
        const socket = await intruder(a)
        const before = process.memoryUsage().arrayBuffers
        socket.write(Buffer.from(`01000000aa${length}`, 'hex'))
        await ended(socket)
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4_000_000)
        expect(a.heard.every(({ frame }) => frame.length < 100)).toBe(true)
      }
      expect(reports).toMatchObject([{ kind: 'malformed', peer: 'mallory' }])
    }))

  test('an admitted peer that ends within a frame leaves nothing of it', () =>
    undisturbed(world, async (a) => {
      const socket = await intruder(a)
      socket.end(frame(60_000).subarray(0, 30_000))
      await ended(socket)
      await wait(20)
      expect(a.heard.every(({ frame }) => frame.length < 100)).toBe(true)
    }))

  test('connections that stay mute, trickle, or never confirm are closed in time, and are never many (N4)', () =>
    undisturbed(world, async (a, at) => {
      let open = 0
      const trickles: NodeJS.Timeout[] = []
      for (let n = 0; n < 300; n++) {
        const socket = tcp(at)
        open++
        socket.on('close', () => open--)
        // A hello without end, one byte at a time, each well before it is missed.
        if (n % 2) {
          const hello = encodeHello('bulk', { ...mallory, hello: noise(8000) })
          let said = 0
          trickles.push(setInterval(() => socket.write(hello.subarray(said, ++said)), 500))
        }
        socket.resume()
      }
      await until(() => open <= 64)
      // And all the while, a peer gets in.
      const c = await TestNode.start(world, 'c', { address: null })
      c.transport.setPeers([a.peer])
      await until(() => c.state(a) === 'up')
      const unconfirmed = tcp(at)
      unconfirmed.write(encodeHello('control', mallory))
      await Promise.all([until(() => open === 0), ended(unconfirmed)])
      for (const trickle of trickles) clearInterval(trickle)
      expect(a.links.filter((link) => link.startsWith('mallory'))).toEqual([])
    }))

  test('no more connections than the option says', () =>
    remain(3, { transport: () => tcpTransport({ maxConnections: 3 }) }))

  test('whatever answers where a peer is dialled, it is told of once, and tried again', async () => {
    const answers: Record<string, (socket: Socket) => void> = {
      http: (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      noise: (socket) => socket.write(noise(100_000)),
      nothing: (socket) => socket.end(),
      frames: (socket) => socket.write(frame(100)),
      'another lane': (socket) => {
        const other = (lane: Lane): Lane => (lane === 'control' ? 'bulk' : 'control')
        void greetings(socket, 1).then(([hello]) => {
          if (hello?.kind === 'hello')
            socket.write(encodeHello(other(hello.lane), { ...mallory, hello: Buffer.from('c/another lane') }))
        })
      },
      another: (socket) => socket.write(encodeHello('control', mallory)),
    }
    await dialInVain(world, answers)
    const told = (id: string) => reports.filter(({ peer }) => peer === id)
    expect(told('http')).toMatchObject([{ kind: 'refused' }])
    expect(told('nothing')).toMatchObject([{ kind: 'unreachable' }])
    expect(told('another')[0]?.reason).toContain('another is expected there, but mallory answers')
    for (const id of Object.keys(answers)) expect(told(id).length, id).toBeLessThan(4)
  })
})
