import { encodeRecords, recordKind } from '@raftkit/bytes'
import type { Run } from '@raftkit/contract'

export const payloadBytes = 256

/** A run of `count` records of 256 B, in the layout that logs and wires share. Storages do not look at the indices in it. */
export function runOf(count: number): Run {
  const payload = Buffer.alloc(payloadBytes)
  for (let i = 0; i < payloadBytes; i++) payload[i] = (i * 167) & 255
  const record = { kind: recordKind.command, term: 3, time: 1_700_000_000_000, seed: 7, payload }
  const records = Array.from({ length: count }, (_, i) => ({ ...record, index: i + 1 }))
  return { count, bytes: encodeRecords(records, 0) }
}
