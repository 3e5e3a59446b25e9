import { isRaftkitError } from '@raftkit/contract'
import { flawOfHeader, type Header, itemsRoot, leafOf, span } from '../entry.ts'
import { configurationChecks, flawOfConfiguration } from '../epochs.ts'
import type { Digest, Hash } from '../hash.ts'
import type { Members } from '../members.ts'
import { merkleRoot, provesItem } from '../merkle.ts'
import { decodeRequest, type Request, requestCheck, requestIn } from '../request.ts'
import { type Check, voteStatement } from '../statement.ts'
import { isChain } from './claim.ts'
import type { Evidence, ItemProof } from './evidence.ts'
import type { Case } from './verdict.ts'

/**
 * E5. Only the leader of the term is named, and only for an entry of that term: a follower may have taken over what a certificate vouched
 * for, which with more than f liars is worth nothing; a leader made its own entries itself. And only what its signature binds: the
 * headers, by their hashes, and items under the root of one. That the items it *sent* were others than those of the header, nobody can
 * prove: whoever says so may have made them up.
 */
export function judgeEntry(
  digest: Digest,
  members: Members,
  cluster: Hash,
  evidence: Extract<Evidence, { type: 'invalidEntry' }>,
): Case | undefined {
  const { place, signature, headers, depth } = evidence
  const [header, parent] = [headers[depth], headers[depth + 1]]
  if (header === undefined || parent === undefined || !isChain(digest, place.hash, headers)) return undefined
  if (header.term !== place.term || header.index <= members.genesis.index) return undefined
  const flaw = flawOf(digest, members, cluster, evidence, header, parent)
  if (flaw === undefined) return undefined
  const who = members.leader(place.term)
  const { key } = members.list[members.signer(who)!]!
  return {
    ...{ who, lie: 'E5' },
    what: `${who}, leading term ${place.term}, proposed at ${header.index} an entry that is none: ${flaw.what}`,
    valid: [{ key, bytes: voteStatement(members.domain, 'append', place), signature }],
    invalid: flaw.forged,
  }
}

interface Found {
  readonly what: string
  /** Flawed only if one of these is no signature. */
  readonly forged: readonly Check[]
}

const plainly = (what: string | undefined): Found | undefined => (what === undefined ? undefined : { what, forged: [] })

function flawOf(
  digest: Digest,
  members: Members,
  cluster: Hash,
  { flaw, headers, depth }: Extract<Evidence, { type: 'invalidEntry' }>,
  header: Header,
  parent: Header,
): Found | undefined {
  switch (flaw.type) {
    case 'header':
      return plainly(flawOfHeader(digest, header, parent) ?? flawOfRoot(digest, header))
    case 'position': {
      if (parent.kind !== 'data' || itemsRoot(digest, flaw.items) !== parent.root) return undefined
      const due = spanOf(parent, flaw.items)
      const isRight = due === undefined || header.position === parent.position + due
      return isRight ? undefined : plainly('its position does not follow')
    }
    case 'item':
      return provesLeaf(digest, header, flaw.proof)
        ? flawOfItem(digest, members, cluster, header, flaw.proof)
        : undefined
    case 'repeated': {
      const { proof, earlier } = flaw
      const before = headers[depth + flaw.depth]
      if (header.kind !== 'data' || before?.kind !== 'data') return undefined
      if (flaw.depth === 0 && proof.at <= earlier.at) return undefined
      if (!provesLeaf(digest, header, proof) || !provesLeaf(digest, before, earlier)) return undefined
      const [a, b] = [requestIn(proof.item), requestIn(earlier.item)]
      return a && b && overlaps(a, b) ? plainly(`it executes again what ${before.index} holds`) : undefined
    }
  }
}

/** What the root alone shows: an entry with items where none are due, or without any. */
export function flawOfRoot(digest: Digest, { kind, root }: Header): string | undefined {
  const isEmpty = root === merkleRoot(digest, [])
  return isEmpty === (kind === 'noop') ? undefined : `a ${kind} entry ${isEmpty ? 'without' : 'with'} items`
}

function flawOfItem(
  digest: Digest,
  members: Members,
  cluster: Hash,
  { kind }: Header,
  { item, count }: ItemProof,
): Found | undefined {
  if (kind === 'noop') return undefined
  if (kind !== 'data' && count > 1) return plainly(`a ${kind} entry of ${count} items`)
  // What another version takes for evidence is its own affair: it gets no vote here, and proves nothing.
  if (kind === 'evidence') return undefined
  if (kind === 'config') {
    const flaw = flawOfConfiguration(digest, members, item)
    if (flaw !== undefined) return plainly(flaw)
    return { what: 'its operators did not sign it', forged: configurationChecks(digest, members, item) }
  }
  try {
    return {
      what: 'no client signed one of its requests',
      forged: [requestCheck(digest, cluster, decodeRequest(item))],
    }
  } catch (error) {
    // A format that this version does not know may be one that its author's does.
    if (isRaftkitError(error, 'MALFORMED')) return plainly('an item is no request')
    if (isRaftkitError(error)) return undefined
    throw error
  }
}

export function overlaps(a: Request, b: Request): boolean {
  const isOne =
    a.session === b.session && a.client.length === b.client.length && a.client.every((x, i) => x === b.client[i])
  return isOne && a.seq < b.seq + b.operations.length && b.seq < a.seq + a.operations.length
}

function provesLeaf(digest: Digest, { root }: Header, { item, before, at, count, path }: ItemProof): boolean {
  return provesItem(digest, root, leafOf(before, item), at, count, path)
}

function spanOf(header: Header, items: readonly Uint8Array[]): number | undefined {
  try {
    return span({ header, items })
  } catch (error) {
    if (isRaftkitError(error)) return undefined
    throw error
  }
}
