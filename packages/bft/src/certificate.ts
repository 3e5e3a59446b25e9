import type { Term } from '@raftkit/contract'
import { termCertificateHash } from './encoding.ts'
import type { Digest } from './hash.ts'
import type { Members } from './members.ts'
import {
  type Check,
  compareRank,
  leadStatement,
  type Phase,
  type Place,
  termVoteStatement,
  voteStatement,
} from './statement.ts'

/** By a member, named by its place in the epoch's list. */
export interface Signature {
  readonly signer: number
  readonly signature: Uint8Array
}

/** A quorum's votes for one place in one phase. Of phase 1 it is a lock, of phase 2 it proves the commit. */
export interface Certificate {
  readonly phase: Phase
  readonly epoch: number
  readonly place: Place
  /** By signer, rising: nobody counts twice. */
  readonly signatures: readonly Signature[]
}

export interface TermVote extends Signature {
  /** Undefined: it holds no certificate of this epoch. */
  readonly lock: Place | undefined
}

/** A quorum gave up on the terms before `term`. What the leader of it must begin with follows from `lock`. */
export interface TermCertificate {
  readonly epoch: number
  readonly term: Term
  readonly votes: readonly TermVote[]
  /** The highest that the votes claim; undefined: none claims any. */
  readonly lock: Certificate | undefined
}

/** What a leader leads under: signed by it, so that showing one certificate to some and another to others is a lie that can be proved. */
export interface Mandate extends TermCertificate {
  readonly signature: Uint8Array
}

/** What is wrong before any signature is looked at, or undefined. */
export function flawOfCertificate(members: Members, certificate: Certificate): string | undefined {
  const { epoch, place, signatures } = certificate
  if (epoch !== members.epoch) return `it is of epoch ${epoch}, not ${members.epoch}`
  if (place.index <= members.genesis.index) return 'it is for an entry before its epoch'
  return flawOfSigners(members, signatures)
}

export function certificateChecks(members: Members, { phase, place, signatures }: Certificate): Check[] {
  const bytes = voteStatement(members.domain, phase, place)
  return signatures.map(({ signer, signature }) => ({ key: members.list[signer]!.key, bytes, signature }))
}

export function flawOfTermCertificate(members: Members, certificate: TermCertificate): string | undefined {
  const { epoch, term, votes, lock } = certificate
  if (epoch !== members.epoch) return `it is of epoch ${epoch}, not ${members.epoch}`
  if (term < 1) return 'term 0 needs no certificate'
  if (votes.some((vote) => vote.lock !== undefined && vote.lock.term >= term))
    return 'a lock is not older than the term'
  if (lock !== undefined && lock.phase !== 'append') return 'its lock is no append certificate'
  // A claim above the certificate shown would be an anchor hidden from those who follow.
  const highest = highestLock(votes)
  if (compareRank(highest, lock?.place) !== 0) return 'its lock is not the highest that is claimed'
  if (
    votes.some(
      (vote) => vote.lock !== undefined && compareRank(vote.lock, highest) === 0 && vote.lock.hash !== lock?.place.hash,
    )
  )
    return 'its lock is for another entry than a vote claims'
  return flawOfSigners(members, votes) ?? (lock && flawOfCertificate(members, lock))
}

export function termCertificateChecks(members: Members, { term, votes, lock }: TermCertificate): Check[] {
  const checks = votes.map((vote) => termVoteCheck(members, term, vote))
  return lock === undefined ? checks : [...checks, ...certificateChecks(members, lock)]
}

export function mandateChecks(digest: Digest, members: Members, mandate: Mandate): Check[] {
  const { term, signature } = mandate
  const { key } = members.list[members.signer(members.leader(term))!]!
  const bytes = leadStatement(members.domain, term, termCertificateHash(digest, mandate))
  return [{ key, bytes, signature }, ...termCertificateChecks(members, mandate)]
}

export function termVoteCheck(members: Members, term: Term, { signer, lock, signature }: TermVote): Check {
  return { key: members.list[signer]!.key, bytes: termVoteStatement(members.domain, term, lock), signature }
}

export function highestLock(votes: readonly TermVote[]): Place | undefined {
  return votes.reduce<Place | undefined>((best, { lock }) => (compareRank(lock, best) > 0 ? lock : best), undefined)
}

/** Of what was gathered, the quorum with the lowest signers, in order; undefined: there is none yet. */
export function assemble<S extends Signature>(members: Members, gathered: Iterable<S>): S[] | undefined {
  const bySigner = new Map<number, S>()
  for (const one of gathered) if (!bySigner.has(one.signer)) bySigner.set(one.signer, one)
  if (bySigner.size < members.quorum) return undefined
  return [...bySigner.values()].sort((a, b) => a.signer - b.signer).slice(0, members.quorum)
}

export function flawOfSigners(members: Members, signatures: readonly Signature[]): string | undefined {
  if (signatures.length !== members.quorum) return `${signatures.length} signatures where ${members.quorum} are due`
  let before = -1
  for (const { signer } of signatures) {
    if (signer <= before) return 'its signers do not rise'
    if (signer >= members.list.length) return `no member has number ${signer}`
    before = signer
  }
  return undefined
}
