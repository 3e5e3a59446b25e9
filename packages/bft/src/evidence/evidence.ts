import { Reader, Writer } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import type { TermCertificate } from '../certificate.ts'
import { maybe, optional, readPlace, readTermCertificate, writePlace, writeTermCertificate } from '../encoding.ts'
import { type Header, headerBytes, readHeader, writeHeader } from '../entry.ts'
import { type Hash, rawHash, readHash } from '../hash.ts'
import { signatureLimit } from '../request.ts'
import type { Place } from '../statement.ts'
import { readSignedClaim, type SignedClaim, writeSignedClaim } from './claim.ts'

/** An item under the root of its entry. */
export interface ItemProof {
  readonly item: Uint8Array
  /** Operations of the entry before it, as its leaf says. */
  readonly before: number
  readonly at: number
  readonly count: number
  readonly path: readonly Hash[]
}

/** What is wrong with an entry. `headers` of the evidence lead to it, and one further, to its parent. */
export type Flaw =
  | { readonly type: 'header' }
  /** `items` of its parent, so that everybody can count. */
  | { readonly type: 'position'; readonly items: readonly Uint8Array[] }
  | { readonly type: 'item'; readonly proof: ItemProof }
  /** A number of a session that this entry or one before it holds already: `depth` headers further down. */
  | { readonly type: 'repeated'; readonly proof: ItemProof; readonly depth: number; readonly earlier: ItemProof }

/**
 * What proves, to anyone who has the keys of an epoch and nothing else, that one of its members lied (or a client: `reuse`). Each is two
 * things that an honest one never signs both, or one that it never signs at all. What a signature does not bind is no evidence.
 */
export type Evidence =
  /** E1–E4. `first` is the one that ranks lower; `headers`: from the higher vote down to the index behind the lower. */
  | {
      readonly type: 'contradiction'
      readonly epoch: number
      readonly signer: number
      readonly first: SignedClaim
      readonly second: SignedClaim
      readonly headers: readonly Header[]
    }
  /** E5. The leader of the vote's term signed for an entry of its own making that nobody may vote for. */
  | {
      readonly type: 'invalidEntry'
      readonly epoch: number
      readonly place: Place
      readonly signature: Uint8Array
      /** From the entry at `place` down to the parent of the flawed one, or as far as the flaw needs. */
      readonly headers: readonly Header[]
      /** The flawed one is so many headers down. */
      readonly depth: number
      readonly flaw: Flaw
    }
  /** E6. The leader of a term signed a certificate that is none; or one, and a vote for what does not follow from it. */
  | {
      readonly type: 'badTerm'
      readonly epoch: number
      readonly certificate: TermCertificate
      readonly signature: Uint8Array
      readonly vote: SignedVote | undefined
    }
  /** E8. Two requests of one client, as encoded, that give one number to two operations. */
  | { readonly type: 'reuse'; readonly first: Uint8Array; readonly second: Uint8Array }

/** A leader's, with the headers down to the index behind its anchor. */
export interface SignedVote {
  readonly place: Place
  readonly signature: Uint8Array
  readonly headers: readonly Header[]
}

const evidenceFormat = 1

/** More would be a burden to those who check it; who sees a lie early needs few. */
export const mostHeaders = 1024

const kinds: readonly Evidence['type'][] = ['contradiction', 'invalidEntry', 'badTerm', 'reuse']
const flaws: readonly Flaw['type'][] = ['header', 'position', 'item', 'repeated']

