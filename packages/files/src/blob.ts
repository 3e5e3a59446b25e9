import { crc32 } from 'node:zlib'

/**
 * The layout of a snapshot file: a header, blocks of 64 KiB (the last one shorter) each followed by its checksum, and a trailer
 * with the size. A block's checksum is seeded with the snapshot's name and the block's number, so that a block in the wrong place, or a
 * file under the wrong name, is found like a flipped bit. An unfinished file has no trailer.
 *
 *     "RKSNAP01"  (block crc32)*  "RKSNAPND" u64 size u32 crc32       integers little-endian
 */
export const header: Uint8Array = new TextEncoder().encode('RKSNAP01')
const trailerMagic = new TextEncoder().encode('RKSNAPND')

export const blockBytes = 65_536
export const frameBytes: number = blockBytes + 4
export const trailerBytes = 20

/** Where block `number` begins in the file. */
export const frameAt = (number: number): number => header.length + number * frameBytes

/** The size of a complete file with `bytes` of content. */
export const fileBytes = (bytes: number): number =>
  header.length + bytes + 4 * Math.ceil(bytes / blockBytes) + trailerBytes

export const nameSeed = (name: string): number => crc32(name)

/** `frame` is a block and room for its checksum. */
export function seal(frame: Uint8Array, seed: number, number: number): void {
  const end = frame.length - 4
  viewOf(frame).setUint32(end, checksum(frame.subarray(0, end), seed, number), true)
}

/** Whether the checksum of a block is right. */
export function intact(frame: Uint8Array, seed: number, number: number): boolean {
  const end = frame.length - 4
  return end > 0 && viewOf(frame).getUint32(end, true) === checksum(frame.subarray(0, end), seed, number)
}

export function trailer(bytes: number, seed: number): Uint8Array {
  const out = new Uint8Array(trailerBytes)
  out.set(trailerMagic)
  const view = viewOf(out)
  view.setBigUint64(8, BigInt(bytes), true)
  view.setUint32(16, crc32(out.subarray(0, 16), seed), true)
  return out
}

/** The size that the trailer tells, if it is intact. */
export function readTrailer(bytes: Uint8Array, seed: number): number | undefined {
  const view = viewOf(bytes)
  if (bytes.length !== trailerBytes || view.getUint32(16, true) !== crc32(bytes.subarray(0, 16), seed)) return undefined
  if (!startsWith(bytes, trailerMagic)) return undefined
  const size = view.getBigUint64(8, true)
  return size > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(size)
}

export const startsWith = (bytes: Uint8Array, magic: Uint8Array): boolean =>
  bytes.length >= magic.length && magic.every((byte, i) => bytes[i] === byte)

/** The length is part of the seed, as the place is: zeros or a cut do not check themselves. */
function checksum(block: Uint8Array, seed: number, number: number): number {
  const place = new Uint8Array(8)
  const view = viewOf(place)
  view.setUint32(0, number, true)
  view.setUint32(4, block.length, true)
  return crc32(block, crc32(place, seed))
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
