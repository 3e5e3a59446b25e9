import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Receiver } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { grpcTransport } from '@raftkit/transport-grpc'
import { tcpTransport } from '@raftkit/transport-tcp'
import type { Field } from '../mutation/fields.ts'
import { Disagreement, type Subject, type Target } from './target.ts'

const maxFrameBytes = 65_536

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
    'packages/transport-tcp/src/frames.ts': /^(read|#?fill|wordAt)$/,
  },
  tokens: ['raftkit1', 'fuzz/n2', 'fuzz/n1'].map((text) => Buffer.from(text)),
  // A frame that is announced is allocated, once its length is checked.
  allowance: 4 * maxFrameBytes + 65_536,
  largest: 8192,
  lasts: 3000,
  seeds: async () => {
    const said = await conversation()
    const refusal = Buffer.concat([Buffer.from('raftkit1'), Uint8Array.of(6, 0, 3, 1), Buffer.from('none')])
    const words = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0xff, 0xff, 1, 0, 9)
    return [
      ...said.flatMap(({ dialler, listener }) => [side(0, dialler), side(1, listener)]),
      ...said.map(({ dialler }) => side(0, Buffer.concat([dialler, words]))),
      side(1, refusal),
    ]
  },
  fields: (bytes) => {
    const fields: Field[] = [{ at: 0, size: 1, kind: 'number' }]
    const at = (at: number, size: number, kind: Field['kind']): void => {
      if (at + size <= bytes.length && size > 0) fields.push({ at, size, kind })
    }
    at(1, 8, 'content')
    const length = bytes.length > 11 ? bytes[9]! + 256 * bytes[10]! : 0
    at(9, 2, 'length')
    at(11, 1, 'number')
    at(12, 1, 'number')
    at(13, 8, 'content')
    at(21, 4, 'number')
    at(25, length - 14, 'content')
    at(9, length + 2, 'content')
    for (let next = 11 + length; next + 4 <= bytes.length; next += 4) at(next, 4, 'length')
    return fields
  },
  async open(): Promise<Subject> {
    const own = receiver('n1')
    const transport = tcpTransport({ listen: '127.0.0.1:0', maxFrameBytes, maxConnections: 4096 })
    await transport.start({ id: 'n1' }, own)
    const port = Number(transport.address!.split(':')[1])
    return {
      // To be dialled takes twenty times as long.
      take: (input) =>
        input[0] === 1 && input.length % 8 === 0 ? answer(input.subarray(1)) : call(port, input.subarray(1)),
      close: () => transport.close(),
    }
  },
}

/** Says it all, in two pieces, and hangs up. The listener must hang up, too. */
async function call(port: number, bytes: Uint8Array): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {}).resume()
  const middle = bytes.length >> 1
  if (bytes.length % 4 === 0) {
    socket.write(bytes.subarray(0, middle))
    await new Promise((resolve) => setImmediate(resolve))
    socket.end(bytes.subarray(middle))
  } else socket.end(bytes)
  await ended(socket)
}

/** Is dialled, and answers with it. The dialler must go away once it is told to. */
async function answer(bytes: Uint8Array): Promise<void> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {}).resume()
    socket.write(bytes)
    setTimeout(() => socket.destroy(), 2)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const transport = tcpTransport({ maxFrameBytes })
  await transport.start({ id: 'n2' }, receiver('n2'))
  const dialled = once(server, 'connection')
  transport.setPeers([{ id: 'n1', address: `127.0.0.1:${(server.address() as { port: number }).port}` }])
  const [socket] = (await dialled) as [Socket]
  await ended(socket)
  await transport.close()
  server.close()
}

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]

/** An input: u16 bytes of hello, the hello of the metadata, then what the messages of the stream hold. */
const grpcInput = (hello: readonly number[], frames: readonly number[]): Uint8Array =>
  Uint8Array.from([hello.length & 255, hello.length >> 8, ...hello, ...frames])

const grpcHello = (name: string): number[] => [
  ...[0x0a, ...varint(name.length), ...Buffer.from(name)],
  ...[0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8],
  ...[0x18, ...varint(maxFrameBytes)],
]

/** The protobuf of the gRPC transport: the hello in the metadata, the frames in the messages. */
export const grpc: Target = {
  name: 'grpc',
  weight: 4,
  parsers: {
    'packages/transport-grpc/src/wire.ts': /^(decodeHello|readFrames|number|slice)$/,
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
    grpcInput([...grpcHello('fuzz/n2'), 0x20, 0xac, 0x02, 0x2a, 1, 9], [0x0a, 1, 1]),
  ],
  async open(): Promise<Subject> {
    const own = receiver('n1')
    const transport = grpcTransport({ listen: '127.0.0.1:0', maxFrameBytes, maxConnections: 4096 })
    await transport.start({ id: 'n1' }, own)
    return {
      take: (input) => stream(`http://${transport.address}`, input),
      close: () => transport.close(),
    }
  },
}

async function stream(address: string, input: Uint8Array): Promise<void> {
  const helloEnd = 2 + Math.min((input[0] ?? 0) + 256 * (input[1] ?? 0), Math.max(0, input.length - 2))
  const hello = Buffer.from(input.subarray(2, helloEnd)).toString('base64').replace(/=+$/, '')
  const message = Buffer.from(input.subarray(helloEnd))
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
  // The empty message that admits, then one that holds what was made up.
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  call.write(Buffer.concat([Buffer.alloc(5), head, message]))
  call.end()
  await new Promise((resolve) => call.once('close', resolve))
  session.destroy()
  await closed
}
