import type { NodeId } from '@raftkit/contract'
import {
  mustInvestigate,
  weighAnchor,
  weighConfigurations,
  weighEntry,
  weighMandate,
  weighRepeated,
  weighTermVotes,
  weighVote,
} from './accusing.ts'
import type { Node } from './branches.ts'
import { flawOfTermCertificate, mandateChecks } from './certificate.ts'
import { type Entry, flawOfEntry } from './entry.ts'
import { beginFetch } from './fetching.ts'
import { forgetsCommit, halt } from './halting.ts'
import type { Message } from './messages.ts'
import { flawOfRequests, requestChecks } from './requests.ts'
import { append, enterTerm, mayAppend } from './rules.ts'
import type { Server } from './server.ts'
import { type Check, type Place, voteStatement } from './statement.ts'
import { askWhatIsNewest, catchUp } from './terms.ts'
import { count, windowAhead } from './voting.ts'

export type AppendEntries = Extract<Message, { type: 'appendEntries' }>

/** S2, before signatures: it must come from the leader of its term, follow from what is known, and bind itself to its term's certificate. */
export function admitAppend(server: Server, from: NodeId, message: AppendEntries): Check[] | undefined {
  const { members, ballot, committed, accusations } = server
  const { epoch, term, entries, proof } = message
  if (epoch !== members.epoch || from !== members.leader(term)) return undefined
  if (term < ballot.term) {
    catchUp(server, from, term)
    return undefined
  }
  if (accusations.convicted.has(from)) return undefined
  if (term > 0 && proof?.term === term) weighMandate(server, proof)
  // A leader shows its term once; what it sends right behind that must not be lost for being quick.
  const isShown = proof === undefined && server.asking.isShowing(from, term)
  const isNew = term > 0 && !isShown && (term > ballot.term || server.proof === undefined)
  if (isNew && (proof === undefined || proof.term !== term || flawOfTermCertificate(members, proof) !== undefined)) {
    // It was shown while this member was away.
    if (proof === undefined) askWhatIsNewest(server, from)
    return undefined
  }
  const tip = entries.at(-1)
  // I16: nothing is said in an epoch about entries of another.
  if (tip === undefined || tip.header.epoch !== epoch) return undefined
  if (tip.header.index > committed.entry.header.index + windowAhead(server)) return undefined
  if (!isChain(server, entries)) return undefined
  const place = placeOf(server, term, tip)
  const signer = members.signer(from)!
  const checks: Check[] = [
    {
      key: members.list[signer]!.key,
      bytes: voteStatement(members.domain, 'append', place),
      signature: message.signature,
    },
  ]
  if (isNew && proof !== undefined) checks.push(...mandateChecks(server.settings.digest, members, proof))
  for (const entry of entries) checks.push(...requestChecks(server, entry))
  return checks
}

/** The follower's side (S3): keep the entries, judge them, vote for the last. */
export function onAppendEntries(server: Server, from: NodeId, message: AppendEntries): void {
  const { term, entries, proof } = message
  const { members, tree } = server
  const isShown = term === 0 || proof !== undefined || (term === server.ballot.term && server.proof !== undefined)
  // What it came behind did not show the term after all.
  if (!isShown) return
  if (term > server.ballot.term) server.adopt(enterTerm(server.ballot, term))
  if (term > 0 && server.proof === undefined && proof !== undefined) {
    server.proof = proof
    server.newest = proof
    weighTermVotes(server, proof)
    if (forgetsCommit(server, proof)) return halt(server, [proof])
  }
  const first = entries[0]!
  const wanted = [server.anchor!, tree.has(server.hashOf(first)) ? undefined : first.header.parent].find(
    (hash) => hash !== undefined && !tree.has(hash),
  )
  if (wanted !== undefined) {
    const waits = server.waiting?.message
    const isNewer = waits === undefined || waits.term < term || lastIndex(waits) <= lastIndex(message)
    if (isNewer) server.waiting = { from, message }
    return beginFetch(server, wanted, members.signer(from)!)
  }
  let parent = tree.get(first.header.parent)
  for (const [at, entry] of entries.entries()) {
    if (!tree.has(server.hashOf(entry))) {
      if (!parent) return
      if (flawOfEntry(server.settings.digest, entry, parent.entry)) return weighEntry(server, message, at, parent.entry)
    }
    parent = server.keep(entry)
  }
  const tip = parent!
  const place = placeOf(server, term, tip.entry)
  weighVote(server, { signer: members.signer(from)!, phase: 'append', place, signature: message.signature })
  if (!mayAppend(server.ballot, term, tip.hash, server.anchor, tree)) {
    if (tree.has(server.anchor!) && !tree.holds(server.anchor!, tip.hash)) weighAnchor(server, message, place)
    return
  }
  // Everything from what is certified on must have been checked here; below the anchor, f + 1 honest members did.
  tree.validate(server.anchor!)
  const path = tree.between(server.committed.hash, tip.hash)
  if (!path || mustInvestigate(server, entriesOf(path), from, message)) return
  if (!isOfTerm(server, path, term)) return
  if (flawOfRequests(server, path)) {
    weighConfigurations(server, message)
    return weighRepeated(server, message)
  }
  if (isEarly(server, path)) return server.conduct.note(members.signer(from)!, 'clock')
  const missing = path.filter((node) => !node.isValid && requestChecks(server, node.entry).length > 0)
  if (missing.length > 0) {
    const open = { ...message, entries: path.slice(path.indexOf(missing[0]!)).map(({ entry }) => entry) }
    return server.receive(from, open)
  }
  tree.validate(tip.hash)
  server.tally.record({
    signer: members.signer(from)!,
    phase: 'append',
    place,
    signature: message.signature,
    isVerified: true,
  })
  if (server.ballot.tip === tip.hash) return count(server, 'append', place)
  server.adopt(append(server.ballot, tip.hash))
  server.owe({ type: 'vote', phase: 'append', place })
}

export function placeOf(server: Server, term: number, entry: Entry): Place {
  return { term, index: entry.header.index, hash: server.hashOf(entry) }
}

const entriesOf = (nodes: readonly Node[]): Entry[] => nodes.map(({ entry }) => entry)

/** What stands on the anchor was made by the leader of this term, and says so: so an entry tells who must answer for it. */
function isOfTerm({ tree, anchor, members }: Server, path: readonly Node[], term: number): boolean {
  const from = tree.get(anchor!)!.entry.header.index
  return path.every(({ entry: { header } }) =>
    header.index > from ? header.term === term : header.term <= term || header.epoch !== members.epoch,
  )
}

/**
 * Beyond what clocks may differ by, or one leader could set the time of all for ever. It gets no vote until this clock is as far. Nobody can prove anything by
 * a clock, so what a quorum took is taken (it is valid), and so is a time that is that of the parent.
 */
function isEarly({ committed, settings, wall }: Server, path: readonly Node[]): boolean {
  const latest = wall + (settings.clockSkew ?? Number.POSITIVE_INFINITY)
  return path.some((node, at) => {
    const before = (path[at - 1] ?? committed).entry.header.time
    return !node.isValid && node.entry.header.time > Math.max(before, latest)
  })
}

const lastIndex = ({ entries }: AppendEntries): number => entries.at(-1)?.header.index ?? 0

function isChain(server: Server, entries: readonly Entry[]): boolean {
  return entries.every((entry, at) => at === 0 || entry.header.parent === server.hashOf(entries[at - 1]!))
}
