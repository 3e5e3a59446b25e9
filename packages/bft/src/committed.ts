import { Reader, Writer } from '@raftkit/bytes'
import { type Index, RaftkitError } from '@raftkit/contract'
import type { Certificate } from './certificate.ts'
import { readCertificate, writeCertificate } from './encoding.ts'
import { type Entry, headerBytes, leavesOf, readEntry, span, writeEntry } from './entry.ts'
import type { Digest } from './hash.ts'
import { merklePath } from './merkle.ts'
import { encodeReceipt } from './receipt.ts'
import { requestIn } from './request.ts'
import type { Server } from './server.ts'

/**
 * Entries one behind the other, and the certificate that commits the last, and with it all: what receipts for everything in them are made of. Members
 * forget it behind a checkpoint; whoever shall prove things for longer keeps it (`archive`).
 */
export interface Committed {
  readonly certificate: Certificate
  /** Rising, each the parent of the next. */
  readonly entries: readonly Entry[]
}

const committedFormat = 1

export function encodeCommitted({ certificate, entries }: Committed): Uint8Array {
  const writer = new Writer(4096).u8(committedFormat)
  writeCertificate(writer, certificate)
  writer.u32(entries.length)
  for (const entry of entries) writeEntry(writer, entry)
  return writer.finish()
}

/** Of what was kept: nothing is verified, as receipts are. Throws `MALFORMED` or `UNKNOWN_FORMAT`. */
export function decodeCommitted(bytes: Uint8Array): Committed {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== committedFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `archive format ${format}; this version reads ${committedFormat}`)
  const certificate = readCertificate(reader)
  const entries = Array.from({ length: reader.count(headerBytes) }, () => readEntry(reader))
  reader.end()
  return { certificate, entries }
}

/** The first and the last position that these entries take. */
export function positionsOf({ entries }: Committed): { readonly from: Index; readonly to: Index } {
  const [first, last] = [entries[0], entries.at(-1)]
  if (first === undefined || last === undefined) throw new RaftkitError('INVARIANT', 'nothing was committed')
  return { from: first.header.position + 1, to: last.header.position + span(last) }
}

/** The receipt for the request whose operations stand at `position`. Undefined: no request stands there, or not in these entries. */
export function receiptIn(
  digest: Digest,
  { certificate, entries }: Committed,
  position: Index,
): Uint8Array | undefined {
  const own = entries.findIndex(({ header }) => header.position >= position)
  const from = own < 0 ? entries.length - 1 : own - 1
  const entry = entries[from]
  if (entry?.header.kind !== 'data') return undefined
  const headers = entries.slice(from).map(({ header }) => header)
  const { items, header } = entry
  let before = 0
  for (const [at, request] of items.entries()) {
    const { operations } = requestIn(request)!
    if (position <= header.position + before + operations.length) {
      const path = merklePath(digest, leavesOf(items), at)
      return encodeReceipt({ certificate, headers, at, count: items.length, before, path, request })
    }
    before += operations.length
  }
  return undefined
}

/**
 * As `receiptIn`, of what a member has at hand. Undefined, too: the entry is no longer kept. The further it lies back, the more headers it takes: ask
 * for it soon.
 */
export function receiptOf(
  { settings: { digest }, commit, tree }: Pick<Server, 'settings' | 'commit' | 'tree'>,
  position: Index,
): Uint8Array | undefined {
  if (commit === undefined) return undefined
  const entries: Entry[] = []
  // From what is certified, not from what is committed: a state that was taken over stands on a checkpoint of its own.
  for (let node = tree.get(commit.place.hash); node; node = tree.get(node.entry.header.parent)) {
    entries.push(node.entry)
    if (node.entry.header.position < position)
      return receiptIn(digest, { certificate: commit, entries: entries.reverse() }, position)
  }
  return undefined
}
