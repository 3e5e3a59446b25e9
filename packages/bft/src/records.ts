import { encodeRecords, type LogRecord, recordKind } from '@raftkit/bytes'
import type { Effects } from '@raftkit/contract'
import { type Entry, headerHash } from './entry.ts'
import type { Digest } from './hash.ts'
import { forgetItem, requestIn } from './request.ts'

/** An operation that executes nothing and takes its place all the same: whoever waits for it knows that all before it is applied. */
export const isBarrier = (operation: Uint8Array): boolean => operation.length === 0

const nothing = new Uint8Array(0)

/**
 * What the runtime applies of entries that follow each other: each operation is a record at a place of its own, each entry that holds none is one.
 * The first operation of an entry stands behind `header.position`, the founding at 1.
 */
export function applied(digest: Digest, entries: readonly Entry[], checksumSeed: number): Effects['apply'] {
  const records: LogRecord[] = []
  const clients: (Uint8Array | undefined)[] = []
  for (const { header, items } of entries) {
    const { kind, term, time, position } = header
    const before = records.length
    if (kind !== 'data') {
      const marker = kind === 'config' ? recordKind.config : recordKind.noop
      records.push({ kind: marker, index: position + 1, term, time, seed: 0, payload: nothing })
      clients.push(undefined)
      continue
    }
    const random = Number.parseInt(headerHash(digest, header).slice(0, 8), 16)
    for (const item of items) {
      const { client, operations } = requestIn(item)!
      for (const payload of operations) {
        const index = position + 1 + records.length - before
        // The same on all members, and nothing that a client could choose.
        const seed = (random ^ Math.imul(index, 0x9e37_79b1)) >>> 0
        records.push({
          kind: isBarrier(payload) ? recordKind.noop : recordKind.command,
          index,
          term,
          time,
          seed,
          payload,
        })
        clients.push(client)
      }
      forgetItem(item)
    }
  }
  const [first] = records
  if (first === undefined) return undefined
  const to = first.index + records.length - 1
  return { from: first.index, to, records: [encodeRecords(records, checksumSeed)], clients }
}
