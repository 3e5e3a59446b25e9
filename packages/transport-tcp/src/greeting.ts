import type { Lane } from '@raftkit/contract'
import { type Hello, maxHelloBytes, Refusal, type RefusalKind } from '@raftkit/links'

/*
 * Before frames, both sides greet each other. All numbers are little-endian.
 *
 *   each side begins with    8 bytes "raftkit1"
 *   and says messages        u16 bytes of what follows · u8 kind · body
 *     1 hello                u8 lane: 0 control, 1 bulk · 8 bytes life · u32 maxFrameBytes · the receiver's hello
 *     2 admitted             nothing
 *     3 refused              u8 why · a sentence in ASCII
 *
 *   dialler:   "raftkit1" hello                       admitted | refused     frames …
 *   listener:                    "raftkit1" hello                            frames …
 *                                "raftkit1" refused
 *
 * The dialler's `admitted` opens the connection in both directions. A kind or a reason that is not known is malformed; what a
 * later version adds goes behind another name than "raftkit1".
 */
const name = Buffer.from('raftkit1')
const lanes: readonly Lane[] = ['control', 'bulk']
const reasons: readonly RefusalKind[] = ['malformed', 'refused', 'limits', 'connected', 'busy', 'failed']
const helloBytes = 1 + 8 + 4
/** Of one message, kind and all. */
const maxMessageBytes = 1 + helloBytes + maxHelloBytes

export type Message =
  | { readonly kind: 'hello'; readonly lane: Lane; readonly hello: Hello }
  | { readonly kind: 'admitted' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export function encodeHello(lane: Lane, { hello, life, maxFrameBytes }: Hello): Buffer {
  const fixed = Buffer.alloc(helloBytes)
  fixed.writeUInt8(lanes.indexOf(lane), 0)
  fixed.write(life, 1, 'hex')
  fixed.writeUInt32LE(maxFrameBytes, 9)
  return Buffer.concat([name, message(1, fixed, hello)])
}

export const admitted: Buffer = message(2)

/** `first`: nothing else was said before. */
export function encodeRefusal(error: unknown, first: boolean): Buffer {
  const { kind, reason } = error instanceof Refusal ? error : new Refusal('failed', String(error))
  const refusal = message(3, Buffer.from([reasons.indexOf(kind)]), Buffer.from(reason, 'latin1'))
  return first ? Buffer.concat([name, refusal]) : refusal
}

function message(kind: number, ...body: readonly Uint8Array[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 1)
  return Buffer.concat([Buffer.from([length & 0xff, length >>> 8, kind]), ...body])
}

/** Reads one side's greeting. Holds no more than one message and what came in one read. */
export class GreetingReader {
  #held: Buffer = Buffer.alloc(0)
  #named = false

  /** Adds what arrived. Throws a `Refusal` as soon as it is clear that this is no greeting. */
  add(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    if (this.#named) return
    const begun = Math.min(name.length, this.#held.length)
    if (this.#held.compare(name, 0, begun, 0, begun) !== 0) throw unreadable()
    if (begun < name.length) return
    this.#held = this.#held.subarray(begun)
    this.#named = true
  }

  /** The next message, once it is whole. Throws a `Refusal`. */
  next(): Message | undefined {
    if (!this.#named || this.#held.length < 2) return undefined
    const length = this.#held.readUInt16LE(0)
    if (length === 0 || length > maxMessageBytes) throw unreadable()
    if (this.#held.length < 2 + length) return undefined
    const bytes = this.#held.subarray(2, 2 + length)
    this.#held = this.#held.subarray(2 + length)
    return decode(bytes)
  }

  /** What came behind the greeting. */
  rest(): Buffer {
    return this.#held
  }
}

function decode(bytes: Buffer): Message {
  const body = bytes.subarray(1)
  if (bytes[0] === 1 && body.length >= helloBytes) {
    const lane = lanes[body[0]!]
    if (!lane) throw unreadable()
    const hello = new Uint8Array(body.subarray(helloBytes))
    return {
      kind: 'hello',
      lane,
      hello: { hello, life: body.toString('hex', 1, 9), maxFrameBytes: body.readUInt32LE(9) },
    }
  }
  if (bytes[0] === 2 && body.length === 0) return { kind: 'admitted' }
  if (bytes[0] === 3 && body.length >= 1) {
    const reason = reasons[body[0]!]
    if (!reason) throw unreadable()
    return { kind: 'refused', refusal: new Refusal(reason, body.toString('latin1', 1)) }
  }
  throw unreadable()
}

const unreadable = (): Refusal => new Refusal('malformed', 'no greeting of a Raftkit node over TCP')
