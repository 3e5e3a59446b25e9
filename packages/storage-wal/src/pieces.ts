import { crc32 } from 'node:zlib'
import { systemCode } from './failure.ts'
import type { Segment, Segments } from './segment.ts'

/** Where a durable piece stands. */
export interface Place {
  readonly place: number
  readonly bytes: number
  readonly crc: number
}

/** Bytes read at once, when pieces stand close to each other. */
const spanBytesMax = 4_194_304
/** What may lie between two pieces of one span. */
const gapBytesMax = 32_768

interface Span {
  readonly segment: Segment
  readonly from: number
  readonly pieces: Place[]
  to: number
}

/** The records of the pieces, in order; a span at a time, checked. Yields undefined for a piece that is altered or cannot be read. */
export async function* readPieces(
  segments: Segments,
  places: readonly Place[],
): AsyncGenerator<Uint8Array | undefined> {
  const spans: Span[] = []
  for (const piece of places) {
    const { place, bytes } = piece
    const span = spans.at(-1)
    const follows =
      span && place >= span.to && place - span.to <= gapBytesMax && place + bytes - span.from <= spanBytesMax
    if (follows && segments.at(place) === span.segment) {
      span.pieces.push(piece)
      span.to = place + bytes
    } else spans.push({ segment: segments.at(place), from: place, to: place + bytes, pieces: [piece] })
  }
  // While they are read, what is written may let their segments go.
  for (const { segment } of spans) segment.readers++
  let ended = 0
  try {
    for (const { segment, from, to, pieces } of spans) {
      const bytes = Buffer.allocUnsafeSlow(to - from)
      const held = await readSpan(segment, bytes, from - segment.base)
      segment.endRead()
      ended++
      for (const { place, bytes: length, crc } of pieces) {
        const piece = bytes.subarray(place - from, place - from + length)
        yield place - from + length <= held && crc32(piece) === crc ? piece : undefined
      }
    }
  } finally {
    for (const { segment } of spans.slice(ended)) segment.endRead()
  }
}

async function readSpan(segment: Segment, into: Buffer, offset: number): Promise<number> {
  try {
    return await (await segment.file()).read(into, offset)
  } catch (error) {
    // A sector that is gone, or a file; what else fails may be otherwise the next time.
    if (systemCode(error) === 'EIO' || systemCode(error) === 'ENOENT') return 0
    throw error
  }
}
