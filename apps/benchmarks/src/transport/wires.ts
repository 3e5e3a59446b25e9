import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { connect as connectByTls, createServer as createTlsServer } from 'node:tls'
import { createAuthority, issue } from '@raftkit/certificates'
import type { NodeId, Receiver } from '@raftkit/contract'
import { grpcTransport } from '@raftkit/transport-grpc'
import { type TcpTransport, type TcpTransportOptions, type Tls, tcpTransport } from '@raftkit/transport-tcp'
import { wsTransport } from '@raftkit/transport-ws'

const messageBytes = 256

/** A way to carry messages of 256 B between two processes, from one end. What is sent within one turn may go as one. */
export interface Wire {
  /** So many messages. */
  send(count: number): void
  close(): Promise<void>
}

/** Where the far end is reached, and what the near end shows it, if by TLS. */
export interface Place {
  readonly address: string
  readonly tls?: Tls
}

export interface WireKind {
  /** The far end: sends every message back. */
  answer(): Promise<Place>
  /** The near end. `heard`: so many messages came back. */
  dial(place: Place, heard: (count: number) => void): Promise<Wire>
}

const adapters = {
  'transport-tcp': tcpTransport,
  'transport-grpc': grpcTransport,
  'transport-ws': wsTransport,
} as const

export type Adapter = keyof typeof adapters
export const adapterKinds = Object.keys(adapters) as Adapter[]

export const wires = {
  /** Bytes, and no messages: what comes in one read is written back in one write. Nothing over TCP can be cheaper in Node. */
  'raw socket': {
    answer: () => listen((socket) => socket.on('data', (bytes) => socket.write(bytes))),
    dial: async (place, heard) => {
      const socket = await dialled(place)
      const count = counter()
      const many = Buffer.alloc(4096 * messageBytes, 7)
      socket.on('data', (bytes) => heard(count(bytes)))
      return {
        send: (count) => void socket.write(many.subarray(0, count * messageBytes)),
        close: async () => void socket.destroy(),
      }
    },
  },
  /** The same bytes as messages: each is cut out, and written by a call of its own; `cork` makes one system call of a turn's. */
  'raw socket, by message': byMessage(false),
  'raw TLS socket, by message': byMessage(true),
  'transport-tcp': adapter('transport-tcp', false),
  'transport-tcp+tls': adapter('transport-tcp', true),
  'transport-grpc': adapter('transport-grpc', false),
  'transport-grpc+tls': adapter('transport-grpc', true),
  'transport-ws': adapter('transport-ws', false),
  'transport-ws+tls': adapter('transport-ws', true),
} as const satisfies Readonly<Record<string, WireKind>>

export type Kind = keyof typeof wires
export const kinds = Object.keys(wires) as Kind[]

function byMessage(secure: boolean): WireKind {
  return {
    answer: () =>
      listen((socket) => {
        const cut = cutter()
        socket.on('data', (bytes) => corked(socket, () => cut(bytes, (message) => void socket.write(message))))
      }, secure),
    dial: async (place, heard) => {
      const socket = await dialled(place)
      const cut = cutter()
      const message = Buffer.alloc(messageBytes, 7)
      socket.on('data', (bytes) => corked(socket, () => cut(bytes, () => heard(1))))
      return {
        send: (count) => {
          for (let n = 0; n < count; n++) socket.write(message)
        },
        close: async () => void socket.destroy(),
      }
    },
  }
}

/** Of two ends, by one authority. */
async function certificates(): Promise<{ readonly far: Tls; readonly near: Tls }> {
  const authority = await createAuthority({ cluster: 'bench' })
  return { far: await issue(authority, { node: 'far' }), near: await issue(authority, { node: 'near' }) }
}

/** Both ways on the bulk lane, as records and their acknowledgements would go. */
function adapter(name: Adapter, secure: boolean): WireKind {
  const make = (tls: Tls | undefined): TcpTransport => {
    const told: TcpTransportOptions = tls ? { tls } : {}
    return adapters[name](told)
  }
  return {
    answer: async () => {
      const tls = secure ? await certificates() : undefined
      const transport = make(tls?.far)
      await transport.start(
        { id: 'far', address: '127.0.0.1:0' },
        host('far', (from, frame) => transport.send(from, [frame], 'bulk')),
      )
      return { address: transport.address!, ...(tls && { tls: tls.near }) }
    },
    dial: async ({ address, tls }, heard) => {
      const transport = make(tls)
      const up = new Promise<void>((resolve) => {
        const receiver = host('near', () => heard(1), resolve)
        void transport.start({ id: 'near' }, receiver).then(() => transport.setPeers([{ id: 'far', address }]))
      })
      await up
      const message = new Uint8Array(messageBytes).fill(7)
      return {
        send: (count) => {
          for (let n = 0; n < count; n++) transport.send('far', [message], 'bulk')
        },
        close: () => transport.close(),
      }
    },
  }
}

function host(id: NodeId, frame: Receiver['frame'], up: () => void = () => {}): Receiver {
  return {
    hello: () => new TextEncoder().encode(id),
    admit: (hello) => new TextDecoder().decode(hello),
    frame,
    link: (_, state) => {
      if (state === 'up') up()
    },
  }
}

async function listen(visit: (socket: Socket) => void, secure = false): Promise<Place> {
  const tls = secure ? await certificates() : undefined
  const welcome = (socket: Socket) => {
    // The near end cuts it when it has seen enough.
    socket.on('error', () => {})
    visit(socket)
  }
  const server = tls
    ? createTlsServer({ ...tls.far, noDelay: true, minVersion: 'TLSv1.3', requestCert: true }, welcome)
    : createServer({ noDelay: true }, welcome)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, ...(tls && { tls: tls.near }) }
}

async function dialled({ address, tls }: Place): Promise<Socket> {
  const [host, port] = address.split(':')
  const to = { host: host!, port: Number(port), noDelay: true }
  const socket = tls ? connectByTls({ ...to, ...tls, minVersion: 'TLSv1.3' }) : connect(to)
  await once(socket, tls ? 'secureConnect' : 'connect')
  // The far end is gone once it has given its result.
  socket.on('error', () => {})
  return socket
}

function corked(socket: Socket, work: () => void): void {
  socket.cork()
  work()
  socket.uncork()
}

/** How many messages are whole with these bytes. */
function counter(): (bytes: Buffer) => number {
  let bytesLeft = 0
  return (bytes) => {
    bytesLeft += bytes.length
    const whole = Math.floor(bytesLeft / messageBytes)
    bytesLeft -= whole * messageBytes
    return whole
  }
}

/** Cuts what arrives into messages: views where they are whole in one read. */
function cutter(): (bytes: Buffer, message: (message: Buffer) => void) => void {
  let begun: Buffer = Buffer.alloc(0)
  return (bytes, message) => {
    let at = 0
    if (begun.length > 0) {
      at = Math.min(messageBytes - begun.length, bytes.length)
      begun = Buffer.concat([begun, bytes.subarray(0, at)])
      if (begun.length < messageBytes) return
      message(begun)
    }
    for (; at + messageBytes <= bytes.length; at += messageBytes) message(bytes.subarray(at, at + messageBytes))
    begun = bytes.subarray(at)
  }
}
