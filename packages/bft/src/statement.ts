import { Writer } from '@raftkit/bytes'
import type { Index, Term } from '@raftkit/contract'
import { type Hash, rawHash } from './hash.ts'

/** `append` (phase 1): I hold this entry and all before it. `commit` (phase 2): I am locked on it. */
export type Phase = 'append' | 'commit'

/** What members agree on: this entry, in this term. */
export interface Place {
  readonly term: Term
  readonly index: Index
  readonly hash: Hash
}

/** A signature to be verified. */
export interface Check {
  readonly key: Uint8Array
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
}

/*
 * What is signed. Each kind begins with a text of its own, so that a signature of one kind is none of another; then the domain of the
 * epoch, which stands for cluster, epoch and keys; then fields of fixed width, every one that the claim consists of (Tangaroa's
 * relatives left out terms and relabelled them).
 */

export function voteStatement(domain: Hash, phase: Phase, { term, index, hash }: Place): Uint8Array {
  return new Writer(128)
    .text(`raftkit ${phase} 1`)
    .raw(rawHash(domain))
    .u64(term)
    .u64(index)
    .raw(rawHash(hash))
    .finish()
}

/** `lock`: the highest certificate the member holds; undefined: none in this epoch. */
export function termVoteStatement(domain: Hash, term: Term, lock: Place | undefined): Uint8Array {
  const writer = new Writer(128).text('raftkit term 1').raw(rawHash(domain)).u64(term)
  writer.u8(lock === undefined ? 0 : 1)
  if (lock !== undefined) writer.u64(lock.term).u64(lock.index).raw(rawHash(lock.hash))
  return writer.finish()
}

/** By the leader of `term`, once: `proof` is the hash of the certificate that binds it, so that it cannot show one to some and another to others. */
export function leadStatement(domain: Hash, term: Term, proof: Hash): Uint8Array {
  return new Writer(128).text('raftkit lead 1').raw(rawHash(domain)).u64(term).raw(rawHash(proof)).finish()
}

/** Above 0: `a` ranks above `b`. By term, then by index; whoever has no lock ranks lowest. */
export function compareRank(a: Place | undefined, b: Place | undefined): number {
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1)
  return a.term - b.term || a.index - b.index
}
