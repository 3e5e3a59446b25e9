import { type Index, isRaftkitError, type NodeId } from '@raftkit/contract'
import { entriesDown } from './accusing.ts'
import type { Certificate, TermCertificate } from './certificate.ts'
import type { Header } from './entry.ts'
import { type Dump, decodeDump, encodeDump } from './forensics.ts'
import type { Server } from './server.ts'
import { compareRank } from './statement.ts'
import { membersOf } from './succession.ts'

/** What is kept of a term that produced an append certificate: with it the liars of a fork are found (§3.7). */
export interface Kept {
  readonly proof: TermCertificate | undefined
  readonly lock: Certificate
}

const mostKept = 64
/** So that a dump fits a message: headers, and pieces of evidence with what each may take. */
const mostDumped = 1024
const mostPieces = 32
const pieceBytes = 4096

/** Below a checkpoint nobody asks who forked. */
export function forgetTerms({ kept }: Server, index: Index): void {
  for (const [term, { lock }] of kept) if (lock.place.index <= index) kept.delete(term)
}

/** Before a term is left. */
export function keepTerm(server: Server): void {
  const { ballot, lock, proof, newest, kept } = server
  if (lock === undefined || lock.place.term !== ballot.term) return
  kept.set(ballot.term, { proof: proof ?? (newest?.term === ballot.term ? newest : undefined), lock })
  for (const term of kept.keys()) if (kept.size > mostKept) kept.delete(term)
}

/**
 * More than f members lie, and safety is void: this member votes for nothing and commits nothing any more, answers who fetches, and shows what
 * it saw, so that the others stop as well. `seen`: the certificates that contradict what it holds, with headers it has of them.
 */
export function halt(
  server: Server,
  seen: readonly (Certificate | TermCertificate)[],
  headers: readonly Header[] = [],
): void {
  if (server.isForked) return
  const epoch = Math.min(...seen.map((one) => one.epoch))
  const dump = encodeDump(dumpFor(server, epoch, seen, headers))
  server.isForked = true
  server.testimony = dump
  server.promises.clear()
  server.pool.sweep(server.used)
  server.said = {}
  server.journal.touch()
  server.tell({ type: 'forked', from: server.settings.self, dump })
  // Of those on the other branch some are no members here: they were when it forked.
  const witnesses = new Set([...server.members.list, ...membersOf(server, epoch)!.list].map(({ id }) => id))
  witnesses.delete(server.settings.self)
  for (const id of witnesses) testify(server, id)
}

/** Whoever goes on has not heard of it: what it was sent was lost, or it was away. */
export function testify(server: Server, to: NodeId): void {
  const { now, settings, testified } = server
  if (now < (testified.get(to) ?? 0)) return
  testified.set(to, now + settings.resend)
  // Of what it saw, a restart leaves what it holds itself: that contradicts whoever is on the other branch.
  server.testimony ??= encodeDump(dumpOf(server, [], []))
  server.send(to, { type: 'forked', dump: server.testimony })
}

/** Another member has stopped, and shows why. Its certificates are looked at like anybody's. */
export function onForked(server: Server, from: NodeId, bytes: Uint8Array): void {
  if (server.dumps.has(from)) return
  let dump: Dump
  try {
    dump = decodeDump(bytes)
  } catch (error) {
    if (isRaftkitError(error)) return
    throw error
  }
  // The branches may have come to epochs of their own since.
  if (membersOf(server, dump.epoch) === undefined) return
  server.dumps.add(from)
  server.tell({ type: 'forked', from, dump: bytes })
  for (const certificate of dump.certificates)
    if (certificate.phase === 'commit') server.receive(from, { type: 'certified', certificate })
}

/** L2: an append certificate that ranks above the commit stands on it. */
export function isBesideCommit({ commit, members, tree, committed }: Server, { place }: Certificate): boolean {
  if (commit === undefined || commit.epoch !== members.epoch || compareRank(place, commit.place) < 0) return false
  return !tree.holds(committed.hash, place.hash)
}

/** S6: nothing of an epoch is committed behind its end, whatever lies between: nobody need show it. */
export function passesEnd({ epochs }: Server, { epoch, place }: Certificate): boolean {
  const end = epochs[epoch]?.certificate.place
  return end !== undefined && place.index >= end.index && place.hash !== end.hash
}

/** L1: append certificates of one term are on one branch. */
export function splitsTerm({ lock, tree }: Server, { place }: Certificate): boolean {
  if (lock === undefined || lock.place.term !== place.term) return false
  if (!tree.has(lock.place.hash) || !tree.has(place.hash)) return false
  return !tree.holds(lock.place.hash, place.hash) && !tree.holds(place.hash, lock.place.hash)
}

/** L5: a term that begins below what an older one committed: those who signed both forgot it. */
export function forgetsCommit({ commit, members }: Server, { term, lock }: TermCertificate): boolean {
  if (commit === undefined || commit.epoch !== members.epoch || commit.place.term >= term) return false
  return compareRank(lock?.place, commit.place) < 0
}

/** What is kept of an epoch that ends: where it forked may be seen only when its branches have come to others. */
export function keepEpoch(server: Server): void {
  server.former = dumpOf(server, [], [])
}

/** Of the epoch in which it forked. How that ended here stays, whatever else is forgotten of it. */
function dumpFor(
  server: Server,
  epoch: number,
  seen: readonly (Certificate | TermCertificate)[],
  headers: readonly Header[],
): Dump {
  const end = server.epochs[epoch]
  if (end === undefined) return dumpOf(server, seen, headers)
  const { certificates, terms, evidence, ...former } =
    server.former?.epoch === epoch ? server.former : { certificates: [], terms: [], headers: [], evidence: [] }
  const all = [...certificates, end.certificate, ...seen.filter((one): one is Certificate => !('votes' in one))]
  const known = [...former.headers, ...headersOf(server, all), end.entry.header, ...headers]
  const once = [...new Map(known.map((header) => [nameOf(header), header])).values()]
  return { epoch, certificates: all.filter((one) => one.epoch === epoch), terms, headers: once, evidence }
}

function dumpOf(server: Server, seen: readonly (Certificate | TermCertificate)[], headers: readonly Header[]): Dump {
  const { members, commit, lock, proof, newest, kept, certified, accusations } = server
  const certificates = [commit, lock, certified.append, certified.commit].flatMap((one) => one ?? [])
  const terms: TermCertificate[] = [proof, newest].flatMap((one) => one ?? [])
  for (const one of seen) 'votes' in one ? terms.push(one) : certificates.push(one)
  for (const one of kept.values()) {
    certificates.push(one.lock)
    if (one.proof !== undefined) terms.push(one.proof)
  }
  return {
    epoch: members.epoch,
    certificates: certificates.filter(({ epoch }) => epoch === members.epoch),
    terms: terms.map(({ epoch, term, votes, lock }) => ({ epoch, term, votes, lock })),
    headers: [...headers, ...headersOf(server, certificates)],
    evidence: [...accusations.known]
      .map(({ evidence }) => evidence)
      .filter(({ length }) => length <= pieceBytes)
      .slice(0, mostPieces),
  }
}

function headersOf(server: Server, certificates: readonly Certificate[]): Header[] {
  const known = new Map<string, Header>()
  for (const { place } of certificates)
    for (const { header } of entriesDown(server, place.hash, mostDumped - known.size)) known.set(nameOf(header), header)
  return [...known.values()]
}

const nameOf = ({ index, parent, root }: Header): string => `${index} ${parent} ${root}`
