import { type Reader, Writer } from '@raftkit/bytes'
import type { Index } from '@raftkit/contract'
import { flawOfSigners, type Signature } from './certificate.ts'
import { type Hash, rawHash, readHash } from './hash.ts'
import type { Members } from './members.ts'
import { signatureLimit } from './request.ts'
import type { Check } from './statement.ts'

/** What a member says of its state behind an entry: everything that whoever begins there must know is under `root`. */
export interface Checkpoint {
  readonly epoch: number
  readonly index: Index
  readonly hash: Hash
  /** How much is applied, the entry itself included. */
  readonly position: Index
  /** Over the pages of the state: what the protocol remembers, and behind it the machine's snapshot. */
  readonly root: Hash
}

/** A quorum's: f + 1 honest members hold that state, so it is right, can be had, and what lies before it may go (§3.7). It commits its entry, too. */
export interface CheckpointCertificate {
  readonly checkpoint: Checkpoint
  /** By signer, rising. */
  readonly signatures: readonly Signature[]
}

export function checkpointStatement(domain: Hash, { index, hash, position, root }: Checkpoint): Uint8Array {
  const writer = new Writer(192).text('raftkit checkpoint 1').raw(rawHash(domain)).u64(index).raw(rawHash(hash))
  return writer.u64(position).raw(rawHash(root)).finish()
}

export const isSame = (a: Checkpoint, b: Checkpoint): boolean =>
  a.epoch === b.epoch && a.index === b.index && a.hash === b.hash && a.position === b.position && a.root === b.root

/** What is wrong before any signature is looked at, or undefined. */
export function flawOfCheckpoint(
  members: Members,
  { checkpoint, signatures }: CheckpointCertificate,
): string | undefined {
  if (checkpoint.epoch !== members.epoch) return `it is of epoch ${checkpoint.epoch}, not ${members.epoch}`
  if (checkpoint.index <= members.genesis.index) return 'it is for an entry before its epoch'
  return flawOfSigners(members, signatures)
}

export function checkpointChecks(members: Members, { checkpoint, signatures }: CheckpointCertificate): Check[] {
  const bytes = checkpointStatement(members.domain, checkpoint)
  return signatures.map(({ signer, signature }) => ({ key: members.list[signer]!.key, bytes, signature }))
}

export function writeCheckpoint(writer: Writer, { epoch, index, hash, position, root }: Checkpoint): Writer {
  return writer.u64(epoch).u64(index).raw(rawHash(hash)).u64(position).raw(rawHash(root))
}

export const readCheckpoint = (reader: Reader): Checkpoint => ({
  ...{ epoch: reader.u64(), index: reader.u64(), hash: readHash(reader) },
  ...{ position: reader.u64(), root: readHash(reader) },
})

export function writeCheckpointCertificate(writer: Writer, { checkpoint, signatures }: CheckpointCertificate): void {
  writeCheckpoint(writer, checkpoint).u32(signatures.length)
  for (const { signer, signature } of signatures) writer.u8(signer).bytes(signature)
}

export function readCheckpointCertificate(reader: Reader): CheckpointCertificate {
  const checkpoint = readCheckpoint(reader)
  const signatures = Array.from({ length: reader.count(5) }, () => ({
    ...{ signer: reader.u8(), signature: reader.bytes(signatureLimit) },
  }))
  return { checkpoint, signatures }
}
