import { type Reader, Writer } from '@raftkit/bytes'
import { RaftkitError, type Term } from '@raftkit/contract'
import { maybe, optional, readPlace, writePlace } from '../encoding.ts'
import { type Header, headerHash } from '../entry.ts'
import { type Digest, type Hash, rawHash, readHash } from '../hash.ts'
import { signatureLimit } from '../request.ts'
import { compareRank, leadStatement, type Phase, type Place, termVoteStatement, voteStatement } from '../statement.ts'

/** What a member signs. */
export type Claim =
  | { readonly type: Phase; readonly place: Place }
  | { readonly type: 'term'; readonly term: Term; readonly lock: Place | undefined }
  /** `proof`: the hash of the term certificate under which it leads. */
  | { readonly type: 'lead'; readonly term: Term; readonly proof: Hash }

export interface SignedClaim {
  readonly claim: Claim
  readonly signature: Uint8Array
}

const types: readonly Claim['type'][] = ['append', 'commit', 'term', 'lead']

export function claimStatement(domain: Hash, claim: Claim): Uint8Array {
  switch (claim.type) {
    case 'term':
      return termVoteStatement(domain, claim.term, claim.lock)
    case 'lead':
      return leadStatement(domain, claim.term, claim.proof)
    default:
      return voteStatement(domain, claim.type, claim.place)
  }
}

export function writeSignedClaim(writer: Writer, { claim, signature }: SignedClaim): Writer {
  writer.u8(types.indexOf(claim.type))
  if (claim.type === 'term') optional(writer.u64(claim.term), claim.lock, writePlace)
  else if (claim.type === 'lead') writer.u64(claim.term).raw(rawHash(claim.proof))
  else writePlace(writer, claim.place)
  return writer.bytes(signature)
}

export function readSignedClaim(reader: Reader): SignedClaim {
  const claim = readClaim(reader)
  return { claim, signature: reader.bytes(signatureLimit) }
}

function readClaim(reader: Reader): Claim {
  const type = types[reader.u8()]
  switch (type) {
    case undefined:
      throw new RaftkitError('MALFORMED', 'a claim is of no known kind')
    case 'term':
      return { type, term: reader.u64(), lock: maybe(reader, readPlace) }
    case 'lead':
      return { type, term: reader.u64(), proof: readHash(reader) }
    default:
      return { type, place: readPlace(reader) }
  }
}

/** Of two claims of one member, that which is named first: then two that contradict each other have one encoding. */
export function inOrder(a: SignedClaim, b: SignedClaim): readonly [SignedClaim, SignedClaim] {
  return compareClaims(a.claim, b.claim) <= 0 ? [a, b] : [b, a]
}

/** By term and index; what is equal in these, by its bytes. Votes to commit in a term come before term votes for later ones. */
export function compareClaims(a: Claim, b: Claim): number {
  const [x, y] = [rankOf(a), rankOf(b)]
  return x.term - y.term || x.index - y.index || (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0)
}

function rankOf(claim: Claim): { term: Term; index: number } {
  return 'place' in claim ? claim.place : { term: claim.term, index: 0 }
}

function nameOf(claim: Claim): string {
  const { buffer, byteOffset, length } = writeSignedClaim(new Writer(128), {
    claim,
    signature: new Uint8Array(0),
  }).finish()
  return String.fromCharCode(...new Uint8Array(buffer, byteOffset, length))
}

/** Whether `later` takes back what `before` shows the member to have been locked on: locks only rise, and one rank has one entry. */
export function forgets(before: Place | undefined, later: Place | undefined): boolean {
  const order = compareRank(before, later)
  return order > 0 || (order === 0 && before !== undefined && before.hash !== later?.hash)
}

/** Whether `headers`, from `hash` downwards, each hold the hash of the next. */
export function isChain(digest: Digest, hash: Hash, headers: readonly Header[]): boolean {
  let next = hash
  for (const header of headers) {
    if (headerHash(digest, header) !== next) return false
    next = header.parent
  }
  return true
}

/**
 * Whether the entry at `place` is not on the chain of the one at `above`, whose `headers` reach from there down to the index behind
 * `place`. Undefined: they do not show it either way.
 */
export function isBeside(digest: Digest, place: Place, above: Place, headers: readonly Header[]): boolean | undefined {
  if (headers.length !== Math.max(0, above.index - place.index)) return undefined
  if (above.index < place.index) return true
  if (above.index === place.index) return above.hash !== place.hash
  if (!isChain(digest, above.hash, headers)) return undefined
  if (headers.some(({ index }, at) => index !== above.index - at)) return undefined
  return headers.at(-1)!.parent !== place.hash
}
