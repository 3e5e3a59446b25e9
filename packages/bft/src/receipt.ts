import { Reader, Writer } from '@raftkit/bytes'
import { type Index, isRaftkitError, type NodeId, RaftkitError, type Term } from '@raftkit/contract'
import { type Certificate, certificateChecks, flawOfCertificate } from './certificate.ts'
import { readCertificate, writeCertificate } from './encoding.ts'
import { type Header, headerBytes, headerHash, leafOf, readHeader, writeHeader } from './entry.ts'
import { type Digest, type Hash, rawHash, readHash } from './hash.ts'
import type { Members } from './members.ts'
import { provesItem } from './merkle.ts'
import { decodeRequest, type Request, requestCheck } from './request.ts'
import type { Check } from './statement.ts'

/**
 * Proof, for anyone who knows the members' public keys, that a request was executed, and where: a quorum's certificate, the headers that
 * hang together from there down to the request's entry, and the way through that entry's tree. No member is asked, and none is believed.
 */
export interface Receipt {
  /** Commits the last of the headers, and with it all before. */
  readonly certificate: Certificate
  /** Rising, each the parent of the next; the first is that of the entry which holds the request. */
  readonly headers: readonly Header[]
  /** Place of the request in its entry, and how many requests there are. */
  readonly at: number
  readonly count: number
  /** Operations before it in its entry. */
  readonly before: number
  readonly path: readonly Hash[]
  /** As encoded. */
  readonly request: Uint8Array
}

/** Whom to believe: the members of each epoch, the founders' first. */
export interface Trust {
  readonly digest: Digest
  readonly epochs: readonly Members[]
}

/** What a receipt proves. */
export interface Proven {
  readonly request: Request
  /** Of the entry. */
  readonly hash: Hash
  readonly epoch: number
  readonly index: Index
  /** Of the first operation, counted as the machine counts them: the founding is 1. The others follow. */
  readonly position: Index
  /** Milliseconds since the epoch: what the leader of that time said, and a quorum found no reason to refuse. */
  readonly time: number
  /** Of the certificate. */
  readonly term: Term
  readonly signers: readonly NodeId[]
}

const receiptFormat = 1

/** Canonical: a receipt has one encoding. */
export function encodeReceipt({ certificate, headers, at, count, before, path, request }: Receipt): Uint8Array {
  const writer = new Writer(1024).u8(receiptFormat)
  writeCertificate(writer, certificate)
  writer.u32(headers.length)
  for (const header of headers) writeHeader(writer, header)
  writer.u32(at).u32(count).u32(before).u32(path.length)
  for (const hash of path) writer.raw(rawHash(hash))
  return writer.bytes(request).finish()
}

function decodeReceipt(bytes: Uint8Array): Receipt {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== receiptFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `receipt format ${format}; this version reads ${receiptFormat}`)
  const certificate = readCertificate(reader)
  const headers = Array.from({ length: reader.count(headerBytes) }, () => readHeader(reader))
  const at = reader.u32()
  const count = reader.u32()
  const before = reader.u32()
  const path = Array.from({ length: reader.count(32) }, () => readHash(reader))
  const request = reader.bytes()
  reader.end()
  return { certificate, headers, at, count, before, path, request }
}

/**
 * What a receipt says, and the signatures on which that stands: it is proved if every check holds, and not before. Throws `REFUSED` with the
 * reason if it proves nothing whatever they are, `MALFORMED` or `UNKNOWN_FORMAT` if it is no receipt.
 */
export function readReceipt(
  bytes: Uint8Array,
  { digest, epochs }: Trust,
): { readonly proven: Proven; readonly checks: readonly Check[] } {
  const { certificate, headers, at, count, before, path, request: item } = decodeReceipt(bytes)
  const members = epochs.find(({ epoch }) => epoch === certificate.epoch)
  if (members === undefined)
    throw refused(`its certificate is of epoch ${certificate.epoch}, whose members are not known`)
  const flaw = flawOfCertificate(members, certificate)
  if (flaw !== undefined) throw refused(`of its certificate: ${flaw}`)
  if (certificate.phase !== 'commit') throw refused('its certificate is for a lock, and commits nothing')

  const [own, top] = [headers[0], headers.at(-1)]
  if (own === undefined || top === undefined) throw refused('no entry is in it')
  for (const [above, header] of headers.slice(1).entries())
    if (header.parent !== headerHash(digest, headers[above]!) || header.index !== headers[above]!.index + 1)
      throw refused(`its entries do not hang together at ${header.index}`)
  const { place } = certificate
  if (headerHash(digest, top) !== place.hash || top.index !== place.index)
    throw refused('its certificate is for another entry')
  if (top.epoch !== certificate.epoch) throw refused('its certificate is of another epoch than its entry')

  if (own.kind !== 'data') throw refused(`its entry is ${own.kind}, and holds no request`)
  if (!provesItem(digest, own.root, leafOf(before, item), at, count, path))
    throw refused('its request is not at that place of its entry')
  const request = requestOf(item)
  return {
    proven: {
      request,
      hash: headerHash(digest, own),
      epoch: own.epoch,
      index: own.index,
      position: own.position + before + 1,
      time: own.time,
      term: place.term,
      signers: certificate.signatures.map(({ signer }) => members.list[signer]!.id),
    },
    checks: [...certificateChecks(members, certificate), requestCheck(digest, epochs[0]!.genesis.hash, request)],
  }
}

/** As `readReceipt`, signatures and all. `verify`: the one rule by which all members verify. */
export function verifyReceipt(
  bytes: Uint8Array,
  trust: Trust,
  verify: (checks: readonly Check[]) => readonly boolean[],
): Proven {
  const { proven, checks } = readReceipt(bytes, trust)
  checkSignatures(proven, verify(checks))
  return proven
}

/** Throws `REFUSED` unless all of a receipt's checks hold. `valid`: one flag for each, in their order. */
export function checkSignatures({ signers }: Proven, valid: readonly boolean[]): void {
  for (const [at, signer] of [...signers, undefined].entries())
    if (valid[at] !== true) throw refused(`the signature of ${signer ?? 'the client'} does not hold`)
}

function requestOf(item: Uint8Array): Request {
  try {
    return decodeRequest(item)
  } catch (cause) {
    if (!isRaftkitError(cause)) throw cause
    throw new RaftkitError('REFUSED', 'this receipt proves nothing: what stands in its entry is no request', { cause })
  }
}

const refused = (why: string): RaftkitError => new RaftkitError('REFUSED', `this receipt proves nothing: ${why}`)
