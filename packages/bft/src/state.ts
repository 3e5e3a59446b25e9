import { Reader, Writer } from '@raftkit/bytes'
import { type Index, RaftkitError, type SnapshotPoint, type Term } from '@raftkit/contract'
import { readSnapshotPoint, writeSnapshotPoint } from './base.ts'
import type { Certificate, Mandate } from './certificate.ts'
import { type CheckpointCertificate, readCheckpointCertificate, writeCheckpointCertificate } from './checkpoint.ts'
import {
  maybe,
  optional,
  readCertificate,
  readMandate,
  readPlace,
  readStep,
  readTermCertificate,
  writeCertificate,
  writeMandate,
  writePlace,
  writeStep,
  writeTermCertificate,
} from './encoding.ts'
import { headerBytes } from './entry.ts'
import type { Step } from './epochs.ts'
import type { Kept } from './halting.ts'
import { type Hash, rawHash, readHash } from './hash.ts'
import { checkFormat, undamaged } from './identity.ts'
import type { Ballot } from './rules.ts'

/** The state blob of the LogStore: everything a member has promised, and what proves it. */
export interface State {
  readonly ballot: Ballot
  readonly lock: Certificate | undefined
  readonly stated: Certificate | undefined
  readonly proof: Mandate | undefined
  readonly commit: Certificate | undefined
  /** What lies before it is not needed any more; the machine's part is in that snapshot. */
  readonly stable: Stable | undefined
  /** Entries that are pruned and may still be named: they lie before the oldest that is kept. */
  readonly buried: readonly Hash[]
  /** Of terms that produced an append certificate since the stable checkpoint, what tells liars from honest members after a fork. */
  readonly kept: ReadonlyMap<Term, Kept>
  /** How each epoch ended that it came through; what is promised is of the one behind the last. */
  readonly epochs: readonly Step[]
  /** It has seen a fork, and stopped for good. */
  readonly isForked: boolean
}

export interface Stable {
  readonly certificate: CheckpointCertificate
  readonly snapshot: SnapshotPoint
  /** The index of the entry that the tree begins with. */
  readonly from: Index
}

const stateFormat = 1

export function encodeState(state: State): Uint8Array {
  const { ballot, lock, stated, proof, commit, stable, buried, kept, epochs, isForked } = state
  const writer = new Writer(1024).u8(stateFormat).u64(ballot.term)
  optional(writer, ballot.tip, (to, hash) => to.raw(rawHash(hash)))
  writer.u8(ballot.stated === undefined ? 0 : ballot.stated === 'none' ? 1 : 2)
  if (ballot.stated !== undefined && ballot.stated !== 'none') writePlace(writer, ballot.stated)
  optional(writer, lock, writeCertificate)
  optional(writer, stated, writeCertificate)
  optional(writer, proof, writeMandate)
  optional(writer, commit, writeCertificate)
  optional(writer, stable, (to, { certificate, snapshot, from }) => {
    writeCheckpointCertificate(to, certificate)
    writeSnapshotPoint(to, snapshot).u64(from)
  })
  writer.u32(buried.length)
  for (const hash of buried) writer.raw(rawHash(hash))
  writer.u32(kept.size)
  for (const [term, one] of kept) {
    optional(writer.u64(term), one.proof, writeTermCertificate)
    writeCertificate(writer, one.lock)
  }
  writer.u32(epochs.length)
  for (const step of epochs) writeStep(writer, step)
  writer.u8(isForked ? 1 : 0)
  return writer.finish()
}

export function decodeState(bytes: Uint8Array): State {
  const reader = new Reader(bytes)
  checkFormat(reader.u8(), stateFormat)
  const term = reader.u64()
  const tip = maybe(reader, readHash)
  const kind = reader.u8()
  if (kind > 2) throw new RaftkitError('MALFORMED', `${kind} says nothing about a term vote`)
  const claim = kind === 0 ? undefined : kind === 1 ? 'none' : readPlace(reader)
  const lock = maybe(reader, readCertificate)
  const stated = maybe(reader, readCertificate)
  const proof = maybe(reader, readMandate)
  const commit = maybe(reader, readCertificate)
  const stable = maybe(reader, () => ({
    certificate: readCheckpointCertificate(reader),
    snapshot: readSnapshotPoint(reader),
    from: reader.u64(),
  }))
  const buried = Array.from({ length: reader.count(32) }, () => readHash(reader))
  const kept = new Map<Term, Kept>()
  for (let left = reader.count(9); left > 0; left--) {
    const at = reader.u64()
    kept.set(at, { proof: maybe(reader, readTermCertificate), lock: readCertificate(reader) })
  }
  const epochs = Array.from({ length: reader.count(headerBytes) }, () => readStep(reader))
  const isForked = maybe(reader, () => true) ?? false
  reader.end()
  const ballot: Ballot = { term, tip, lock: lock?.place, stated: claim }
  return { ballot, lock, stated, proof, commit, stable, buried, kept, epochs, isForked }
}

/** From where the machine must be restored before anything is applied. Throws `DAMAGED` or `UNKNOWN_FORMAT`. */
export function snapshotOf(state: Uint8Array): SnapshotPoint | undefined {
  return undamaged(() => decodeState(state).stable?.snapshot)
}
