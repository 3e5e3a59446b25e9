import { toHex } from '@raftkit/bytes'
import { isRaftkitError, type NodeId } from '@raftkit/contract'
import type { AppendEntries } from './appending.ts'
import {
  type Certificate,
  flawOfTermCertificate,
  type Mandate,
  type TermCertificate,
  type TermVote,
} from './certificate.ts'
import { termCertificateHash } from './encoding.ts'
import { type Entry, flawOfHeader, type Header, itemsRoot, leavesOf, span } from './entry.ts'
import { decodeConfiguration, flawOfConfiguration } from './epochs.ts'
import { type Claim, forgets, inOrder, type SignedClaim } from './evidence/claim.ts'
import { type Evidence, encodeEvidence, type Flaw, type ItemProof, mostHeaders } from './evidence/evidence.ts'
import { flawOfRoot, overlaps } from './evidence/invalid.ts'
import { type Case, judge, readEvidence, reused, stands, type Verdict } from './evidence/verdict.ts'
import type { Hash } from './hash.ts'
import { merklePath } from './merkle.ts'
import { itemHash, type Request, requestIn } from './request.ts'
import type { Server } from './server.ts'
import type { Check, Place } from './statement.ts'
import type { Tallied } from './tally.ts'
import { suspect } from './terms.ts'

/** A lie that was proved. */
export interface Accused extends Verdict {
  readonly evidence: Uint8Array
}

/** Whose signatures are being verified; `then` waits for what comes out. */
export interface Investigation {
  readonly type: 'evidence'
  readonly from: NodeId
  readonly found: Case
  readonly bytes: Uint8Array
  readonly then: { readonly from: NodeId; readonly message: AppendEntries } | undefined
}

const mostClients = 64

/** What this member can prove: one piece for each liar and kind of lie, so that liars do not fill it. */
export class Accusations {
  readonly #known: Map<string, Accused>
  readonly #pending: Set<string>
  /** Pieces that were verified, by hash: entries that hold them may be voted for. */
  readonly proved: Set<Hash>
  /** Members whom a committed entry proves to be liars, in its order: the first f of them lead no more. */
  readonly convicted: Set<NodeId>
  /** In which term this member, leading, proposed a piece against whom. */
  readonly proposed: Map<NodeId, number>

  constructor(from?: Accusations) {
    this.#known = new Map(from ? from.#known : [])
    this.#pending = new Set(from ? from.#pending : [])
    this.proved = new Set(from?.proved)
    this.convicted = new Set(from?.convicted)
    this.proposed = new Map(from?.proposed)
  }

  fork(): Accusations {
    return new Accusations(this)
  }

  get known(): Iterable<Accused> {
    return this.#known.values()
  }

