import { Reader, Writer } from '@raftkit/bytes'
import { type Index, RaftkitError, type SnapshotPoint } from '@raftkit/contract'
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import { type Entry, readEntry, writeEntry } from './entry.ts'
import { type Hash, rawHash, readHash } from './hash.ts'
import { Used } from './used.ts'

/** What the protocol itself must know to go on behind an entry, without any of those before it. */
export interface Base {
  readonly entry: Entry
  readonly used: Used
}

/**
 * A checkpoint of this member's own: its state behind an entry, on its disk. The state is the head, which holds the base, and behind it the
 * machine's snapshot; cut into pages, with a tree of hashes over them.
 */
export interface Held {
  readonly checkpoint: Checkpoint
  readonly snapshot: SnapshotPoint
  readonly head: Uint8Array
  /** Of the pages. */
  readonly leaves: readonly Hash[]
}

/** The same on all members, and small enough for the smallest frame that a transport may have. */
export const pageBytes = 32_768

const headFormat = 1
/** Before the base: format and length. */
const prefixBytes = 5

export function encodeHead({ entry, used }: Base): Uint8Array {
  const base = used.write(writeEntry(new Writer(4096), entry)).finish()
  return new Writer(prefixBytes + base.length).u8(headFormat).u32(base.length).raw(base).finish()
}

/** How long the head is that begins so; undefined: too few bytes to tell. */
export function headLength(bytes: Uint8Array): number | undefined {
  return bytes.length < prefixBytes ? undefined : prefixBytes + new Reader(bytes, 1).u32()
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. */
export function decodeHead(head: Uint8Array): Base {
  const reader = new Reader(head)
  const format = reader.u8()
  if (format !== headFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `checkpoint format ${format}; this version reads ${headFormat}`)
  reader.u32()
  const base = { entry: readEntry(reader), used: Used.read(reader) }
  reader.end()
  return base
}

/** As a line of the journal. */
export function writeHeld(writer: Writer, { checkpoint, snapshot, head, leaves }: Held): Writer {
  writeSnapshotPoint(writeCheckpoint(writer, checkpoint), snapshot).bytes(head).u32(leaves.length)
  for (const leaf of leaves) writer.raw(rawHash(leaf))
  return writer
}

export const readHeld = (reader: Reader): Held => ({
  ...{ checkpoint: readCheckpoint(reader), snapshot: readSnapshotPoint(reader), head: reader.bytes() },
  leaves: Array.from({ length: reader.count(32) }, () => readHash(reader)),
})

export function writeSnapshotPoint(writer: Writer, { name, index, term, bytes }: SnapshotPoint): Writer {
  return writer.text(name).u64(index).u64(term).u64(bytes)
}

export const readSnapshotPoint = (reader: Reader): SnapshotPoint => ({
  ...{ name: reader.text(), index: reader.u64(), term: reader.u64(), bytes: reader.u64() },
})

/** Of a held one, page `at`: what of it is in the head, and which bytes of the snapshot follow. */
export function pageOf(
  { head, snapshot }: Pick<Held, 'head' | 'snapshot'>,
  at: Index,
): { readonly head: Uint8Array; readonly offset: number; readonly bytes: number } {
  const [from, to] = [at * pageBytes, Math.min((at + 1) * pageBytes, head.length + snapshot.bytes)]
  const offset = Math.max(0, from - head.length)
  return { head: head.subarray(from, to), offset, bytes: Math.max(0, to - head.length) - offset }
}
