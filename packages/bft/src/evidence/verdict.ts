import { toHex } from '@raftkit/bytes'
import { isRaftkitError, type NodeId } from '@raftkit/contract'
import { flawOfTermCertificate, termCertificateChecks } from '../certificate.ts'
import { termCertificateHash } from '../encoding.ts'
import type { Header } from '../entry.ts'
import type { Digest, Hash } from '../hash.ts'
import type { Members } from '../members.ts'
import { type Request, requestCheck, requestIn } from '../request.ts'
import { type Check, leadStatement, type Place, voteStatement } from '../statement.ts'
import { type Claim, claimStatement, compareClaims, forgets, isBeside } from './claim.ts'
import { decodeEvidence, type Evidence } from './evidence.ts'
import { judgeEntry } from './invalid.ts'

/** E1 two entries of a leader, E2 two votes, E3 votes on two branches, E4 a lock forgotten, E5 an invalid entry, E6 a bad certificate, E8 a number used twice. */
export type Lie = 'E1' | 'E2' | 'E3' | 'E4' | 'E5' | 'E6' | 'E8'

export interface Verdict {
  /** A member's id; of a client (E8) its key, in hex. */
  readonly who: NodeId
  readonly lie: Lie
  /** What it did, in a sentence. */
  readonly what: string
}

/** A verdict that stands if every one of `valid` is a signature and, where there are any, one of `invalid` is none. */
export interface Case extends Verdict {
  readonly valid: readonly Check[]
  readonly invalid: readonly Check[]
}

export type Verify = (checks: readonly Check[]) => readonly boolean[]

/**
 * Who lied, from the bytes and the keys of the epoch alone. Undefined: they prove nothing, whatever they say. `cluster`: the hash of the
 * founding entry, which clients' signatures are bound to.
 */
export function verifyEvidence(
  bytes: Uint8Array,
  { digest, members, cluster, verify }: { digest: Digest; members: Members; cluster: Hash; verify: Verify },
): Verdict | undefined {
  const evidence = readEvidence(bytes)
  const found = evidence && judge(digest, members, cluster, evidence)
  if (found === undefined) return undefined
  const { who, lie, what } = found
  return stands(found, verify([...found.valid, ...found.invalid])) ? { who, lie, what } : undefined
}

/** `flags`: of the checks of `valid` and then of `invalid`. */
export function stands({ valid, invalid }: Case, flags: readonly boolean[]): boolean {
  if (flags.length !== valid.length + invalid.length) return false
  const isForged = invalid.length === 0 || flags.slice(valid.length).includes(false)
  return isForged && flags.slice(0, valid.length).every(Boolean)
}

export function readEvidence(bytes: Uint8Array): Evidence | undefined {
  try {
    return decodeEvidence(bytes)
  } catch (error) {
    if (isRaftkitError(error, 'MALFORMED') || isRaftkitError(error, 'UNKNOWN_FORMAT')) return undefined
    throw error
  }
}

/** What the evidence proves if its signatures are what they must be. */
export function judge(digest: Digest, members: Members, cluster: Hash, evidence: Evidence): Case | undefined {
  if (evidence.type === 'reuse') return judgeReuse(digest, cluster, evidence)
  if (evidence.epoch !== members.epoch) return undefined
  switch (evidence.type) {
    case 'contradiction':
      return judgeContradiction(digest, members, evidence)
    case 'invalidEntry':
      return judgeEntry(digest, members, cluster, evidence)
    case 'badTerm':
      return judgeTerm(digest, members, evidence)
  }
}

type Of<T extends Evidence['type']> = Extract<Evidence, { type: T }>

function judgeContradiction(digest: Digest, members: Members, evidence: Of<'contradiction'>): Case | undefined {
  const { signer, first, second } = evidence
  const member = members.list[signer]
  if (member === undefined || compareClaims(first.claim, second.claim) >= 0) return undefined
  const found = contradiction(digest, members, member.id, first.claim, second.claim, evidence.headers)
  const valid = [first, second].map(({ claim, signature }) => ({
    ...{ key: member.key, signature },
    bytes: claimStatement(members.domain, claim),
  }))
  return found && { who: member.id, ...found, valid, invalid: [] }
}

