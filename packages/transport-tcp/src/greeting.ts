import { decodeGreeting, encodeGreeting, encodeRefusal, type Greeting, maxGreetingBytes, Refusal } from '@raftkit/links'

/*
 * Before frames, both sides greet each other. Each begins with the 8 bytes "raftkit1", and says messages (greeting.ts of
 * @raftkit/links): u16 bytes of what follows, little-endian · the message. What a later version adds goes behind another name than
 * "raftkit1".
 */
const name = Buffer.from('raftkit1')

/** `first`: nothing else was said before. */
export function encode(greeting: Greeting, first: boolean): Buffer {
  return message(encodeGreeting(greeting), first)
}

/** `error`: whatever was thrown. */
export function encodeTurnedDown(error: unknown, first: boolean): Buffer {
  return message(encodeRefusal(error), first)
}

function message(body: Uint8Array, first: boolean): Buffer {
  const length = Buffer.from([body.length & 0xff, body.length >>> 8])
  return Buffer.concat(first ? [name, length, body] : [length, body])
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
  next(): Greeting | undefined {
    if (!this.#named || this.#held.length < 2) return undefined
    const length = this.#held.readUInt16LE(0)
    if (length === 0 || length > maxGreetingBytes) throw unreadable()
    if (this.#held.length < 2 + length) return undefined
    const bytes = this.#held.subarray(2, 2 + length)
    this.#held = this.#held.subarray(2 + length)
    return decodeGreeting(bytes)
  }

  /** What came behind the greeting. */
  rest(): Buffer {
    return this.#held
  }
}

const unreadable = (): Refusal => new Refusal('malformed', 'no greeting of a Raftkit node over TCP')
