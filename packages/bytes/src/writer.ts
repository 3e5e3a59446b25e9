import { RaftkitError } from '@raftkit/contract'
import { encodeAscii, encodeText, illFormed } from './text.ts'

/** Lengths are u32, and half of that is more than any buffer of this kind should be. */
const largest = 0x7fff_ffff

/** In bytes. What every engine can hold as one string. */
export const largestText = 0x1000_0000

const scratch = new Uint8Array(8)
const scratchView = new DataView(scratch.buffer)

// Small encodings are cut from a slab: a buffer of its own lies outside the engine's heap and costs ten times as much to get.
// No byte is ever handed out twice.
const slabBytes = 16_384
let slab = new Uint8Array(0)
let cut = 0

/**
 * Writes little-endian fields one behind the other; the buffer doubles as needed. Every method returns the writer.
 * Throws `INVARIANT` for a number outside its field: a number cut to fit would be found much later, as damage.
 */
export class Writer {
  /** The slab, or a buffer of its own; what is written begins at `#begin`, ends at `#at`, and has room up to `#end`. */
  #bytes: Uint8Array = slab
  #begin = 0
  #at = 0
  #end = 0

  constructor(capacity = 256) {
    this.#allocate(capacity)
  }

  get length(): number {
    return this.#at - this.#begin
  }

  u8(n: number): this {
    if ((n & 0xff) !== n) throw outside(n, 'u8')
    const at = this.#reserve(1)
    this.#bytes[at] = n
    return this
  }

  u16(n: number): this {
    if ((n & 0xffff) !== n) throw outside(n, 'u16')
    const at = this.#reserve(2)
    this.#bytes[at] = n
    this.#bytes[at + 1] = n >>> 8
    return this
  }

  u32(n: number): this {
    if (n >>> 0 !== n) throw outside(n, 'u32')
    const at = this.#reserve(4)
    putU32(this.#bytes, at, n)
    return this
  }

  /** An integer 0 … 2^53-1. */
  u64(n: number): this {
    if (!Number.isSafeInteger(n) || n < 0) throw outside(n, 'u64')
    const at = this.#reserve(8)
    putU64(this.#bytes, at, n)
    return this
  }

  /** IEEE 754 double; -0 is kept, every NaN is written as the same one. */
  f64(n: number): this {
    const at = this.#reserve(8)
    scratchView.setFloat64(0, n, true)
    const source = Number.isNaN(n) ? canonicalNaN : scratch
    for (let i = 0; i < 8; i++) this.#bytes[at + i] = source[i]!
    return this
  }

  /** The bytes as they are; their number must be known to the reader. */
  raw(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  /** u32 length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes)
  }

  /** u32 length in bytes, then UTF-8. Throws `INVALID_VALUE` for a lone surrogate, which UTF-8 cannot carry. */
  text(text: string): this {
    let start = this.#reserve(4 + text.length) + 4
    const ascii = encodeAscii(text, this.#bytes, start)
    let end = start + ascii
    if (ascii < text.length) {
      this.#at = end
      end = this.#reserve(3 * (text.length - ascii))
      start = end - ascii
      end = encodeText(text, ascii, this.#bytes, end)
      if (end === illFormed) {
        this.#at = start - 4
        throw new RaftkitError('INVALID_VALUE', 'the text holds half of a surrogate pair; send it as bytes instead')
      }
    }
    if (end - start > largestText) throw new RaftkitError('TOO_LARGE', `a text may not exceed ${largestText} bytes`)
    putU32(this.#bytes, start - 4, end - start)
    this.#at = end
    return this
  }

  /** A view of exactly the bytes written. Its buffer holds others too: copy it before you transfer or keep it. */
  finish(): Uint8Array {
    // What was not needed is free again, if it is the end of what was cut.
    if (this.#bytes === slab && this.#end === cut) cut = this.#at
    this.#end = this.#at
    return this.#bytes.subarray(this.#begin, this.#at)
  }

  #reserve(count: number): number {
    if (this.#at + count > this.#end) this.#grow(this.length + count)
    const at = this.#at
    this.#at = at + count
    return at
  }

  #grow(needed: number): void {
    if (needed > largest) throw new RaftkitError('TOO_LARGE', `an encoding may not exceed ${largest} bytes`)
    let capacity = Math.max(this.#end - this.#begin, 16)
    while (capacity < needed) capacity *= 2
    const written = this.#bytes.subarray(this.#begin, this.#at)
    this.#allocate(capacity)
    this.#bytes.set(written, this.#begin)
    this.#at = this.#begin + written.length
  }

  #allocate(capacity: number): void {
    if (capacity > slabBytes / 4) {
      this.#bytes = new Uint8Array(capacity)
      this.#begin = 0
    } else {
      if (capacity > slab.length - cut) {
        slab = new Uint8Array(slabBytes)
        cut = 0
      }
      this.#bytes = slab
      this.#begin = cut
      cut += capacity
    }
    this.#at = this.#begin
    this.#end = this.#begin + capacity
  }
}

/** The bytes of the one NaN that is written and read. */
export const canonicalNaN: Uint8Array = new Uint8Array([0, 0, 0, 0, 0, 0, 0xf8, 0x7f])

export function putU32(target: Uint8Array, offset: number, n: number): void {
  target[offset] = n
  target[offset + 1] = n >>> 8
  target[offset + 2] = n >>> 16
  target[offset + 3] = n >>> 24
}

/** As two u32: bitwise operators see 32 bits, and BigInt would allocate. */
export function putU64(target: Uint8Array, offset: number, n: number): void {
  const low = n >>> 0
  putU32(target, offset, low)
  putU32(target, offset + 4, low === n ? 0 : (n / 0x1_0000_0000) >>> 0)
}

function outside(n: number, field: string): RaftkitError {
  return new RaftkitError('INVARIANT', `${n} does not fit ${field}`)
}
