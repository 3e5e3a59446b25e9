import { RaftkitError } from '@raftkit/contract'
import { getU32, malformed } from './reader.ts'
import { putU32 } from './writer.ts'

/**
 * 128 bits that tell unequal inputs apart by accident, not by intent: MurmurHash3 (x86, 128 bit, seed 0; Austin Appleby, public domain).
 * For names of states and of clusters. Not for anything an adversary chooses: collisions can be made at will.
 */
export function hash128(bytes: Uint8Array): Uint8Array {
  const { length } = bytes
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  const body = length - (length % 16)
  for (let i = 0; i < body; i += 16) {
    a ^= lane(getU32(bytes, i), c1, 15, c2)
    a = Math.imul(rotate(a, 19) + b, 5) + 0x561ccd1b
    b ^= lane(getU32(bytes, i + 4), c2, 16, c3)
    b = Math.imul(rotate(b, 17) + c, 5) + 0x0bcaa747
    c ^= lane(getU32(bytes, i + 8), c3, 17, c4)
    c = Math.imul(rotate(c, 15) + d, 5) + 0x96cd1c35
    d ^= lane(getU32(bytes, i + 12), c4, 18, c1)
    d = Math.imul(rotate(d, 13) + a, 5) + 0x32ac3b17
  }
  // An absent lane is 0 and mixes in as 0.
  const tail = new Uint8Array(16)
  tail.set(bytes.subarray(body))
  a ^= lane(getU32(tail, 0), c1, 15, c2)
  b ^= lane(getU32(tail, 4), c2, 16, c3)
  c ^= lane(getU32(tail, 8), c3, 17, c4)
  d ^= lane(getU32(tail, 12), c4, 18, c1)

  a ^= length
  b ^= length
  c ^= length
  d ^= length
  a += b + c + d
  b += a
  c += a
  d += a
  a = avalanche(a)
  b = avalanche(b)
  c = avalanche(c)
  d = avalanche(d)
  a += b + c + d
  b += a
  c += a
  d += a
  const hash = new Uint8Array(16)
  putU32(hash, 0, a)
  putU32(hash, 4, b)
  putU32(hash, 8, c)
  putU32(hash, 12, d)
  return hash
}

const c1 = 0x239b961b
const c2 = 0xab0e9789
const c3 = 0x38b34ae5
const c4 = 0xa1e38b93

function lane(word: number, first: number, turn: number, second: number): number {
  return Math.imul(rotate(Math.imul(word, first), turn), second)
}

function rotate(word: number, turn: number): number {
  return (word << turn) | (word >>> (32 - turn))
}

function avalanche(word: number): number {
  let h = word | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

const digits = '0123456789abcdef'
/** Two digits for each byte. */
const pairs = Array.from({ length: 256 }, (_, byte) => digits[byte >>> 4]! + digits[byte & 15]!)
/** What each digit stands for, by its character code; -1: it is none. */
const values = Int8Array.from({ length: 128 }, (_, code) => digits.indexOf(String.fromCharCode(code)))

/** Two lower-case digits per byte. */
export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i++) text += pairs[bytes[i]!]!
  return text
}

/** The bytes `toHex` wrote. Throws `MALFORMED` for anything else, upper-case digits too: equal bytes have one text. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw new RaftkitError('MALFORMED', `${text.length} hex digits are no whole bytes`)
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (digit(text, 2 * i) << 4) | digit(text, 2 * i + 1)
  return bytes
}

function digit(text: string, at: number): number {
  const value = values[text.charCodeAt(at)] ?? -1
  if (value < 0) throw malformed('not a lower-case hex digit', at)
  return value
}