/** What no honest member signs both of, in any schedule, however many others lie. Why not is said beside each. */
function contradiction(
  digest: Digest,
  members: Members,
  who: NodeId,
  a: Claim,
  b: Claim,
  headers: readonly Header[],
): Pick<Verdict, 'lie' | 'what'> | undefined {
  const isBare = headers.length === 0
  // Votes of one phase and term are a chain that rises: of phase 1 by S3, of phase 2 since locks of one term are.
  if ((a.type === 'append' || a.type === 'commit') && a.type === b.type && a.place.term === b.place.term) {
    if (isBeside(digest, a.place, b.place, headers) !== true) return undefined
    const votes = `${a.type === 'append' ? 'append' : 'commit'} votes`
    if (a.place.index < b.place.index)
      return {
        lie: 'E3',
        what: `${who} gave ${votes} on two branches of term ${a.place.term}: ${both(a.place, b.place)}`,
      }
    if (a.type === 'append' && members.leader(a.place.term) === who)
      return { lie: 'E1', what: `${who}, leading term ${a.place.term}, proposed ${both(a.place, b.place)}` }
    return { lie: 'E2', what: `${who} gave ${votes} of term ${a.place.term} for ${both(a.place, b.place)}` }
  }
  if (!isBare) return undefined
  // A term vote is stated once, with the lock of that moment (S1).
  if (a.type === 'term' && b.type === 'term' && a.term === b.term)
    return { lie: 'E2', what: `${who} asked for term ${a.term} with ${lockOf(a.lock)} and with ${lockOf(b.lock)}` }
  // Locks only rise (S4, S5), and whoever votes to commit is locked there or above.
  if (a.type === 'term' && b.type === 'term' && forgets(a.lock, b.lock))
    return {
      lie: 'E4',
      what: `${who} asked for term ${a.term} with ${lockOf(a.lock)}, and for term ${b.term} with ${lockOf(b.lock)}`,
    }
  if (a.type === 'commit' && b.type === 'term' && a.place.term < b.term && forgets(a.place, b.lock))
    return {
      lie: 'E4',
      what: `${who} gave a commit vote ${at(a.place)}, and asked for term ${b.term} with ${lockOf(b.lock)}`,
    }
  // A leader shows one certificate.
  if (a.type === 'lead' && b.type === 'lead' && a.term === b.term)
    return { lie: 'E6', what: `${who} leads term ${a.term} under two certificates` }
  return undefined
}

/** A leader that signed a certificate has verified it, and stands on its anchor. */
function judgeTerm(digest: Digest, members: Members, evidence: Of<'badTerm'>): Case | undefined {
  const { certificate, signature, vote } = evidence
  const { term, lock } = certificate
  const who = members.leader(term)
  const { key } = members.list[members.signer(who)!]!
  const lead = { key, signature, bytes: leadStatement(members.domain, term, termCertificateHash(digest, certificate)) }
  if (vote === undefined) {
    const what = `${who} leads term ${term} under a certificate that is none`
    if (certificate.epoch !== members.epoch) return undefined
    const isFlawed = flawOfTermCertificate(members, certificate) !== undefined
    const invalid = isFlawed ? [] : termCertificateChecks(members, certificate)
    return { who, lie: 'E6', what, valid: [lead], invalid }
  }
  const anchor = lock?.place ?? { term: 0, ...members.genesis }
  if (vote.place.term !== term || isBeside(digest, anchor, vote.place, vote.headers) !== true) return undefined
  const bytes = voteStatement(members.domain, 'append', vote.place)
  return {
    ...{ who, lie: 'E6', invalid: [] },
    what: `${who}, leading term ${term}, proposed what does not follow from its certificate: ${both(anchor, vote.place)}`,
    valid: [lead, { key, bytes, signature: vote.signature }],
  }
}

/** One number, two operations. The same operation under the same number in another request is a repetition, and honest. */
function judgeReuse(digest: Digest, cluster: Hash, { first, second }: Of<'reuse'>): Case | undefined {
  const [a, b] = [requestIn(first), requestIn(second)]
  if (a === undefined || b === undefined || toHex(first) >= toHex(second)) return undefined
  const seq = reused(a, b)
  if (seq === undefined) return undefined
  const who = toHex(a.client)
  const valid = [a, b].map((request) => requestCheck(digest, cluster, request))
  const what = `client ${who} gave number ${seq} of session ${a.session} to two operations`
  return { who, lie: 'E8', what, valid, invalid: [] }
}

/** The first number that the two give to different operations. */
export function reused(a: Request, b: Request): number | undefined {
  if (a.session !== b.session || toHex(a.client) !== toHex(b.client)) return undefined
  for (const [at, operation] of a.operations.entries()) {
    const other = b.operations[a.seq + at - b.seq]
    if (other !== undefined && toHex(operation) !== toHex(other)) return a.seq + at
  }
  return undefined
}

const short = (hash: Hash): string => hash.slice(0, 8)
const at = ({ index, term, hash }: Place): string => `at ${index} in term ${term} (${short(hash)})`
const both = (a: Place, b: Place): string => `${short(a.hash)} at ${a.index} and ${short(b.hash)} at ${b.index}`
const lockOf = (lock: Place | undefined): string => (lock === undefined ? 'no lock' : `a lock ${at(lock)}`)
