import type { Socket } from 'node:net'
import { dial } from './dial.ts'
import { keyBytes, keyOf, randomKeys, randomValue } from './keys.ts'
import type { Wire, WirePlan } from './wire.ts'

// As much of HTTP/2 and gRPC as a load generator needs (RFC 9113, RFC 7541, the gRPC wire protocol): requests are encoded once and
// their stream and key patched in, answers are known by their frames. It costs a few microseconds for each request, where a
// complete client costs more than the server under test, on the same processors.

const frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const
const endStream = 1
const ack = 1
const endHeaders = 4
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const wideWindow = 2 ** 30

const bytes = (...parts: (number | string | Buffer)[]): Buffer =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'number' ? Buffer.of(part) : typeof part === 'string' ? Buffer.from(part) : part,
    ),
  )

function frameOf(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

function uint32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value)
  return out
}

const text = (value: string): Buffer => bytes(value.length, value)

/** The first request of a connection enters its header fields into the peer's table; those that follow name them there. */
function headerBlocks(path: string, authority: string): { first: Buffer; next: Buffer } {
  const method = 0x83 // :method POST, from the static table
  const scheme = 0x86 // :scheme http
  const entered = bytes(
    0x44,
    text(path),
    0x41,
    text(authority),
    0x5f,
    text('application/grpc'),
    0x40,
    text('te'),
    text('trailers'),
  )
  return { first: bytes(method, scheme, entered), next: bytes(method, scheme, 0xc1, 0xc0, 0xbf, 0xbe) }
}

function varint(value: number): Buffer {
  const out: number[] = []
  for (; value > 127; value >>>= 7) out.push((value & 127) | 128)
  return Buffer.of(...out, value)
}

/** A protobuf message of etcdserverpb: PutRequest { key = 1, value = 2 }, RangeRequest { key = 1, serializable = 7 }. */
function messageOf({ request, consistency, valueBytes }: WirePlan): Buffer {
  const key = bytes(0x0a, keyBytes, Buffer.alloc(keyBytes))
  if (request === 'get') return consistency === 'stale' ? bytes(key, 0x38, 1) : key
  return bytes(key, 0x12, varint(valueBytes), randomValue(valueBytes))
}

/** A whole PutRequest as the data of a gRPC call, for a generator that cannot make it. */
export function putMessage(key: string, valueBytes: number): Buffer {
  const message = bytes(0x0a, text(key), 0x12, varint(valueBytes), randomValue(valueBytes))
  return bytes(0, uint32(message.length), message)
}

/** One request as it goes out; `at…`: where stream and key are patched in. */
interface Template {
  readonly bytes: Buffer
  readonly atDataStream: number
  readonly atKey: number
  readonly flow: number
}

interface Templates {
  readonly first: Template
  readonly next: Template
}

function template(block: Buffer, message: Buffer): Template {
  const headers = frameOf(frame.headers, endHeaders, 0, block)
  const payload = bytes(0, uint32(message.length), message)
  const data = frameOf(frame.data, endStream, 0, payload)
  return {
    bytes: Buffer.concat([headers, data]),
    atDataStream: headers.length + 5,
    atKey: headers.length + 9 + 5 + 2,
    flow: payload.length,
  }
}

/** Requests to etcd's KV service over `connections` sockets, as many at once on each as are issued. */
export async function grpcWire(plan: WirePlan): Promise<Wire> {
  const { first, next } = headerBlocks(
    plan.request === 'put' ? '/etcdserverpb.KV/Put' : '/etcdserverpb.KV/Range',
    `127.0.0.1:${plan.port}`,
  )
  const message = messageOf(plan)
  const templates = { first: template(first, message), next: template(next, message) }
  const random = randomKeys(plan.keys)
  let sent = 0
  const key = plan.inOrder ? () => sent++ % plan.keys : random
  const wire: Wire = {
    finished: () => {},
    issue: (slot) => connections[slot % connections.length]!.issue(slot),
    close: () => {
      for (const connection of connections) connection.close()
    },
  }
  const connections = await Promise.all(
    Array.from({ length: plan.connections }, () => Connection.open(plan.port, templates, key, wire)),
  )
  return wire
}

class Connection {
  readonly #socket: Socket
  readonly #templates: Templates
  readonly #key: () => number
  readonly #wire: Wire
  readonly #slots = new Map<number, number>()
  readonly #answered = new Set<number>()
  #waiting: number[] = []
  #scheduled = false
  #stream = 1
  #carry: Buffer | undefined
  #sendWindow = 65_535
  #received = 0
  #closed = false

