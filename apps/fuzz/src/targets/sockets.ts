import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Receiver } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { grpcTransport } from '@raftkit/transport-grpc'
import { tcpTransport } from '@raftkit/transport-tcp'
import { wsTransport } from '@raftkit/transport-ws'
import type { Field } from '../mutation/fields.ts'
import { Disagreement, type Subject, type Target } from './target.ts'

const maxFrameBytes = 65_536
const secret = 'what every node of the fuzzed cluster knows'

/** What a dialler that knows the secret says to a challenge: where a hello stands in a greeting is written in greeting.ts of links. */
function proofOf(lane: string, hello: Uint8Array, challenge: Uint8Array): Uint8Array {
  const fixed = new Uint8Array(16)
  for (let i = 0; i < 8; i++) fixed[i] = hello[2 + i] ?? 0
  for (let i = 0; i < 4; i++) fixed[8 + i] = hello[13 - i] ?? 0
  const said = hello.subarray(62)
  new DataView(fixed.buffer).setUint32(12, said.length)
  return createHmac('sha256', secret)
    .update(`raftkit secret 1 dialler ${lane}\n`)
    .update(challenge)
    .update(fixed)
    .update(hello.subarray(14, 30))
    .update(said)
    .digest()
}

/** Admits whoever says its name, and remembers how many frames came. */
function receiver(own: string): Receiver & { frames: number; bytes: number } {
  const seen = {
    frames: 0,
    bytes: 0,
    hello: () => Buffer.from(`fuzz/${own}`),
    admit(hello: Uint8Array) {
      const [cluster, node] = Buffer.from(hello).toString('latin1').split('/')
      if (cluster !== 'fuzz' || !node || !/^n[0-9]$/.test(node)) throw new RaftkitError('REFUSED', `no ${node} here`)
      return node
    },
    frame(_from: string, frame: Uint8Array) {
      seen.frames++
      seen.bytes += frame.length
      if (frame.length > maxFrameBytes) throw new Disagreement(`a frame of ${frame.length} bytes`)
      return true
    },
    link() {},
  }
  return seen
}

/** All that each side of two connections, one per lane, says up to a few frames: caught by a listener that passes it on. */
async function conversation(): Promise<{ dialler: Uint8Array; listener: Uint8Array }[]> {
  const heard: { dialler: Buffer[]; listener: Buffer[] }[] = []
  const n1 = tcpTransport({ listen: '127.0.0.1:0', maxFrameBytes })
  const n2 = tcpTransport({ maxFrameBytes })
  const got = receiver('n1')
  await n1.start({ id: 'n1' }, got)
  const port = Number(n1.address!.split(':')[1])
  const sockets: Socket[] = []
  const between = createServer((socket) => {
    const on = connect(port, '127.0.0.1')
    const own = { dialler: [] as Buffer[], listener: [] as Buffer[] }
    heard.push(own)
    sockets.push(socket, on)
    socket
      .on('data', (data) => own.dialler.push(data))
      .on('error', () => {})
      .pipe(on)
    on.on('data', (data) => own.listener.push(data))
      .on('error', () => {})
      .pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(between, 'listening')
  const linked = new Promise<void>((resolve) => {
    void n2.start({ id: 'n2' }, { ...receiver('n2'), link: (_peer, state) => state === 'up' && resolve() })
  })
  n2.setPeers([{ id: 'n1', address: `127.0.0.1:${(between.address() as { port: number }).port}` }])
  await linked
  for (const size of [0, 1, 300])
    for (const lane of ['control', 'bulk'] as const) n2.send('n1', [new Uint8Array(size).fill(7)], lane)
  while (got.frames < 6) await new Promise((resolve) => setTimeout(resolve, 5))
  await Promise.all([n1.close(), n2.close()])
  for (const socket of sockets) socket.destroy()
  between.close()
  return heard.map(({ dialler, listener }) => ({ dialler: Buffer.concat(dialler), listener: Buffer.concat(listener) }))
}

const ended = (socket: Socket): Promise<unknown> =>
  socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve))

