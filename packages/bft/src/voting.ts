import type { NodeId } from '@raftkit/contract'
import { weighCommit, weighVote, witness } from './accusing.ts'
import { assemble, type Certificate, certificateChecks, flawOfCertificate } from './certificate.ts'
import { beginFetch } from './fetching.ts'
import { halt, isBesideCommit, passesEnd, splitsTerm } from './halting.ts'
import type { Message } from './messages.ts'
import { lockOn, mayCommit } from './rules.ts'
import type { Server } from './server.ts'
import { type Check, compareRank, type Phase, type Place, voteStatement } from './statement.ts'
import { membersOf } from './succession.ts'
import { askForNewest, catchUp } from './terms.ts'

type Vote = Extract<Message, { type: 'vote' }>

/** How far beyond what is committed anything is looked at: bounds what a liar can make a member keep. */
export const windowAhead = (server: Server): number => 4 * server.settings.window

export function onVote(server: Server, sender: number, from: NodeId, { epoch, phase, place, signature }: Vote): void {
  if (epoch !== server.members.epoch) return
  const ahead = place.index - server.committed.entry.header.index
  if (ahead <= 0) return catchUp(server, from, place.term)
  if (ahead > windowAhead(server)) return askForNewest(server)
  weighVote(server, { signer: sender, phase, place, signature })
  witness(server, from, { phase, place })
  server.tally.record({ signer: sender, phase, place, signature, isVerified: false })
  server.heardUntil = server.now + 4 * server.settings.resend
  count(server, phase, place)
}

/** Signatures are looked at once a quorum is there, and no more of them than it takes. */
export function count(server: Server, phase: Phase, place: Place): void {
  const { members, ballot, committed } = server
  const isOld = phase === 'commit' ? place.index <= committed.entry.header.index : compareRank(ballot.lock, place) >= 0
  const votes = server.tally.for(phase, place)
  if (isOld || votes.length < members.quorum) return
  const verified = votes.filter(({ isVerified }) => isVerified)
  const signatures = assemble(members, verified)
  if (signatures !== undefined) {
    const bare = signatures.map(({ signer, signature }) => ({ signer, signature }))
    return onCertificate(server, { phase, epoch: members.epoch, place, signatures: bare }, signatures[0]!.signer)
  }
  if (server.isVerifying(phase, place)) return
  const open = votes.filter(({ isVerified }) => !isVerified).slice(0, members.quorum - verified.length)
  const bytes = voteStatement(members.domain, phase, place)
  const checks = open.map(({ signer, signature }) => ({ key: members.list[signer]!.key, bytes, signature }))
  server.verify(checks, { type: 'tally', votes: open })
}

export function admitCertificate(server: Server, certificate: Certificate): Check[] | undefined {
  const { members, tree, committed, ballot } = server
  const { phase, place } = certificate
  // What is pruned cannot be compared any more.
  const isKept = place.index > tree.root.entry.header.index
  const isNews =
    phase === 'commit' ? isKept && !tree.holds(place.hash, committed.hash) : compareRank(place, ballot.lock) > 0
  // Of an epoch that ended, the commits that lead up to its end; locks die with it.
  const signed = phase === 'commit' ? membersOf(server, certificate.epoch) : members
  if (!isNews || signed === undefined || flawOfCertificate(signed, certificate) !== undefined) return undefined
  return certificateChecks(signed, certificate)
}

/** Verified, from wherever it came: certificates alone move what a member is locked on and what is committed (S4, S5). */
export function onCertificate(server: Server, certificate: Certificate, sender: number): void {
  const { phase, place } = certificate
  const { tree } = server
  if (!tree.has(place.hash)) {
    // Nobody keeps that entry any more, and nobody needs it: to be locked on it takes its certificate alone.
    if (place.index <= tree.root.entry.header.index)
      return phase === 'append' ? raiseLock(server, certificate) : undefined
    const isBeside = place.index <= server.committed.entry.header.index || passesEnd(server, certificate)
    if (phase === 'commit' && isBeside) return halt(server, [certificate])
    const before = server.certified[phase]
    // Terms begin anew with each epoch; what is committed only grows.
    const isHigher =
      phase === 'commit' ? place.index > (before?.place.index ?? 0) : compareRank(place, before?.place) > 0
    if (isHigher) server.certified[phase] = certificate
    return beginFetch(server, place.hash, sender)
  }
  tree.validate(place.hash)
  if (phase === 'commit') return advance(server, certificate)
  if (isBesideCommit(server, certificate) || splitsTerm(server, certificate)) return halt(server, [certificate])
  raiseLock(server, certificate)
  if (!mayCommit(server.ballot, place) || compareRank(place, server.committing) <= 0) return
  if (place.index <= server.committed.entry.header.index) return
  server.committing = place
  server.owe({ type: 'vote', phase: 'commit', place })
}

function raiseLock(server: Server, certificate: Certificate): void {
  const higher = compareRank(certificate.place, server.ballot.lock) > 0
  server.adopt(lockOn(server.ballot, certificate.place))
  if (higher) server.lock = certificate
}

function advance(server: Server, certificate: Certificate): void {
  const { tree, committed } = server
  const { place } = certificate
  if (tree.holds(place.hash, committed.hash)) return
  const nodes = tree.between(committed.hash, place.hash)
  if (nodes === undefined) return halt(server, [certificate])
  weighCommit(server, certificate)
  server.advance(certificate, nodes)
}
