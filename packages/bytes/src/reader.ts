import { RaftkitError } from '@raftkit/contract'
import { decodeText } from './text.ts'
import { canonicalNaN, largestText } from './writer.ts'

const scratch = new Uint8Array(8)
const scratchView = new DataView(scratch.buffer)

/**
 * Reads little-endian fields of `bytes[offset … end)` one behind the other. Bytes that do not follow the layout throw `MALFORMED`,
 * with what was read and where; no length is believed before the bytes are there, so a hostile one allocates nothing.
 */
export class Reader {
  #bytes: Uint8Array
  #at: number
  #end: number

  constructor(bytes: Uint8Array, offset = 0, end: number = bytes.length) {
    if (!(offset >= 0 && offset <= end && end <= bytes.length))
      throw new RaftkitError('INVARIANT', `cannot read from ${offset} to ${end} of ${bytes.length} bytes`)
    this.#bytes = plain(bytes)
    this.#at = offset
    this.#end = end
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  /** Where the next field begins, in `bytes`. */
  get position(): number {
    return this.#at
  }

  u8(): number {
    return this.#bytes[this.#take(1, 'u8')]!
  }

  u16(): number {
    const at = this.#take(2, 'u16')
    return this.#bytes[at]! | (this.#bytes[at + 1]! << 8)
  }

  u32(): number {
    return getU32(this.#bytes, this.#take(4, 'u32'))
  }

  /** An integer 0 … 2^53-1; anything beyond is malformed. */
  u64(): number {
    const at = this.#take(8, 'u64')
    const n = getU64(this.#bytes, at)
    if (n > Number.MAX_SAFE_INTEGER) throw malformed('a u64 is beyond 2^53-1', at)
    return n
  }

  /** -0 is kept; a NaN other than the one that is written is malformed, so that equal values have equal bytes. */
  f64(): number {
    const at = this.#take(8, 'f64')
    for (let i = 0; i < 8; i++) scratch[i] = this.#bytes[at + i]!
    const n = scratchView.getFloat64(0, true)
    if (Number.isNaN(n) && scratch.some((byte, i) => byte !== canonicalNaN[i]))
      throw malformed('a NaN of its own kind', at)
    return n
  }

  /** A view. */
  raw(count: number): Uint8Array {
    const at = this.#take(count, 'bytes')
    return this.#bytes.subarray(at, this.#at)
  }

  /** u32 length, then as many bytes: a view. More than `max` is malformed. */
  bytes(max?: number): Uint8Array {
    const at = this.#sized('bytes', max)
    return this.#bytes.subarray(at, this.#at)
  }

  /** u32 length in bytes, then strict UTF-8. More than `max` bytes is malformed. */
  text(max: number = largestText): string {
    const at = this.#sized('text', Math.min(max, largestText))
    const text = decodeText(this.#bytes, at, this.#at)
    if (text === undefined) throw malformed('a text is not well-formed UTF-8', at)
    return text
  }

  /** A u32 that says how many things follow. If each takes `minBytesEach` or more, so many must still fit: check before you allocate for them. */
  count(minBytesEach: number): number {
    const n = this.u32()
    if (n * minBytesEach > this.remaining)
      throw malformed(`a count of ${n} does not fit ${this.remaining} bytes`, this.#at - 4)
    return n
  }

  /** All that remains: a view. */
  rest(): Uint8Array {
    return this.raw(this.remaining)
  }

  /** Nothing may remain. */
  end(): void {
    if (this.#at !== this.#end) throw malformed(`${this.remaining} bytes too many`, this.#at)
  }

  #sized(what: string, max: number | undefined): number {
    const length = this.u32()
    if (max !== undefined && length > max)
      throw malformed(`${length} bytes of ${what}, at most ${max} are allowed`, this.#at - 4)
    return this.#take(length, what)
  }

  #take(count: number, what: string): number {
    const at = this.#at
    if (!(count >= 0 && count <= this.#end - at))
      throw malformed(`${what} of ${count} bytes, ${this.remaining} remain`, at)
    this.#at = at + count
    return at
  }
}

/**
 * The same bytes as nothing but a Uint8Array. Disks and sockets give Buffers, whose slices are views: what is a Buffer on one
 * replica and none on another would make replicas differ.
 */
export function plain(bytes: Uint8Array): Uint8Array {
  if (Object.getPrototypeOf(bytes) === Uint8Array.prototype) return bytes
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

export function getU32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)) >>> 0
}

/** Exact up to 2^53-1; whatever is larger stays larger, so that the caller can refuse it. */
export function getU64(bytes: Uint8Array, offset: number): number {
  const high = getU32(bytes, offset + 4)
  return high === 0 ? getU32(bytes, offset) : getU32(bytes, offset) + high * 0x1_0000_0000
}

export function malformed(what: string, at: number): RaftkitError {
  return new RaftkitError('MALFORMED', `${what} (at byte ${at})`)
}
