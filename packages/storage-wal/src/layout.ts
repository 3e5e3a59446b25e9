import { crc32 } from 'node:zlib'
import type { GroupId, Index } from '@raftkit/contract'

/**
 * The layout of the log. All integers are little-endian; records stand in it as they were handed over.
 *
 *     segment   header frame*                       a file `<number>.wal`; numbers ascend without a gap
 *     header    "RAFTKWAL" u32 format  u32 0  u64 number  salt[8]
 *               previous: salt[8] u64 end           where the segment before ended
 *               u64 first frame  u32 0  u32 crc32   of all before it; 64 bytes
 *     frame     head body                           one flush: what all waiting writes of all groups say
 *     head      "RKF1" u32 crc32  salt[8]  u64 number  u64 oldest  u32 head bytes  u32 body bytes   item*
 *     item      u8 flags  u8 length, group  u64 first  u64 last  [u32 length, state]  u32 pieces  u32 moved  piece*
 *     piece     u64 at  u32 count  u32 bytes  u32 crc32
 *     body      the records of all pieces, one behind the other
 *
 * **The commit mark** of a flush is the checksum in its head: it covers the head, which holds a checksum of every piece of the body. So a flush
 * is there as a whole or not at all; and once it is known to have been durable, what is altered in its body harms one group alone.
 *
 * **Salt and numbers.** The salt is drawn when a segment is begun, and frames are numbered through for ever: no byte of a file's earlier life,
 * or of another segment, is taken for a frame of this one. That frame n + 1 is there proves that n was durable, since flushes do not overlap.
 *
 * **Items** tell what a group is after the flush, not what was done: `first`, `last`, perhaps the state, and records that are new (they
 * cut what was there from `at` on) or `moved` from a segment that is to go (they cut nothing, and take the place of the same ones).
 * `oldest` is the first segment that anybody needs.
 */
const format = 1
export const headerBytes = 64
export const frameHeadBytes = 40
export const pieceBytes = 20
/** Of an item without its group's name, state and pieces. */
export const itemHeadBytes = 26

/** A run is kept in pieces of about this size: a read loads whole pieces. */
export const pieceTarget = 65_536

export const withState = 1
export const destroyed = 2

const magic = Buffer.from('RAFTKWAL')
export const frameMagic: Buffer = Buffer.from('RKF1')

export interface Header {
  readonly number: number
  readonly salt: Uint8Array
  readonly previousSalt: Uint8Array
  readonly previousEnd: number
  /** The number of its first frame. */
  readonly firstFrame: number
}

export const segmentName = (number: number): string => `${String(number).padStart(12, '0')}.wal`

/** The number that a file of the log has by its name. */
export function segmentNumber(name: string): number | undefined {
  const digits = /^(\d{12,16})\.wal$/.exec(name)?.[1]
  const number = Number(digits)
  return digits !== undefined && Number.isSafeInteger(number) && segmentName(number) === name ? number : undefined
}

export function encodeHeader(into: Buffer, header: Header): void {
  into.fill(0, 0, headerBytes)
  into.set(magic)
  into.writeUInt32LE(format, 8)
  putNumber(into, 16, header.number)
  into.set(header.salt, 24)
  into.set(header.previousSalt, 32)
  putNumber(into, 40, header.previousEnd)
  putNumber(into, 48, header.firstFrame)
  into.writeUInt32LE(crc32(into.subarray(0, 60)), 60)
}

/** Undefined for anything but a whole header. An unknown format is told by its number; it keeps magic, format and checksum where they are. */
export function decodeHeader(bytes: Buffer): Header | { readonly unknownFormat: number } | undefined {
  if (bytes.length < headerBytes || !magic.equals(bytes.subarray(0, 8))) return undefined
  if (bytes.readUInt32LE(60) !== crc32(bytes.subarray(0, 60))) return undefined
  const found = bytes.readUInt32LE(8)
  if (found !== format) return { unknownFormat: found }
  const [number, previousEnd, firstFrame] = [numberAt(bytes, 16), numberAt(bytes, 40), numberAt(bytes, 48)]
  if (Number.isNaN(number + previousEnd + firstFrame)) return undefined
  return { number, salt: bytes.subarray(24, 32), previousSalt: bytes.subarray(32, 40), previousEnd, firstFrame }
}

/** A piece of records, on its way into a frame. */
export interface PieceHead {
  readonly at: Index
  readonly count: number
  readonly bytes: number
  readonly crc: number
}

/** What a frame says of one group. */
export interface Item {
  readonly group: GroupId
  readonly flags: number
  readonly first: Index
  readonly last: Index
  readonly state: Uint8Array | undefined
  readonly pieces: readonly PieceHead[]
  readonly moved: readonly PieceHead[]
}

export const itemLength = ({ group, state, flags, pieces, moved }: Item): number =>
  itemHeadBytes +
  group.length +
  (flags & withState ? 4 + state!.length : 0) +
  pieceBytes * (pieces.length + moved.length)

/** Writes the item at `at`; returns where the next one goes. */
export function encodeItem(into: Buffer, at: number, item: Item): number {
  const { group, flags, state, pieces, moved } = item
  into[at] = flags
  into[at + 1] = group.length
  into.write(group, at + 2, 'latin1')
  let next = at + 2 + group.length
  putNumber(into, next, item.first)
  putNumber(into, next + 8, item.last)
  next += 16
  if (flags & withState) {
    into.writeUInt32LE(state!.length, next)
    into.set(state!, next + 4)
    next += 4 + state!.length
  }
  into.writeUInt32LE(pieces.length, next)
  into.writeUInt32LE(moved.length, next + 4)
  next += 8
  for (const list of [pieces, moved])
    for (const { at, count, bytes, crc } of list) {
      putNumber(into, next, at)
      into.writeUInt32LE(count, next + 8)
      into.writeUInt32LE(bytes, next + 12)
      into.writeUInt32LE(crc, next + 16)
      next += pieceBytes
    }
  return next
}

/** Closes a frame whose items stand behind `frameHeadBytes`: with its commit mark, the checksum. */
export function sealHead(
  head: Buffer,
  { salt, number, oldest, bodyBytes }: { salt: Uint8Array; number: number; oldest: number; bodyBytes: number },
): void {
  head.set(frameMagic)
  head.set(salt, 8)
  putNumber(head, 16, number)
  putNumber(head, 24, oldest)
  head.writeUInt32LE(head.length, 32)
  head.writeUInt32LE(bodyBytes, 36)
  head.writeUInt32LE(crc32(head.subarray(8)), 4)
}

/** 2^53 - 1 at most; what is larger comes out as NaN, which no check passes. */
export function numberAt(bytes: Buffer, at: number): number {
  const high = bytes.readUInt32LE(at + 4)
  return high > 0x1f_ffff ? Number.NaN : high * 4_294_967_296 + bytes.readUInt32LE(at)
}

function putNumber(into: Buffer, at: number, value: number): void {
  into.writeUInt32LE(value >>> 0, at)
  into.writeUInt32LE(Math.floor(value / 4_294_967_296), at + 4)
}