const side = (which: number, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(Buffer.concat([Uint8Array.of(which), bytes]))

/** Greetings and frames on a TCP connection, from whoever connects, and from whoever answers. */
export const tcp: Target = {
  name: 'tcp',
  weight: 5,
  parsers: {
    'packages/transport-tcp/src/greeting.ts': /^(add|next|rest|decode)$/,
    'packages/links/src/frames.ts': /^(read|#?fill|wordAt)$/,
  },
  tokens: ['raftkit1', 'fuzz/n2', 'fuzz/n1'].map((text) => Buffer.from(text)),
  // A frame that is announced is allocated, once its length is checked.
  allowance: 4 * maxFrameBytes + 65_536,
  largest: 8192,
  lasts: 3000,
  seeds: async () => {
    const said = await conversation()
    const name = Buffer.from('raftkit1')
    const refusal = Buffer.concat([name, Uint8Array.of(6, 0, 3, 1), Buffer.from('none')])
    const challenge = Buffer.concat([name, Uint8Array.of(17, 0, 4), Buffer.alloc(16, 3)])
    const words = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0xff, 0xff, 1, 0, 9)
    const proven = said.map(({ dialler }) => {
      const helloEnd = 10 + dialler[8]! + 256 * dialler[9]!
      return side(2, Buffer.concat([dialler.subarray(0, helloEnd), proof, dialler.subarray(helloEnd)]))
    })
    return [
      ...said.flatMap(({ dialler, listener }) => [side(0, dialler), side(1, listener), side(2, dialler)]),
      ...said.map(({ dialler }) => side(0, Buffer.concat([dialler, words]))),
      ...proven,
      side(1, refusal),
      side(0, refusal),
      side(3, challenge),
      side(3, Buffer.concat([challenge, (said[0]?.listener ?? name).subarray(8)])),
      side(1, challenge),
    ]
  },
  fields: (bytes) => {
    const fields: Field[] = [{ at: 0, size: 1, kind: 'number' }]
    const at = (at: number, size: number, kind: Field['kind']): void => {
      if (at + size <= bytes.length && size > 0) fields.push({ at, size, kind })
    }
    at(1, 8, 'content')
    let next = 9
    // Messages of the greeting, then words and frames.
    for (let kind = 0; next + 3 <= bytes.length && kind < 4; kind++) {
      const length = bytes[next]! + 256 * bytes[next + 1]!
      if (bytes[next + 2]! < 1 || bytes[next + 2]! > 5 || length === 0 || length > 9000) break
      at(next, 2, 'length')
      at(next + 2, 1, 'number')
      if (bytes[next + 2] === 1) {
        at(next + 3, 1, 'number')
        at(next + 4, 8, 'content')
        at(next + 12, 4, 'number')
        at(next + 16, 16, 'content')
        at(next + 32, 32, 'content')
        at(next + 64, length - 62, 'content')
      } else at(next + 3, length - 1, 'content')
      at(next, length + 2, 'content')
      next += length + 2
    }
    for (; next + 4 <= bytes.length; next += 4) at(next, 4, 'length')
    return fields
  },
  async open(): Promise<Subject> {
    const listen = { listen: '127.0.0.1:0', maxFrameBytes, maxConnections: 4096 }
    const [open, secretive] = [tcpTransport(listen), tcpTransport({ ...listen, secret })]
    const ports: number[] = []
    for (const transport of [open, secretive]) {
      await transport.start({ id: 'n1' }, receiver('n1'))
      ports.push(Number(transport.address!.split(':')[1]))
    }
    return {
      take(input) {
        const withSecret = ((input[0] ?? 0) & 2) !== 0
        // To be dialled takes twenty times as long.
        if ((input[0] ?? 0) & 1 && input.length % 8 === 0) return answer(input.subarray(1), withSecret)
        return call(ports[withSecret ? 1 : 0]!, input.subarray(1), withSecret)
      },
      close: () => Promise.all([open.close(), secretive.close()]),
    }
  },
}

/** In a greeting, where a proof without content stands: the right one takes its place, once the challenge is there. */
const proof = Buffer.concat([Uint8Array.of(33, 0, 5), new Uint8Array(32)])

/** Says it all, in two pieces, and hangs up. The listener must hang up, too. */
async function call(port: number, bytes: Uint8Array, withSecret: boolean): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const heard: Buffer[] = []
  socket.on('error', () => {}).on('data', (data) => heard.push(data))
  const told = Buffer.from(bytes)
  const proofAt = withSecret ? told.indexOf(proof) : -1
  if (proofAt > 10) {
    socket.write(told.subarray(0, proofAt))
    // Whoever has not heard a whole hello says nothing.
    for (let tries = 0; tries < 20 && heard.length === 0 && !socket.destroyed; tries++)
      await new Promise((resolve) => setImmediate(resolve))
    const answer = Buffer.concat(heard)
    if (answer[10] === 4 && answer.length >= 27)
      told.set(
        proofOf(told[11] === 1 ? 'bulk' : 'control', told.subarray(10, proofAt), answer.subarray(11, 27)),
        proofAt + 3,
      )
    socket.end(told.subarray(proofAt))
  } else if (bytes.length % 4 === 0) {
    const middle = bytes.length % 8 === 0 ? bytes.length % 64 : bytes.length >> 1
    socket.write(told.subarray(0, middle))
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    socket.end(told.subarray(middle))
  } else socket.end(told)
  await ended(socket)
}

