import type { Term } from '@raftkit/contract'
import type { Hash } from './hash.ts'
import { compareRank, type Place } from './statement.ts'

/**
 * What a member has promised in one epoch. Durable before anything that it implies leaves. Safety lives in this file alone
 * (bft-raft S1–S5): whatever a member is told, it votes only as these functions let it.
 */
export interface Ballot {
  readonly term: Term
  /** Its last phase-1 vote in `term`. */
  readonly tip: Hash | undefined
  /** The highest append certificate it holds; undefined: the genesis of the epoch. Its rank never falls. */
  readonly lock: Place | undefined
  /** The lock it stated when it asked for `term`; 'none' asked without one. Undefined: it came here without asking. */
  readonly stated: Place | 'none' | undefined
}

export const firstBallot: Ballot = { term: 0, tip: undefined, lock: undefined, stated: undefined }

/** The tree of entries, as far as it is known. */
export interface Tree {
  /** Whether `older` is `newer` or an ancestor of it, every entry between being known. */
  holds(older: Hash, newer: Hash): boolean
}

/** S1: terms only rise, and with the term all votes of older ones end. */
export function enterTerm(ballot: Ballot, term: Term): Ballot {
  return term > ballot.term ? { term, tip: undefined, lock: ballot.lock, stated: undefined } : ballot
}

/** S1: the term vote ends voting in all older terms first, and states the lock as it is then; it is never changed afterwards. */
export function askForTerm(ballot: Ballot, term: Term): Ballot {
  return term > ballot.term ? { ...enterTerm(ballot, term), stated: ballot.lock ?? 'none' } : ballot
}

/**
 * S2, S3: whether `hash` may get a phase-1 vote in `term`. `anchor`: the entry that a verified certificate of this very term binds its
 * leader to, whatever the own lock says; in term 0 the genesis; undefined: no such certificate was seen.
 */
export function mayAppend(ballot: Ballot, term: Term, hash: Hash, anchor: Hash | undefined, tree: Tree): boolean {
  if (term !== ballot.term || anchor === undefined) return false
  return tree.holds(anchor, hash) && (ballot.tip === undefined || tree.holds(ballot.tip, hash))
}

export function append(ballot: Ballot, hash: Hash): Ballot {
  return { ...ballot, tip: hash }
}

/** S4, S5: a verified append certificate raises the lock, and the term to its own, so that a lock is never of a term to come. */
export function lockOn(ballot: Ballot, certified: Place): Ballot {
  const entered = enterTerm(ballot, certified.term)
  return compareRank(certified, entered.lock) > 0 ? { ...entered, lock: certified } : entered
}

/** S4: a phase-2 vote is for what the member is locked on or above, in its term alone. */
export function mayCommit(ballot: Ballot, certified: Place): boolean {
  return certified.term === ballot.term && compareRank(ballot.lock, certified) >= 0
}
