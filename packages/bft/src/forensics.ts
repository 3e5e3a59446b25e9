import { Reader, Writer } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import type { Certificate, TermCertificate } from './certificate.ts'
import { readCertificate, readTermCertificate, writeCertificate, writeTermCertificate } from './encoding.ts'
import { type Header, headerBytes, headerHash, readHeader, writeHeader } from './entry.ts'
import { compareClaims, type SignedClaim } from './evidence/claim.ts'
import { encodeEvidence, mostHeaders } from './evidence/evidence.ts'
import { type Verdict, type Verify, verifyEvidence } from './evidence/verdict.ts'
import type { Digest, Hash } from './hash.ts'
import type { Members } from './members.ts'

/**
 * What a member of a forked cluster leaves behind: every certificate it keeps, the headers between them, and what it could prove before.
 * From one side of a fork it takes the certificates of both sides and the term certificate under which the later one came about.
 */
export interface Dump {
  readonly epoch: number
  readonly certificates: readonly Certificate[]
  readonly terms: readonly TermCertificate[]
  readonly headers: readonly Header[]
  readonly evidence: readonly Uint8Array[]
}

export interface Culprit extends Verdict {
  readonly evidence: Uint8Array
}

const dumpFormat = 1

export function encodeDump({ epoch, certificates, terms, headers, evidence }: Dump): Uint8Array {
  const writer = new Writer(4096).u8(dumpFormat).u64(epoch).u32(certificates.length)
  for (const certificate of certificates) writeCertificate(writer, certificate)
  writer.u32(terms.length)
  for (const term of terms) writeTermCertificate(writer, term)
  writer.u32(headers.length)
  for (const header of headers) writeHeader(writer, header)
  writer.u32(evidence.length)
  for (const bytes of evidence) writer.bytes(bytes)
  return writer.finish()
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. Nothing of it is verified. */
export function decodeDump(bytes: Uint8Array): Dump {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== dumpFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `dump format ${format}; this version reads ${dumpFormat}`)
  const dump = {
    epoch: reader.u64(),
    certificates: Array.from({ length: reader.count(60) }, () => readCertificate(reader)),
    terms: Array.from({ length: reader.count(20) }, () => readTermCertificate(reader)),
    headers: Array.from({ length: reader.count(headerBytes) }, () => readHeader(reader)),
    evidence: Array.from({ length: reader.count(4) }, () => reader.bytes()),
  }
  reader.end()
  return dump
}

/**
 * Who forked the cluster: at least f + 1 members, each with evidence that stands for itself, so none honest whatever the dumps say. Two commit
 * certificates of one term share f + 1 signers, who voted twice. Of different terms: the first append certificate above the lower one that
 * conflicts with it came about under a term certificate that claims nothing as high, and f + 1 of those who signed that had signed the
 * lower commit: they forgot it. Which of these it is need not be decided: everything that anybody signed is held against everything else.
 */
export function findCulprits(
  dumps: readonly Dump[],
  trust: { digest: Digest; members: Members; cluster: Hash; verify: Verify },
): Culprit[] {
  const { members } = trust
  const culprits = new Map<string, Culprit>()
  const consider = (evidence: Uint8Array): void => {
    const verdict = verifyEvidence(evidence, trust)
    if (verdict === undefined || verdict.lie === 'E8' || culprits.has(verdict.who)) return
    culprits.set(verdict.who, { ...verdict, evidence })
  }
  const ours = dumps.filter(({ epoch }) => epoch === members.epoch)
  for (const { evidence } of ours) for (const bytes of evidence) consider(bytes)
  const headers = new Map<Hash, Header>()
  for (const dump of ours) for (const header of dump.headers) headers.set(headerHash(trust.digest, header), header)
  for (const [signer, claims] of claimsOf(ours)) {
    const who = members.list[signer]?.id
    for (const [at, first] of claims.entries())
      for (const second of claims.slice(at + 1)) {
        if (who === undefined || culprits.has(who)) continue
        const between = headersBetween(headers, first, second)
        const claim = { type: 'contradiction', epoch: members.epoch, signer, first, second, headers: between } as const
        consider(encodeEvidence(claim))
      }
  }
  return [...culprits.values()].sort((a, b) => (a.who < b.who ? -1 : 1))
}

/** Each once, in the order in which evidence names them. */
function claimsOf(dumps: readonly Dump[]): Map<number, SignedClaim[]> {
  const all = new Map<number, Map<string, SignedClaim>>()
  const add = (signer: number, one: SignedClaim): void => {
    const claims = all.get(signer) ?? new Map<string, SignedClaim>()
    all.set(signer, claims.set(`${JSON.stringify(one.claim)} ${one.signature.join()}`, one))
  }
  for (const { certificates, terms } of dumps) {
    for (const { phase, place, signatures } of certificates)
      for (const { signer, signature } of signatures) add(signer, { claim: { type: phase, place }, signature })
    const locks = terms.flatMap(({ lock }) => lock ?? [])
    for (const { phase, place, signatures } of locks)
      for (const { signer, signature } of signatures) add(signer, { claim: { type: phase, place }, signature })
    for (const { term, votes } of terms)
      for (const { signer, lock, signature } of votes) add(signer, { claim: { type: 'term', term, lock }, signature })
  }
  return new Map([...all].map(([signer, claims]) => [signer, inOrder(claims)]))
}

const inOrder = (claims: Map<string, SignedClaim>): SignedClaim[] =>
  [...claims.values()].sort((a, b) => compareClaims(a.claim, b.claim))

function headersBetween(known: Map<Hash, Header>, { claim: a }: SignedClaim, { claim: b }: SignedClaim): Header[] {
  if (!('place' in a && 'place' in b) || a.type !== b.type || a.place.term !== b.place.term) return []
  const headers: Header[] = []
  for (let header = known.get(b.place.hash); header; header = known.get(header.parent)) {
    if (headers.length >= Math.min(mostHeaders, b.place.index - a.place.index)) break
    headers.push(header)
  }
  return headers
}