  /** Whether it is worth its signatures' time: nothing of the kind is known, or being looked at for the same sender. */
  begin(from: NodeId, found: Case): boolean {
    if (this.#known.has(keyOf(found)) || this.#pending.has(`${from} ${keyOf(found)}`)) return false
    if (found.lie === 'E8' && [...this.#known.values()].filter(({ lie }) => lie === 'E8').length >= mostClients)
      return false
    this.#pending.add(`${from} ${keyOf(found)}`)
    return true
  }

  end(from: NodeId, found: Case): void {
    this.#pending.delete(`${from} ${keyOf(found)}`)
  }

  /** Whether it is news. */
  add(accused: Accused): boolean {
    if (this.#known.has(keyOf(accused))) return false
    this.#known.set(keyOf(accused), accused)
    return true
  }
}

const keyOf = ({ who, lie }: Verdict): string => `${lie} ${who}`

/** What this member saw itself: proved by signatures like anybody's word, and told to all. */
function accuse(server: Server, evidence: Evidence): void {
  investigate(server, server.settings.self, encodeEvidence(evidence), undefined)
}

/** Another member's. What clients did is between them and whoever saw it. */
export function onEvidence(server: Server, from: NodeId, bytes: Uint8Array): void {
  if (bytes.length > server.settings.batchBytes) return
  const evidence = readEvidence(bytes)
  if (evidence !== undefined && evidence.type !== 'reuse') investigate(server, from, bytes, undefined)
}

function investigate(server: Server, from: NodeId, bytes: Uint8Array, then: Investigation['then']): void {
  const { settings, members, genesis, accusations } = server
  const evidence = readEvidence(bytes)
  const found = evidence && judge(settings.digest, members, genesis, evidence)
  if (found === undefined || (!accusations.begin(from, found) && then === undefined)) return
  server.verify([...found.valid, ...found.invalid], { type: 'evidence', from, found, bytes, then })
}

export function onInvestigated(
  server: Server,
  { from, found, bytes, then }: Investigation,
  valid: readonly boolean[],
): void {
  const { accusations, settings, members, ballot } = server
  accusations.end(from, found)
  if (!stands(found, valid)) return
  accusations.proved.add(itemHash(settings.digest, bytes))
  const { who, lie, what } = found
  const accused = { who, lie, what, evidence: bytes }
  if (accusations.add(accused)) {
    server.tell({ type: 'accused', ...accused })
    if (lie !== 'E8' && bytes.length <= settings.batchBytes) server.broadcast({ type: 'evidence', bytes })
    // Whoever leads by lies is not waited for.
    if (who === members.leader(ballot.term)) suspect(server)
  }
  if (then !== undefined) server.receive(then.from, then.message)
}

/** Before a vote for an entry that holds evidence: it must stand. Whether something has to be verified first. */
export function mustInvestigate(
  server: Server,
  entries: readonly Entry[],
  from: NodeId,
  message: AppendEntries,
): boolean {
  const { accusations, settings } = server
  for (const { header, items } of entries) {
    const [bytes] = items
    if (header.kind !== 'evidence' || bytes === undefined || accusations.proved.has(itemHash(settings.digest, bytes)))
      continue
    if (bytes.length <= settings.batchBytes) investigate(server, from, bytes, { from, message })
    return true
  }
  return false
}

/** The leader's: a piece against a member that no entry convicts yet. */
export function evidenceDue({ accusations, ballot, members }: Server): Accused | undefined {
  if (accusations.convicted.size >= members.faults) return undefined
  for (const accused of accusations.known) {
    const { who, lie } = accused
    if (lie === 'E8' || accusations.convicted.has(who) || accusations.proposed.get(who) === ballot.term) continue
    return accused
  }
  return undefined
}

/** From here on it leads no more: at most f are left out, so that there is always somebody to lead. */
export function convict({ accusations, members, settings, genesis }: Server, { items }: Entry): void {
  const evidence = readEvidence(items[0]!)
  const found = evidence && judge(settings.digest, members, genesis, evidence)
  if (found === undefined || members.signer(found.who) === undefined) return
  if (accusations.convicted.size < members.faults) accusations.convicted.add(found.who)
}

/*
 * Where lies are seen. Each of these is called where a signed statement arrives, and compares it with what is there already.
 */

const claimed = ({ phase, place, signature }: Pick<Tallied, 'phase' | 'place' | 'signature'>): SignedClaim => ({
  claim: { type: phase, place },
  signature,
})

const termClaim = (term: number, { lock, signature }: TermVote): SignedClaim => ({
  claim: { type: 'term', term, lock },
  signature,
})

function contradict(
  server: Server,
  signer: number,
  a: SignedClaim,
  b: SignedClaim,
  headers: readonly Header[] = [],
): void {
  const [first, second] = inOrder(a, b)
  accuse(server, { type: 'contradiction', epoch: server.members.epoch, signer, first, second, headers })
}

/** A vote, before it is counted: beside the others of its signer (E1–E3), and beside its term votes (E4). */
export function weighVote(server: Server, vote: Omit<Tallied, 'isVerified'>): void {
  const { tally, demands } = server
  const { signer, phase, place } = vote
  let below: Tallied | undefined
  let above: Tallied | undefined
  for (const other of tally.of(signer, place.term)) {
    if (other.phase !== phase) continue
    if (other.place.index === place.index) {
      if (other.place.hash !== place.hash) contradict(server, signer, claimed(other), claimed(vote))
    } else if (other.place.index < place.index) {
      if (below === undefined || other.place.index > below.place.index) below = other
    } else if (above === undefined || other.place.index < above.place.index) above = other
  }
  if (below !== undefined) weighBranches(server, below, vote)
  if (above !== undefined) weighBranches(server, vote, above)
  const demand = demands.get(signer)
  if (phase === 'commit' && demand !== undefined && demand.term > place.term && forgets(place, demand.vote.lock))
    contradict(server, signer, claimed(vote), termClaim(demand.term, demand.vote))
}

function weighBranches(server: Server, lower: Omit<Tallied, 'isVerified'>, higher: Omit<Tallied, 'isVerified'>): void {
  const headers = headersDown(server, higher.place.hash, higher.place.index - lower.place.index)
  if (headers !== undefined && headers.at(-1)!.parent !== lower.place.hash)
    contradict(server, lower.signer, claimed(lower), claimed(higher), headers)
}

/** A term vote: beside the one before it, and beside the votes to commit that are known of its signer. */
export function weighTermVote(server: Server, term: number, vote: TermVote): void {
  const { demands, tally, commit, members } = server
  const { signer, lock } = vote
  const claim = termClaim(term, vote)
  const before = demands.get(signer)
  if (before !== undefined) {
    const isOther = before.term === term && (forgets(before.vote.lock, lock) || forgets(lock, before.vote.lock))
    const forgot =
      before.term < term ? forgets(before.vote.lock, lock) : before.term > term && forgets(lock, before.vote.lock)
    if (isOther || forgot) contradict(server, signer, termClaim(before.term, before.vote), claim)
  }
  for (const other of tally.of(signer))
    if (other.phase === 'commit' && other.place.term < term && forgets(other.place, lock))
      contradict(server, signer, claimed(other), claim)
  if (commit === undefined || commit.epoch !== members.epoch || commit.place.term >= term) return
  const signed = commit.signatures.find((one) => one.signer === signer)
  if (signed !== undefined && forgets(commit.place, lock))
    contradict(server, signer, claimed({ ...commit, ...signed }), claim)
}

export function weighTermVotes(server: Server, { term, votes }: TermCertificate): void {
  for (const vote of votes) weighTermVote(server, term, vote)
}

/** A certificate of commit: beside the term votes of those who signed it. */
export function weighCommit(server: Server, { epoch, place, signatures }: Certificate): void {
  if (epoch !== server.members.epoch) return
  for (const { signer, signature } of signatures) {
    const demand = server.demands.get(signer)
    if (demand !== undefined && demand.term > place.term && forgets(place, demand.vote.lock))
      contradict(server, signer, claimed({ phase: 'commit', place, signature }), termClaim(demand.term, demand.vote))
  }
}

/** A member votes for another entry than its leader showed here: told of the leader's vote, one of the two sees both (F1). */
export function witness(server: Server, from: NodeId, { phase, place }: Pick<Tallied, 'phase' | 'place'>): void {
  const { members, tally, now, settings, witnessed } = server
  const leader = members.signer(members.leader(place.term))!
  if (phase !== 'append' || members.list[leader]!.id === from || now < (witnessed.get(from) ?? 0)) return
  for (const shown of tally.of(leader, place.term)) {
    if (shown.phase !== 'append' || shown.place.index !== place.index || shown.place.hash === place.hash) continue
    witnessed.set(from, now + settings.resend)
    const { place: other, signature } = shown
    return server.send(from, { type: 'witness', epoch: members.epoch, signer: leader, phase, place: other, signature })
  }
}

/** A leader shows a certificate that is none, or a second one for its term (E6). */
export function weighMandate(server: Server, mandate: Mandate): void {
  const { members, settings, proof, ballot } = server
  const signer = members.signer(members.leader(mandate.term))!
  if (mandate.epoch === members.epoch && flawOfTermCertificate(members, mandate) !== undefined)
    return accuseTerm(server, mandate, undefined)
  if (proof === undefined || mandate.term !== ballot.term) return
  const [a, b] = [proof, mandate].map((one) => leadClaim(termCertificateHash(settings.digest, one), one)) as [
    SignedClaim,
    SignedClaim,
  ]
  if (proofOf(a.claim) !== proofOf(b.claim)) contradict(server, signer, a, b)
}

const leadClaim = (proof: Hash, { term, signature }: Mandate): SignedClaim => ({
  claim: { type: 'lead', term, proof },
  signature,
})

const proofOf = (claim: Claim): Hash | undefined => (claim.type === 'lead' ? claim.proof : undefined)

/** Signatures of its certificate, or of what it leads with, are none; its own is (E5, E6). */
export function weighForged(
  server: Server,
  message: AppendEntries,
  checks: readonly Check[],
  valid: readonly boolean[],
): void {
  const { entries, proof } = message
  if (!valid[0]) return
  for (const [at, isValid] of valid.entries()) {
    if (isValid) continue
    const { signature } = checks[at]!
    const where = entries.findIndex((one) => one.items.some((item) => isSignedBy(one, item, signature)))
    if (where < 0)
      return proof === undefined || same(proof.signature, signature) ? undefined : accuseTerm(server, proof, undefined)
    const entry = entries[where]!
    const item = entry.items.findIndex((one) => isSignedBy(entry, one, signature))
    return accuseEntry(server, message, where, { type: 'item', proof: proofOfItem(server, entry, item) })
  }
}

/** Whether that signature is one of the item's. */
function isSignedBy({ header }: Entry, item: Uint8Array, signature: Uint8Array): boolean {
  if (header.kind === 'data') return same(requestIn(item)?.signature, signature)
  return header.kind === 'config' && approvalsIn(item).some((one) => same(one.signature, signature))
}

/** A leader may call anything a configuration. */
function approvalsIn(item: Uint8Array): readonly { readonly signature: Uint8Array }[] {
  try {
    return decodeConfiguration(item).approvals
  } catch (error) {
    if (isRaftkitError(error)) return []
    throw error
  }
}

/** A configuration that no operators could have signed so (E5, F35). */
export function weighConfigurations(server: Server, message: AppendEntries): void {
  const { digest } = server.settings
  for (const [at, entry] of message.entries.entries())
    if (entry.header.kind === 'config' && flawOfConfiguration(digest, server.members, entry.items[0]!) !== undefined)
      return accuseEntry(server, message, at, { type: 'item', proof: proofOfItem(server, entry, 0) })
}

const same = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i])

function accuseTerm(
  server: Server,
  { signature, ...certificate }: Mandate,
  vote: Extract<Evidence, { type: 'badTerm' }>['vote'],
): void {
  accuse(server, { type: 'badTerm', epoch: server.members.epoch, certificate, signature, vote })
}

/** A leader proposes what does not follow from the certificate it showed (E6, F9). */
export function weighAnchor(server: Server, { signature }: AppendEntries, place: Place): void {
  const { proof, members } = server
  if (proof === undefined || proof.term !== place.term) return
  const anchor = proof.lock?.place ?? members.genesis
  const headers = place.index <= anchor.index ? [] : headersDown(server, place.hash, place.index - anchor.index)
  if (headers !== undefined) accuseTerm(server, proof, { place, signature, headers })
}

/** An entry that does not follow from its parent (E5, F21), if the items that were sent are those of its header. */
export function weighEntry(server: Server, message: AppendEntries, at: number, parent: Entry): void {
  const { digest } = server.settings
  const { header, items } = message.entries[at]!
  if (flawOfHeader(digest, header, parent.header) ?? flawOfRoot(digest, header))
    return accuseEntry(server, message, at, { type: 'header' })
  if (header.position !== parent.header.position + span(parent))
    return accuseEntry(server, message, at, { type: 'position', items: parent.items })
  if (itemsRoot(digest, items) !== header.root) return
  const bad = header.kind === 'data' ? items.findIndex((item) => requestIn(item) === undefined) : 0
  if (bad >= 0)
    accuseEntry(server, message, at, { type: 'item', proof: proofOfItem(server, message.entries[at]!, bad) })
}

/** An entry that executes something again (E5, F20): what, and where it was before. */
export function weighRepeated(server: Server, message: AppendEntries): void {
  for (const [at, entry] of message.entries.entries()) {
    if (entry.header.kind !== 'data') continue
    for (const [place, item] of entry.items.entries()) {
      const request = requestIn(item)
      const earlier = request && findEarlier(server, message, at, place, request)
      if (earlier === undefined) continue
      const flaw: Flaw = { type: 'repeated', proof: proofOfItem(server, entry, place), ...earlier }
      return accuseEntry(server, message, at, flaw, earlier.depth)
    }
  }
}

function findEarlier(
  server: Server,
  { entries }: AppendEntries,
  at: number,
  place: number,
  request: Request,
): { depth: number; earlier: ItemProof } | undefined {
  const first = entries[0]!
  const known = first ? entriesDown(server, first.header.parent, mostHeaders - entries.length) : []
  const below = [...entries.slice(0, at + 1).reverse(), ...known]
  for (const [depth, entry] of below.entries()) {
    if (entry.header.kind !== 'data') continue
    for (const [number, item] of entry.items.entries()) {
      if (depth === 0 && number >= place) break
      const other = requestIn(item)
      if (other !== undefined && overlaps(request, other)) return { depth, earlier: proofOfItem(server, entry, number) }
    }
  }
  return undefined
}

/** `reach`: how far below the flawed entry its headers are needed. */
function accuseEntry(
  server: Server,
  { term, entries, signature }: AppendEntries,
  at: number,
  flaw: Flaw,
  reach = 1,
): void {
  const tip = entries.at(-1)!
  const own = entries.map(({ header }) => header).reverse()
  const depth = entries.length - 1 - at
  const missing = depth + 1 + Math.max(1, reach) - own.length
  const below = missing > 0 ? headersDown(server, entries[0]!.header.parent, missing) : []
  if (below === undefined) return
  const place = { term, index: tip.header.index, hash: server.hashOf(tip) }
  const headers = [...own, ...below].slice(0, depth + 1 + Math.max(1, reach))
  accuse(server, { type: 'invalidEntry', epoch: server.members.epoch, place, signature, headers, depth, flaw })
}

function proofOfItem(server: Server, { items }: Entry, at: number): ItemProof {
  const leaves = leavesOf(items)
  const leaf = leaves[at]!
  const before = new DataView(leaf.buffer, leaf.byteOffset).getUint32(0, true)
  return { item: items[at]!, before, at, count: items.length, path: merklePath(server.settings.digest, leaves, at) }
}

/** So many headers from `hash` downwards; undefined: not all are known. */
function headersDown(server: Server, hash: Hash, count: number): Header[] | undefined {
  if (count > mostHeaders) return undefined
  const headers = entriesDown(server, hash, count).map(({ header }) => header)
  return headers.length === count ? headers : undefined
}

/** From `hash` downwards, as far as they are known, and no more than so many. */
export function entriesDown({ tree }: Server, hash: Hash, most: number): Entry[] {
  const entries: Entry[] = []
  for (let node = tree.get(hash); node && entries.length < most; node = tree.get(node.entry.header.parent))
    entries.push(node.entry)
  return entries
}

/** Two requests of a client under one number (E8, F16). Whoever put one of them into the log did nothing wrong. */
export function weighRival(server: Server, bytes: Uint8Array, request: Request, rival: Uint8Array): void {
  const other = requestIn(rival)
  if (other === undefined || reused(request, other) === undefined) return
  const [first, second] = toHex(bytes) < toHex(rival) ? [bytes, rival] : [rival, bytes]
  accuse(server, { type: 'reuse', first, second })
}
