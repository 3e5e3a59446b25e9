import type { Socket } from 'node:net'
import { dial } from './dial.ts'
import { keyBytes, keyOf, randomKeys, randomValue } from './keys.ts'
import type { Wire, WirePlan } from './wire.ts'

// As much of HTTP/1.1 as a load generator needs: the request is encoded once and its key patched in, the answer is known by its status
// and length. The same economy as `grpc.ts`, for the same reason.

interface Template {
  readonly bytes: Buffer
  readonly atKey: number
}

/** kv answers a `get` of no key by 404: those that are read must have been put. */
function template({ port, request, consistency = 'linearizable', valueBytes }: WirePlan): Template {
  const start = `${request === 'put' ? 'PUT' : 'GET'} /v1/kv/`
  const query = request === 'get' && consistency !== 'linearizable' ? `?consistency=${consistency}` : ''
  const body = request === 'put' ? JSON.stringify({ value: randomValue(valueBytes) }) : ''
  const content = request === 'put' ? `content-type: application/json\r\ncontent-length: ${body.length}\r\n` : ''
  const key = 'k'.repeat(keyBytes)
  return {
    bytes: Buffer.from(`${start}${key}${query} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${content}\r\n${body}`),
    atKey: start.length,
  }
}

/** Requests to kv over `connections` sockets; what finds all of them taken waits for its turn. */
export async function httpWire(plan: WirePlan): Promise<Wire> {
  const { bytes, atKey } = template(plan)
  const random = randomKeys(plan.keys)
  let sent = 0
  const key = plan.inOrder ? () => sent++ % plan.keys : random
  const request = (): Buffer => {
    const out = Buffer.from(bytes)
    out.write(keyOf(key()), atKey, 'latin1')
    return out
  }
  const waiting: number[] = []
  const free: Connection[] = []
  const wire: Wire = {
    finished: () => {},
    issue(slot) {
      const connection = free.pop()
      if (connection) connection.send(slot, request())
      else waiting.push(slot)
    },
    close: () => {
      for (const connection of all) connection.close()
    },
  }
  const ready = (connection: Connection) => {
    const slot = waiting.shift()
    if (slot === undefined) free.push(connection)
    else connection.send(slot, request())
  }
  const all: Connection[] = []
  // Some at a time: the server's queue of connections that are not yet accepted has its bound.
  while (all.length < plan.connections) {
    const count = Math.min(64, plan.connections - all.length)
    all.push(...(await Promise.all(Array.from({ length: count }, () => Connection.open(plan.port, ready, wire)))))
  }
  free.push(...Array.from({ length: plan.depth }, () => all).flat())
  return wire
}

const endOfHead = Buffer.from('\r\n\r\n')
const lengthField = /\r\ncontent-length: *(\d+)/i

class Connection {
  readonly #socket: Socket
  readonly #ready: (connection: Connection) => void
  readonly #wire: Wire
  #slots: number[] = []
  #out: Buffer[] = []
  #carry: Buffer | undefined
  #closed = false

  static async open(port: number, ready: (connection: Connection) => void, wire: Wire): Promise<Connection> {
    const socket = await dial(port, (chunk) => connection.#read(chunk))
    const connection = new Connection(socket, ready, wire)
    return connection
  }

  private constructor(socket: Socket, ready: (connection: Connection) => void, wire: Wire) {
    this.#socket = socket
    this.#ready = ready
    this.#wire = wire
    socket.on('error', () => this.#fail())
    socket.on('close', () => this.#fail())
  }

  /** One write for all that is sent in this turn. */
  send(slot: number, request: Buffer): void {
    this.#slots.push(slot)
    if (this.#closed) {
      this.#fail()
      return
    }
    this.#out.push(request)
    if (this.#out.length > 1) return
    queueMicrotask(() => {
      const out = this.#out
      this.#out = []
      if (!this.#closed) this.#socket.write(out.length === 1 ? out[0]! : Buffer.concat(out))
    })
  }

  close(): void {
    this.#closed = true
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    let input = this.#carry === undefined ? chunk : Buffer.concat([this.#carry, chunk])
    this.#carry = undefined
    while (input.length > 0) {
      const head = input.indexOf(endOfHead)
      if (head < 0) break
      const fields = input.toString('latin1', 0, head)
      const length = lengthField.exec(fields)?.[1]
      if (length === undefined) throw new Error(`an answer without content-length: ${fields}`)
      const end = head + 4 + Number(length)
      if (input.length < end) break
      input = input.subarray(end)
      const slot = this.#slots.shift()
      if (slot === undefined) throw new Error('an answer that nobody asked for')
      // "HTTP/1.1 200 …"
      this.#wire.finished(slot, fields.charCodeAt(9) === 0x32)
      this.#ready(this)
    }
    if (input.length > 0) this.#carry = Buffer.from(input)
  }

  #fail(): void {
    this.#closed = true
    const lost = this.#slots
    this.#slots = []
    if (lost.length === 0) return
    setTimeout(() => {
      for (const slot of lost) this.#wire.finished(slot, false)
    }, 10)
  }
}