/** Is dialled, and answers with it. The dialler must go away once it is told to. */
async function answer(bytes: Uint8Array, withSecret: boolean): Promise<void> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {}).resume()
    socket.write(bytes)
    setTimeout(() => socket.destroy(), 2)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const transport = tcpTransport({ maxFrameBytes, ...(withSecret && { secret }) })
  await transport.start({ id: 'n2' }, receiver('n2'))
  const dialled = once(server, 'connection')
  transport.setPeers([{ id: 'n1', address: `127.0.0.1:${(server.address() as { port: number }).port}` }])
  const [socket] = (await dialled) as [Socket]
  await ended(socket)
  await transport.close()
  server.close()
}

const greeted = (lane: number, name: string, nonce = 9): Uint8Array =>
  Buffer.concat([
    Uint8Array.of(1, lane, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 0),
    Buffer.alloc(16, nonce),
    Buffer.alloc(32),
    Buffer.from(name),
  ])

/** u16 bytes, a message: as many as there are. */
const inMessages = (first: number, ...messages: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat([
      Uint8Array.of(first),
      ...messages.flatMap((message) => [Uint8Array.of(message.length & 255, message.length >> 8), message]),
    ]),
  )

/** WebSocket: what a caller asks for in HTTP, the greeting, and the stream of frames in messages. */
export const ws: Target = {
  name: 'ws',
  weight: 4,
  parsers: {
    'packages/links/src/frames.ts': /^(read|#?fill|wordAt)$/,
    'packages/transport-ws/src/gate.ts': /^laneOf$/,
    'packages/links/src/greeting.ts': /^decodeGreeting$/,
  },
  tokens: ['fuzz/n2', 'fuzz/n1'].map((text) => Buffer.from(text)),
  allowance: 1 << 20,
  heapAllowance: 32 << 20,
  largest: 8192,
  lasts: 1000,
  seeds: async () => {
    const admitted = Uint8Array.of(2)
    const proven = Buffer.concat([Uint8Array.of(5), Buffer.alloc(32)])
    const frames = Uint8Array.of(3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 10, 0, 0, 0, 1)
    const hello = greeted(0, 'fuzz/n2')
    return [
      inMessages(
        0,
        hello,
        admitted,
        frames,
        new Uint8Array(0),
        Uint8Array.of(2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 0),
        Uint8Array.of(0, 0),
      ),
      inMessages(1, greeted(1, 'fuzz/n2'), admitted, frames),
      inMessages(2, hello, admitted, Uint8Array.of(0xff, 0xff, 0xff, 0xff)),
      inMessages(4, hello),
      inMessages(8, hello, admitted),
      inMessages(3, hello),
      inMessages(32, hello, proven, admitted, frames),
      inMessages(32, hello, Buffer.alloc(33, 5), admitted),
      inMessages(0, greeted(0, 'other/n2')),
      inMessages(0, greeted(1, 'fuzz/n2'), admitted),
      inMessages(0, Uint8Array.of(3, 1, 0x6e, 0x6f)),
      inMessages(0, Buffer.concat([Uint8Array.of(4), Buffer.alloc(16)])),
      inMessages(16, Uint8Array.of(0x82, 0x81, 0, 0, 0, 0, 2, 0x81, 0x80, 0, 0, 0, 0, 0x89, 0x80, 0, 0, 0, 0)),
    ]
  },
  async open(): Promise<Subject> {
    const listen = { listen: '127.0.0.1:0', maxFrameBytes, maxConnections: 4096 }
    const both = [wsTransport(listen), wsTransport({ ...listen, secret })]
    const ports: number[] = []
    for (const transport of both) {
      await transport.start({ id: 'n1' }, receiver('n1'))
      ports.push(Number(transport.address!.split(':').at(-1)))
    }
    return {
      take: (input) => upgrade(ports[((input[0] ?? 0) & 32) === 0 ? 0 : 1]!, input),
      close: () => Promise.all(both.map((transport) => transport.close())),
    }
  },
}

/** A binary message of a client, whose mask changes nothing. */
const masked = (bytes: Uint8Array, opcode = 0x82): Buffer =>
  Buffer.concat([
    bytes.length < 126
      ? Uint8Array.of(opcode, 128 | bytes.length)
      : Uint8Array.of(opcode, 128 | 126, bytes.length >> 8, bytes.length & 255),
    new Uint8Array(4),
    bytes,
  ])

/** The first byte: 1, 2 which path; 4 a page's origin; 8 no subprotocol; 16 what follows is no message, but bytes; 32 with a secret. */
async function upgrade(port: number, input: Uint8Array): Promise<void> {
  const how = input[0] ?? 0
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const heard: Buffer[] = []
  socket.on('error', () => {}).on('data', (data) => heard.push(data))
  const path = ['/raftkit/control', '/raftkit/bulk', '/raftkit/control?x=/bulk', '/raftkit'][how & 3]
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: n1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
  ]
  lines.push('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')
  if (how & 4) lines.push('Origin: https://pages.test')
  if ((how & 8) === 0) lines.push('Sec-WebSocket-Protocol: chat, raftkit1')
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  await Promise.race([once(socket, 'data'), ended(socket)]).catch(() => undefined)
  if (how & 16) socket.write(input.subarray(1))
  let hello: Uint8Array = new Uint8Array(0)
  for (let at = 1; (how & 16) === 0 && at + 2 <= input.length && !socket.destroyed; ) {
    const end = Math.min(input.length, at + 2 + input[at]! + 256 * input[at + 1]!)
    const message = Buffer.from(input.subarray(at + 2, end))
    at = end
    if (message[0] === 1) hello = message
    if (how & 32 && message[0] === 5 && message.length === 33 && message.every((byte, i) => i === 0 || byte === 0)) {
      const challenge = await saidBy(socket, heard)
      if (challenge?.length === 17)
        message.set(proofOf((how & 3) === 1 ? 'bulk' : 'control', hello, challenge.subarray(1)), 1)
    }
    socket.write(masked(message))
  }
  // Farewell, and what it says by itself is heard out.
  socket.end(masked(Uint8Array.of(0x03, 0xe8), 0x88))
  await ended(socket)
}

