import { type Reader, Writer } from '@raftkit/bytes'
import { type Index, RaftkitError, type Term } from '@raftkit/contract'
import { type Digest, type Hash, hashOf, rawHash, readHash } from './hash.ts'
import { merkleRoot } from './merkle.ts'
import { decodeRequest, requestIn } from './request.ts'

export type EntryKind = 'noop' | 'data' | 'config' | 'evidence'

const kinds: readonly EntryKind[] = ['noop', 'data', 'config', 'evidence']

/**
 * What the hash of an entry covers. Not the term it is voted for in: the same entry is certified again by later terms, under the same
 * hash. `term` is where it was made.
 */
export interface Header {
  readonly epoch: number
  readonly index: Index
  readonly term: Term
  readonly kind: EntryKind
  readonly parent: Hash
  /** Over the items. */
  readonly root: Hash
  /** How much is applied before it: each operation counts one, each entry that holds none counts one. */
  readonly position: Index
  /** Milliseconds since the epoch by the leader's clock; never less than the parent's. */
  readonly time: number
}

/** `items`: requests of a data entry, as encoded; one blob of config and evidence. */
export interface Entry {
  readonly header: Header
  readonly items: readonly Uint8Array[]
}

export const headerBytes: number = 8 * 5 + 1 + 32 * 2

export function writeHeader(writer: Writer, header: Header): Writer {
  const { epoch, index, term, kind, parent, root, position, time } = header
  writer.u64(epoch).u64(index).u64(term).u8(kinds.indexOf(kind)).raw(rawHash(parent)).raw(rawHash(root))
  return writer.u64(position).u64(time)
}

export function readHeader(reader: Reader): Header {
  const epoch = reader.u64()
  const index = reader.u64()
  const term = reader.u64()
  const kind = kinds[reader.u8()]
  if (kind === undefined) throw new RaftkitError('MALFORMED', 'an entry is of no known kind')
  return {
    epoch,
    index,
    term,
    kind,
    parent: readHash(reader),
    root: readHash(reader),
    position: reader.u64(),
    time: reader.u64(),
  }
}

const hashes: WeakMap<Header, Hash> = new WeakMap()

/** The incremental hash: it stands for the entry and all before it (Tangaroa's log matching). Worked out once, since a header is never altered. */
export function headerHash(digest: Digest, header: Header): Hash {
  let hash = hashes.get(header)
  if (hash === undefined) {
    hash = hashOf(digest, 'raftkit entry 1', writeHeader(new Writer(headerBytes), header).finish())
    hashes.set(header, hash)
  }
  return hash
}

export function writeEntry(writer: Writer, { header, items }: Entry): Writer {
  writeHeader(writer, header).u32(items.length)
  for (const item of items) writer.bytes(item)
  return writer
}

export function readEntry(reader: Reader): Entry {
  const header = readHeader(reader)
  const items: Uint8Array[] = []
  for (let left = reader.count(4); left > 0; left--) items.push(reader.bytes())
  return { header, items }
}

/** As encoded, about. */
export const bytesOf = ({ items }: Entry): number => items.reduce((sum, { length }) => sum + 4 + length, headerBytes)

const spans: WeakMap<Entry, number> = new WeakMap()

/** How far `position` moves on. Throws `MALFORMED` if an item is no request. */
export function span(entry: Entry): number {
  if (entry.header.kind !== 'data') return 1
  let count = spans.get(entry)
  if (count === undefined) {
    count = entry.items.reduce((sum, item) => sum + (requestIn(item) ?? decodeRequest(item)).operations.length, 0)
    spans.set(entry, count)
  }
  return count
}

/**
 * What stands under the root: each item behind the number of operations before it, so that the path of one request proves the position
 * of each of its operations. What is no request counts one; no entry of requests with such an item is valid.
 */
export function leavesOf(items: readonly Uint8Array[]): Uint8Array[] {
  let before = 0
  return items.map((item) => {
    const leaf = leafOf(before, item)
    before += operationsIn(item)
    return leaf
  })
}

export const leafOf = (before: number, item: Uint8Array): Uint8Array =>
  new Writer(item.length + 4).u32(before).raw(item).finish()

export const itemsRoot = (digest: Digest, items: readonly Uint8Array[]): Hash => merkleRoot(digest, leavesOf(items))

const operationsIn = (item: Uint8Array): number => requestIn(item)?.operations.length ?? 1

/** What the headers alone show to be wrong, or undefined: whoever has them can prove it to anyone. */
export function flawOfHeader(digest: Digest, header: Header, before: Header): string | undefined {
  if (header.index !== before.index + 1) return `index ${header.index} behind ${before.index}`
  if (header.parent !== headerHash(digest, before)) return 'it does not hold the hash of its parent'
  if (header.term < before.term && header.epoch === before.epoch) return 'it is of an older term than its parent'
  if (header.time < before.time) return 'it is older than its parent'
  // S6: the epoch ends with its configuration entry, which is the genesis of the next one. The founding, at index 0, begins epoch 0.
  if (header.epoch !== before.epoch + (before.kind === 'config' && before.index > 0 ? 1 : 0))
    return 'it is of another epoch'
  if (before.kind !== 'data' && header.position !== before.position + 1) return 'its position does not follow'
  return undefined
}

/** The part of external validity (V) that needs the entry and its parent alone. What is wrong, or undefined. */
export function flawOfEntry(digest: Digest, entry: Entry, parent: Entry): string | undefined {
  const { header, items } = entry
  const flaw = flawOfHeader(digest, header, parent.header)
  if (flaw !== undefined) return flaw
  if (header.position !== parent.header.position + span(parent)) return 'its position does not follow'
  if (header.root !== itemsRoot(digest, items)) return 'its items are not those of the header'
  const least = header.kind === 'noop' ? 0 : 1
  const most = header.kind === 'noop' ? 0 : header.kind === 'data' ? Number.POSITIVE_INFINITY : 1
  if (items.length < least || items.length > most) return `a ${header.kind} entry of ${items.length} items`
  if (header.kind === 'data' && items.some((item) => requestIn(item) === undefined)) return 'an item is no request'
  return undefined
}
