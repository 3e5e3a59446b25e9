import { type GroupId, type Index, RaftkitError, type Term } from '@raftkit/contract'
import { crc32 } from './checksum.ts'
import { fromHex } from './hash.ts'
import { getU32, getU64, malformed, plain } from './reader.ts'
import { putU32, putU64, Writer } from './writer.ts'

/*
 * The one layout of a log entry, on disk and on the wire, little-endian:
 *
 *   0  u32  length of the whole record         18  u64  term
 *   4  u32  crc32 of all that follows, seeded  26  u64  time
 *   8  u8   format                             34  u32  seed
 *   9  u8   kind                               38       payload
 *  10  u64  index
 *
 * The node that makes an entry encodes it once; the same bytes go to its disk, to each follower and to each follower's disk.
 * Length and checksum stand where they stand in every format to come, so that damage is never mistaken for a newer format.
 */
export const recordHeaderBytes = 38
export const recordFormat = 1
export const recordKind = { noop: 0, command: 1, config: 2 } as const

export type RecordKind = (typeof recordKind)[keyof typeof recordKind]

const highestKind = recordKind.config
const largest = 0xffff_ffff

export interface LogRecord {
  readonly kind: RecordKind
  readonly index: Index
  readonly term: Term
  /** Milliseconds since the epoch, by the clock of the leader that made it; an integer. */
  readonly time: number
  /** 32 random bits of that leader. */
  readonly seed: number
  readonly payload: Uint8Array
}

/**
 * What the checksums of one group's records begin with, so that a record of another cluster or group is damage.
 * `genesis`: hex digits, '' before a cluster is founded.
 */
export function checksumSeed(genesis: string, group: GroupId): number {
  return crc32(new Writer().raw(fromHex(genesis)).text(group).finish())
}

/** Bytes of a record with such a payload. */
export function recordLength(payloadBytes: number): number {
  return recordHeaderBytes + payloadBytes
}

/**
 * Writes `record` to `target` from `offset` on and returns the end offset. `checksumSeed` (u32) ties it to its cluster and group.
 * Throws `INVARIANT` if a number does not fit its field or the record does not fit the target.
 */
export function writeRecord(target: Uint8Array, offset: number, record: LogRecord, checksumSeed: number): number {
  const { kind, index, term, time, seed, payload } = record
  const end = offset + recordHeaderBytes + payload.length
  if (end > target.length || end - offset > largest) throw unfit('payload', payload.length)
  if (kind >>> 0 !== kind || kind > highestKind) throw unfit('kind', kind)
  if (!isInteger(index)) throw unfit('index', index)
  if (!isInteger(term)) throw unfit('term', term)
  if (!isInteger(time)) throw unfit('time', time)
  if (seed >>> 0 !== seed) throw unfit('seed', seed)
  putU32(target, offset, end - offset)
  target[offset + 8] = recordFormat
  target[offset + 9] = kind
  putU64(target, offset + 10, index)
  putU64(target, offset + 18, term)
  putU64(target, offset + 26, time)
  putU32(target, offset + 34, seed)
  target.set(payload, offset + recordHeaderBytes)
  putU32(target, offset + 4, crc32(target, checksumSeed, offset + 8, end))
  return end
}

/** Records end to end. */
export function encodeRecords(records: readonly LogRecord[], checksumSeed: number): Uint8Array {
  let length = 0
  for (const record of records) length += recordLength(record.payload.length)
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const record of records) offset = writeRecord(bytes, offset, record, checksumSeed)
  return bytes
}

/**
 * Checks the record at `offset`, which must be the one of `expectedIndex`, and returns its end offset.
 * Throws `MALFORMED` (torn, altered, of another cluster or group, or another index) and `UNKNOWN_FORMAT` (intact, but of a newer version).
 */
export function verifyRecord(bytes: Uint8Array, offset: number, checksumSeed: number, expectedIndex: Index): number {
  const remaining = bytes.length - offset
  const length = getU32(bytes, offset)
  if (length < recordHeaderBytes || length > remaining)
    throw malformed(`a record claims ${length} bytes, ${remaining} remain`, offset)
  const end = offset + length
  if (crc32(bytes, checksumSeed, offset + 8, end) !== getU32(bytes, offset + 4))
    throw malformed(`the checksum of record ${expectedIndex} is wrong`, offset)
  if (bytes[offset + 8] !== recordFormat || bytes[offset + 9]! > highestKind)
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `record ${expectedIndex} has format ${bytes[offset + 8]} and kind ${bytes[offset + 9]}; run a version that reads them (at byte ${offset})`,
    )
  const index = getU64(bytes, offset + 10)
  if (index !== expectedIndex) throw malformed(`record ${index} stands where ${expectedIndex} belongs`, offset)
  if (getU64(bytes, offset + 18) > Number.MAX_SAFE_INTEGER)
    throw malformed(`the term of record ${index} is beyond 2^53-1`, offset)
  if (getU64(bytes, offset + 26) > Number.MAX_SAFE_INTEGER)
    throw malformed(`the time of record ${index} is beyond 2^53-1`, offset)
  return end
}

// What follows trusts that the record was verified.

/** The payload is a view. */
export function readRecord(bytes: Uint8Array, offset: number): LogRecord {
  return {
    kind: recordKindAt(bytes, offset),
    index: recordIndex(bytes, offset),
    term: recordTerm(bytes, offset),
    time: recordTime(bytes, offset),
    seed: recordSeed(bytes, offset),
    payload: plain(bytes).subarray(offset + recordHeaderBytes, recordEnd(bytes, offset)),
  }
}

export function recordEnd(bytes: Uint8Array, offset: number): number {
  return offset + getU32(bytes, offset)
}

export function recordKindAt(bytes: Uint8Array, offset: number): RecordKind {
  return bytes[offset + 9] as RecordKind
}

export function recordIndex(bytes: Uint8Array, offset: number): Index {
  return getU64(bytes, offset + 10)
}

export function recordTerm(bytes: Uint8Array, offset: number): Term {
  return getU64(bytes, offset + 18)
}

export function recordTime(bytes: Uint8Array, offset: number): number {
  return getU64(bytes, offset + 26)
}

export function recordSeed(bytes: Uint8Array, offset: number): number {
  return getU32(bytes, offset + 34)
}

function isInteger(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0
}

function unfit(field: string, n: number): RaftkitError {
  return new RaftkitError('INVARIANT', `a record's ${field} of ${n} does not fit`)
}