/** The first message behind the answer in HTTP. */
async function saidBy(socket: Socket, heard: readonly Buffer[]): Promise<Uint8Array | undefined> {
  for (let tries = 0; tries < 20 && !socket.destroyed; tries++) {
    const all = Buffer.concat(heard)
    const at = all.indexOf('\r\n\r\n') + 4
    if (at > 3 && all.length >= at + 2) return all.subarray(at + 2, at + 2 + (all[at + 1]! & 127))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return undefined
}

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]

/**
 * An input: u16 bytes of hello, the hello of the metadata, then what a message of the stream holds. In that number, 0x8000: the listener asks for a
 * secret; 0x4000: u8 bytes of a first message stand in front of it, in place of the one that admits.
 */
const grpcInput = (hello: readonly number[], frames: readonly number[], flags = 0): Uint8Array =>
  Uint8Array.from([hello.length & 255, (hello.length >> 8) | (flags >> 8), ...hello, ...frames])

const grpcHello = (name: string): number[] => [
  ...[0x0a, ...varint(name.length), ...Buffer.from(name)],
  ...[0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8],
  ...[0x18, ...varint(maxFrameBytes)],
  ...[0x22, 16, ...Array<number>(16).fill(9)],
]

/** The protobuf of the gRPC transport: the hello in the metadata, the frames in the messages. */
export const grpc: Target = {
  name: 'grpc',
  weight: 4,
  parsers: {
    'packages/transport-grpc/src/wire.ts': /^(decodeHello|decodeOpening|readFrames|number|slice)$/,
    'packages/transport-grpc/src/greeting.ts': /^heard$/,
  },
  tokens: [
    Uint8Array.of(0x0a),
    Uint8Array.of(0x12, 8),
    Uint8Array.of(0x18, 0xff, 0xff, 0xff, 0xff, 0x0f),
    Uint8Array.of(0x80),
    Uint8Array.of(0x0d),
    Buffer.from('fuzz/n2'),
  ],
  // HTTP/2 has its own buffers, and gRPC another for each message.
  allowance: 1 << 20,
  heapAllowance: 32 << 20,
  largest: 6000,
  lasts: 1000,
  seeds: async () => [
    grpcInput(grpcHello('fuzz/n2'), [0x0a, 3, 1, 2, 3, 0x0a, 0]),
    grpcInput(grpcHello('fuzz/n2'), [0x0a, ...varint(300), ...Array<number>(300).fill(7)]),
    grpcInput(grpcHello('other/n2'), []),
    grpcInput([...grpcHello('fuzz/n2'), 0x30, 0xac, 0x02, 0x3a, 1, 9], [0x0a, 1, 1]),
    grpcInput(
      [...grpcHello('fuzz/n2'), 0x2a, 32, ...Array<number>(32).fill(7)],
      [0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
    ),
    grpcInput(grpcHello('fuzz/n2'), [0x0a, 9, 1]),
    grpcInput(grpcHello('fuzz/n2'), [0x12, 1, 1]),
    // The proof stands without content: the right one takes its place.
    grpcInput(grpcHello('fuzz/n2'), [34, 0x12, 32, ...Array<number>(32).fill(0), 0x0a, 2, 1, 2], 0xc000),
    grpcInput(grpcHello('fuzz/n2'), [34, 0x12, 32, ...Array<number>(32).fill(1)], 0xc000),
    grpcInput(grpcHello('fuzz/n2'), [0x0a, 1, 1], 0x8000),
    grpcInput(grpcHello('fuzz/n2'), [4, 0x22, 2, 0x6e, 0x6f], 0x4000),
    grpcInput(
      grpcHello('fuzz/n2'),
      [2 + grpcHello('fuzz/n1').length, 0x1a, grpcHello('fuzz/n1').length, ...grpcHello('fuzz/n1')],
      0x4000,
    ),
    grpcInput(grpcHello('fuzz/n2'), [4, 0x22, 9, 0x6e, 0x6f], 0x4000),
    grpcInput(grpcHello('fuzz/n2'), [3, 0x2a, 1, 5], 0x4000),
  ],
  async open(): Promise<Subject> {
    const listen = { listen: '127.0.0.1:0', maxFrameBytes, maxConnections: 4096 }
    const both = [grpcTransport(listen), grpcTransport({ ...listen, secret })]
    for (const transport of both) await transport.start({ id: 'n1' }, receiver('n1'))
    return {
      take: (input) => stream(`http://${both[((input[1] ?? 0) & 0x80) === 0 ? 0 : 1]!.address}`, input),
      close: () => Promise.all(both.map((transport) => transport.close())),
    }
  },
}

async function stream(address: string, input: Uint8Array): Promise<void> {
  const flags = input[1] ?? 0
  const helloEnd = 2 + Math.min((input[0] ?? 0) + 256 * (flags & 0x1f), Math.max(0, input.length - 2))
  const hello = Buffer.from(input.subarray(2, helloEnd)).toString('base64').replace(/=+$/, '')
  const firstEnd = flags & 0x40 ? Math.min(input.length, helloEnd + 1 + (input[helloEnd] ?? 0)) : helloEnd
  const first = Buffer.from(input.subarray(Math.min(firstEnd, helloEnd + 1), firstEnd))
  const message = Buffer.from(input.subarray(firstEnd))
  const session = connectHttp2(address)
  session.on('error', () => {})
  const closed = new Promise((resolve) => session.once('close', resolve))
  const call = session.request({
    ':method': 'POST',
    ':path': `/raftkit.transport.v1.Transport/${input.length % 2 ? 'Control' : 'Bulk'}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    'raftkit-hello-bin': hello,
  })
  call.on('error', () => {}).resume()
  const lane = input.length % 2 ? 'control' : 'bulk'
  if (first.equals(emptyProof)) {
    const headers = new Promise<Record<string, unknown> | undefined>((resolve) => {
      call.once('response', (headers) => resolve(headers)).once('close', () => resolve(undefined))
    })
    const challenge = Buffer.from(String((await headers)?.['raftkit-challenge-bin'] ?? ''), 'base64')
    first.set(proofOf(lane, greeted(0, 'fuzz/n2'), challenge), 2)
  }
  const framed = (message: Buffer): Buffer => {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(message.length, 1)
    return Buffer.concat([head, message])
  }
  // The first message, which admits where it is empty, then one that holds what was made up.
  call.write(
    Buffer.concat([
      framed(first),
      ...(flags & 0x40 && message.length > 0 ? [framed(Buffer.alloc(0))] : []),
      framed(message),
    ]),
  )
  call.end()
  await new Promise((resolve) => call.once('close', resolve))
  session.destroy()
  await closed
}

const emptyProof = Buffer.concat([Uint8Array.of(0x12, 32), Buffer.alloc(32)])
