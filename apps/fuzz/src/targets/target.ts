import { isDeepStrictEqual } from 'node:util'
import { type ErrorCode, isRaftkitError } from '@raftkit/contract'
import type { Field } from '../mutation/fields.ts'
import type { Random } from '../mutation/random.ts'

/** A parser, reached as its package's users and peers reach it, and what is known of its bytes. */
export interface Target {
  readonly name: string
  /** Its share of the time. */
  readonly weight: number
  /** The sources whose branches it is to reach, and which of their functions parse: the others encode, or do what is no parser's. */
  readonly parsers: Readonly<Record<string, RegExp>>
  /** Rows of JSON, mutated as values. Absent: bytes. */
  readonly text?: true
  /** Byte sequences that mean something to the parser. */
  readonly tokens?: readonly Uint8Array[]
  /** Inputs are no longer than this. Default 16 KiB. */
  readonly largest?: number
  /** Bytes that may be allocated for any input, beside 64 for each of its bytes: a window, a table. Default 64 KiB. */
  readonly allowance?: number
  /** Bytes by which the heap may grow for any input, beside 1024 for each of its bytes. Default 4 MiB. */
  readonly heapAllowance?: number
  /** Made by the real encoders. */
  readonly seeds: () => Promise<readonly Uint8Array[]>
  /** Puts checksums right, as far as it can tell where they are: then the mutation gets past them. */
  readonly seal?: (bytes: Uint8Array, random: Random) => Uint8Array
  /** Where its fields are. Absent: as the parser reads them. */
  readonly fields?: (bytes: Uint8Array) => Field[]
  readonly open: () => Promise<Subject>
  /** A subject that keeps something is made anew after so many inputs. */
  readonly lasts?: number
  /** What may come out beside `MALFORMED` and `UNKNOWN_FORMAT`. */
  readonly refusals?: readonly ErrorCode[]
  /** For errors that are none of Raftkit's. */
  readonly isRefusal?: (error: unknown) => boolean
}

export interface Subject {
  /** Hands the input to the parser; throws what the parser throws, and `Disagreement`. */
  take(input: Uint8Array): unknown
  /** It takes no more: another one is opened. */
  readonly spent?: boolean
  close?(): unknown
}

/** What was read is not what is read of its own encoding. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement'
}

/** A documented answer to bytes that are wrong. */
export function isExpected(target: Target, error: unknown): boolean {
  if (target.isRefusal) return target.isRefusal(error)
  return (
    isRaftkitError(error) &&
    (error.code === 'MALFORMED' || error.code === 'UNKNOWN_FORMAT' || (target.refusals?.includes(error.code) ?? false))
  )
}

/** Whatever `decode` takes, it must take again from `encode`, and find the same. `canonical`: in equal bytes, too. */
export function roundTrip<T>(
  input: Uint8Array,
  decode: (bytes: Uint8Array) => T,
  encode: (value: T) => Uint8Array,
  canonical = false,
): T {
  const value = decode(input)
  let again: Uint8Array
  try {
    again = encode(value)
    if (isEqual(again, input)) return value
  } catch (cause) {
    throw new Disagreement('what was read cannot be encoded', { cause })
  }
  if (canonical) throw new Disagreement(`read, it is encoded as ${Buffer.from(again).toString('hex')}`)
  let second: T
  try {
    second = decode(again)
  } catch (cause) {
    throw new Disagreement('what was read and encoded cannot be read', { cause })
  }
  if (!isEqual(encode(second), again) || !isDeepStrictEqual(value, second))
    throw new Disagreement('what was read, encoded and read again is another')
  return value
}

export function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && Buffer.compare(one, other) === 0
}

export const u32At = (bytes: Uint8Array, at: number): number =>
  at + 4 <= bytes.length ? Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32LE(at) : 0

export function setU32(bytes: Uint8Array, at: number, value: number): void {
  if (at >= 0 && at + 4 <= bytes.length) Buffer.from(bytes.buffer, bytes.byteOffset).writeUInt32LE(value >>> 0, at)
}