export function encodeEvidence(evidence: Evidence): Uint8Array {
  const writer = new Writer(1024).u8(evidenceFormat).u8(kinds.indexOf(evidence.type))
  switch (evidence.type) {
    case 'contradiction':
      writer.u64(evidence.epoch).u8(evidence.signer)
      writeSignedClaim(writeSignedClaim(writer, evidence.first), evidence.second)
      writeHeaders(writer, evidence.headers)
      break
    case 'invalidEntry':
      writePlace(writer.u64(evidence.epoch), evidence.place).bytes(evidence.signature)
      writeHeaders(writer, evidence.headers).u32(evidence.depth)
      writeFlaw(writer, evidence.flaw)
      break
    case 'badTerm':
      writeTermCertificate(writer.u64(evidence.epoch), evidence.certificate)
      optional(writer.bytes(evidence.signature), evidence.vote, (to, { place, signature, headers }) =>
        writeHeaders(writePlace(to, place).bytes(signature), headers),
      )
      break
    case 'reuse':
      writer.bytes(evidence.first).bytes(evidence.second)
      break
  }
  return writer.finish()
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. What it reads has one encoding, and may prove nothing. */
export function decodeEvidence(bytes: Uint8Array): Evidence {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== evidenceFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `evidence format ${format}; this version reads ${evidenceFormat}`)
  const evidence = readBody(reader)
  reader.end()
  return evidence
}

function readBody(reader: Reader): Evidence {
  const type = kinds[reader.u8()]
  if (type === undefined) throw new RaftkitError('MALFORMED', 'evidence is of no known kind')
  switch (type) {
    case 'contradiction': {
      const epoch = reader.u64()
      const signer = reader.u8()
      const first = readSignedClaim(reader)
      return { type, epoch, signer, first, second: readSignedClaim(reader), headers: readHeaders(reader) }
    }
    case 'invalidEntry': {
      const epoch = reader.u64()
      const place = readPlace(reader)
      const signature = reader.bytes(signatureLimit)
      const headers = readHeaders(reader)
      return { type, epoch, place, signature, headers, depth: reader.u32(), flaw: readFlaw(reader) }
    }
    case 'badTerm': {
      const epoch = reader.u64()
      const certificate = readTermCertificate(reader)
      const signature = reader.bytes(signatureLimit)
      const vote = maybe(reader, () => ({
        place: readPlace(reader),
        signature: reader.bytes(signatureLimit),
        headers: readHeaders(reader),
      }))
      return { type, epoch, certificate, signature, vote }
    }
    case 'reuse':
      return { type, first: reader.bytes(), second: reader.bytes() }
  }
}

function writeHeaders(writer: Writer, headers: readonly Header[]): Writer {
  writer.u32(headers.length)
  for (const header of headers) writeHeader(writer, header)
  return writer
}

function readHeaders(reader: Reader): Header[] {
  const count = reader.count(headerBytes)
  if (count > mostHeaders)
    throw new RaftkitError('MALFORMED', `${count} headers in evidence, at most ${mostHeaders} are allowed`)
  return Array.from({ length: count }, () => readHeader(reader))
}

function writeFlaw(writer: Writer, flaw: Flaw): void {
  writer.u8(flaws.indexOf(flaw.type))
  if (flaw.type === 'position') {
    writer.u32(flaw.items.length)
    for (const item of flaw.items) writer.bytes(item)
  }
  if (flaw.type === 'item' || flaw.type === 'repeated') writeProof(writer, flaw.proof)
  if (flaw.type === 'repeated') writeProof(writer.u32(flaw.depth), flaw.earlier)
}

function readFlaw(reader: Reader): Flaw {
  const type = flaws[reader.u8()]
  if (type === undefined) throw new RaftkitError('MALFORMED', 'a flaw is of no known kind')
  switch (type) {
    case 'header':
      return { type }
    case 'position':
      return { type, items: Array.from({ length: reader.count(4) }, () => reader.bytes()) }
    case 'item':
      return { type, proof: readProof(reader) }
    case 'repeated':
      return { type, proof: readProof(reader), depth: reader.u32(), earlier: readProof(reader) }
  }
}

function writeProof(writer: Writer, { item, before, at, count, path }: ItemProof): void {
  writer.bytes(item).u32(before).u32(at).u32(count).u8(path.length)
  for (const hash of path) writer.raw(rawHash(hash))
}

function readProof(reader: Reader): ItemProof {
  const item = reader.bytes()
  const before = reader.u32()
  const at = reader.u32()
  const count = reader.u32()
  const path: Hash[] = []
  for (let left = reader.u8(); left > 0; left--) path.push(readHash(reader))
  return { item, before, at, count, path }
}