  static async open(port: number, templates: Templates, key: () => number, wire: Wire): Promise<Connection> {
    const socket = await dial(port, (chunk) => connection.#read(chunk))
    const connection = new Connection(socket, templates, key, wire)
    return connection
  }

  private constructor(socket: Socket, templates: Templates, key: () => number, wire: Wire) {
    this.#socket = socket
    this.#templates = templates
    this.#key = key
    this.#wire = wire
    const settings = bytes(0, 4, uint32(2 ** 20)) // INITIAL_WINDOW_SIZE
    socket.write(
      Buffer.concat([
        preface,
        frameOf(frame.settings, 0, 0, settings),
        frameOf(frame.windowUpdate, 0, 0, uint32(wideWindow)),
      ]),
    )
    socket.on('error', () => this.#fail())
    socket.on('close', () => this.#fail())
  }

  issue(slot: number): void {
    this.#waiting.push(slot)
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  close(): void {
    this.#closed = true
    this.#socket.destroy()
  }

  /** One write for all that was issued in this turn, as far as the peer's window allows. */
  #flush(): void {
    if (this.#closed) {
      this.#fail()
      return
    }
    const { flow } = this.#templates.next
    const count = Math.min(this.#waiting.length, Math.floor(this.#sendWindow / flow))
    if (count === 0) return
    const slots = this.#waiting.slice(0, count)
    this.#waiting = this.#waiting.slice(count)
    this.#sendWindow -= count * flow
    const isFirst = this.#stream === 1
    const out = Buffer.allocUnsafe(
      count * this.#templates.next.bytes.length +
        (isFirst ? this.#templates.first.bytes.length - this.#templates.next.bytes.length : 0),
    )
    let at = 0
    for (const slot of slots) {
      const { bytes, atDataStream, atKey } = this.#stream === 1 ? this.#templates.first : this.#templates.next
      bytes.copy(out, at)
      out.writeUInt32BE(this.#stream, at + 5)
      out.writeUInt32BE(this.#stream, at + atDataStream)
      out.write(keyOf(this.#key()), at + atKey, 'latin1')
      this.#slots.set(this.#stream, slot)
      this.#stream += 2
      at += bytes.length
    }
    this.#socket.write(out)
  }

  #read(chunk: Buffer): void {
    const input = this.#carry === undefined ? chunk : Buffer.concat([this.#carry, chunk])
    let at = 0
    while (at + 9 <= input.length) {
      const length = input.readUIntBE(at, 3)
      if (at + 9 + length > input.length) break
      const stream = input.readUInt32BE(at + 5) & 0x7fffffff
      this.#take(input[at + 3]!, input[at + 4]!, stream, input.subarray(at + 9, at + 9 + length))
      at += 9 + length
    }
    this.#carry = at < input.length ? Buffer.from(input.subarray(at)) : undefined
    if (this.#received < wideWindow / 2) return
    this.#socket.write(frameOf(frame.windowUpdate, 0, 0, uint32(this.#received)))
    this.#received = 0
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case frame.data:
        this.#received += payload.length
        this.#answered.add(stream)
        if (flags & endStream) this.#end(stream, false)
        break
      // A call that failed ends by its headers alone: gRPC calls that Trailers-Only.
      case frame.headers:
        if (flags & endStream) this.#end(stream, this.#answered.delete(stream))
        break
      case frame.reset:
        this.#end(stream, false)
        break
      case frame.settings:
        if (!(flags & ack)) this.#socket.write(frameOf(frame.settings, ack, 0, Buffer.alloc(0)))
        break
      case frame.ping:
        if (!(flags & ack)) this.#socket.write(frameOf(frame.ping, ack, 0, payload))
        break
      case frame.windowUpdate:
        if (stream !== 0) break
        this.#sendWindow += payload.readUInt32BE(0)
        if (this.#waiting.length > 0) this.#flush()
        break
      case frame.goaway:
        this.close()
        break
    }
  }

  #end(stream: number, succeeded: boolean): void {
    const slot = this.#slots.get(stream)
    if (slot === undefined) return
    this.#slots.delete(stream)
    this.#wire.finished(slot, succeeded)
  }

  /** Whatever waits has failed. It is told in a later turn: a loop that goes on at once must not spin. */
  #fail(): void {
    this.#closed = true
    const lost = [...this.#slots.values(), ...this.#waiting]
    this.#slots.clear()
    this.#waiting = []
    if (lost.length === 0) return
    setTimeout(() => {
      for (const slot of lost) this.#wire.finished(slot, false)
    }, 10)
  }
}
