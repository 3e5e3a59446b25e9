import type { NodeId, Term } from '@raftkit/contract'
import { weighTermVote, weighTermVotes } from './accusing.ts'
import { type AppendEntries, placeOf } from './appending.ts'
import {
  assemble,
  certificateChecks,
  flawOfCertificate,
  flawOfTermCertificate,
  highestLock,
  type TermCertificate,
  termCertificateChecks,
  termVoteCheck,
} from './certificate.ts'
import { fetchElsewhere } from './fetching.ts'
import { forwardOld } from './forwarding.ts'
import { forgetsCommit, halt } from './halting.ts'
import type { Message } from './messages.ts'
import { askForTerm, enterTerm } from './rules.ts'
import type { Server } from './server.ts'
import { type Check, compareRank } from './statement.ts'
import { knows } from './succession.ts'
import { lookAfterTransfer } from './transferring.ts'
import { onCertificate } from './voting.ts'

type PreVote = Extract<Message, { type: 'preVote' }>
type RequestVote = Extract<Message, { type: 'requestVote' }>

/** Doubles with each term that commits nothing: after enough of them it is longer than the messages take. */
function timeoutOf({ settings, ballot, lastCommitTerm }: Server): number {
  const failed = Math.min(16, Math.max(0, ballot.term - lastCommitTerm))
  return Math.min(settings.longestTimeout, settings.timeout * 2 ** failed)
}

/** Undefined: nothing waits, so nothing is due. */
export function nextDeadline(server: Server): number | undefined {
  if (server.isForked) return undefined
  if (isToCome(server)) return server.resendAt
  const { isBusy, isUnsettled, fetching, transfer, resendAt, since } = server
  const isFetching = fetching !== undefined || transfer !== undefined || mayBeBehind(server)
  if (!isBusy && !isUnsettled && !isFetching) return undefined
  return isBusy && !suspects(server) ? Math.min(resendAt, since + timeoutOf(server)) : resendAt
}

/** It waits for a configuration that names it: it asks how far the others are. */
const isToCome = (server: Server): boolean =>
  server.settings.joins === true && server.me < 0 && !knows(server, server.settings.self, server.settings.key)

/**
 * What it fetched was the newest when it was told of it, and nobody says again what was committed meanwhile. So it is with an entry that a
 * leader does not show it, and a quorum of whose votes it lacks: of f + 1 who vote, one is honest.
 */
function mayBeBehind({ now, asksUntil, heardUntil, isBusy, tally, members, checkpoints, committed }: Server): boolean {
  if (now < asksUntil || (checkpoints.awaited?.checkpoint.index ?? 0) > committed.entry.header.index) return true
  return now < heardUntil && !isBusy && tally.voters > members.faults
}

/** As often as what is said again: each may be lost, or come while the peer has just helped. */
export function askForNewest(server: Server): void {
  server.asksUntil = server.now + 4 * server.settings.resend
}

const leaderOf = ({ members, ballot }: Server): number => members.signer(members.leader(ballot.term))!

const suspects = (server: Server): boolean => wanted(server, server.me) > server.ballot.term

export function onTime(server: Server): void {
  if (server.isForked) return
  const { now, settings } = server
  // Only commits stop it: a leader that beats and does nothing is suspected like a silent one.
  if (server.isBusy && now >= server.since + timeoutOf(server)) {
    // Of what its client moved on without, nobody will ever hear.
    server.pool.sweep(server.used)
    if (server.isBusy && !suspects(server)) {
      server.conduct.note(leaderOf(server), 'delay')
      suspect(server)
    }
  }
  if (now < server.resendAt) return
  server.resendAt = now + settings.resend
  weighLeader(server)
  if (server.isBusy || server.isUnsettled) sayAgain(server)
  forwardOld(server)
  if (isToCome(server) || mayBeBehind(server))
    server.broadcast({ type: 'preVote', epoch: server.members.epoch, term: 0 })
  fetchElsewhere(server)
  lookAfterTransfer(server)
}

/** In units of the timeout: how long a client may wait while others are served. */
const patience = 4

/** A leader that commits may still leave out a client (F28), or take all the time that it has (F27): what it commits does not make up for that. */
function weighLeader(server: Server): void {
  const { now, pool, pace, entered, settings, isLeader, since, conduct } = server
  const before = now - patience * timeoutOf(server)
  const isNeglecting = entered < before && now < since + timeoutOf(server) && pool.neglected(before) !== undefined
  const isAggrieved = !isLeader && (isNeglecting || pace.isSlow(settings.timeout))
  if (isAggrieved && !server.isAggrieved) conduct.note(leaderOf(server), 'neglect')
  if (!isAggrieved && server.isAggrieved) server.suspicions.delete(server.me)
  server.isAggrieved = isAggrieved
  if (isAggrieved) suspect(server)
}

/** Says aloud that the term should be given up, for the next whose leader is no convicted liar. */
export function suspect(server: Server): void {
  const { me, members, ballot, suspicions, accusations } = server
  if (me < 0 || suspects(server)) return
  let term = ballot.term + 1
  for (let tries = members.faults; tries > 0 && accusations.convicted.has(members.leader(term)); tries--) term++
  suspicions.set(me, { term, until: Number.POSITIVE_INFINITY })
  server.broadcast({ type: 'preVote', epoch: members.epoch, term })
  weigh(server)
}

/** Who was convicted leads no more: its term is given up as soon as there is something to do. */
export function shun(server: Server): void {
  const { accusations, members, ballot, isBusy } = server
  if (accusations.convicted.size > 0 && isBusy && accusations.convicted.has(members.leader(ballot.term)))
    suspect(server)
}

/**
 * Messages get lost; what was promised is said until it is of no use any more. Votes and entries are said again only when nothing was committed
 * for a whole `resend`, and entries only to whoever has not voted for them: under load an entry takes longer than that though nothing was lost,
 * and who misses something while others commit shows it by itself, and is helped at once (`catchUp`, `onPreVote`).
 */
function sayAgain(server: Server): void {
  const { said, members, me, ballot, journal, proof, tally, now, since, settings } = server
  // What was promised by now is durable with this write.
  const promised = journal.issued
  const suspicion = server.suspicions.get(server.me)?.term ?? 0
  if (suspicion > ballot.term) server.broadcast({ type: 'preVote', epoch: members.epoch, term: suspicion })
  if (said.term !== undefined && proof === undefined) server.broadcast(said.term, promised)
  if (said.checkpoint?.type === 'checkpoint') {
    const { index } = said.checkpoint.checkpoint
    if (index > (server.stable?.certificate.checkpoint.index ?? 0)) server.broadcast(said.checkpoint, promised)
  }
  if (now < since + settings.resend) return
  if (said.commit !== undefined) server.broadcast(said.commit, promised)
  if (said.append?.type === 'vote') server.broadcast(said.append, promised)
  const led = entriesLed(server)
  if (led === undefined) return
  const voted = tally.for('append', placeOf(server, led.term, led.entries.at(-1)!)).map(({ signer }) => signer)
  for (const [signer, { id }] of members.list.entries())
    if (signer !== me && !voted.includes(signer)) server.send(id, led, promised)
}

/** A leader's, all that is not committed, with what shows its term. */
function entriesLed({ said, tree, committed }: Server): AppendEntries | undefined {
  const { append } = said
  if (append?.type !== 'appendEntries') return undefined
  const open = tree.between(committed.hash, tree.hashOf(append.entries.at(-1)!))?.map(({ entry }) => entry) ?? []
  return open.length > 0 ? { ...append, entries: open } : append
}

/** To a peer that shows that it is behind: once in a while, since in good times the last votes always come late. */
export function catchUp(server: Server, peer: NodeId, term: Term): void {
  const { now, settings, commit, newest, helped } = server
  if (now < (helped.get(peer) ?? 0)) return
  helped.set(peer, now + settings.resend)
  if (commit !== undefined) server.send(peer, { type: 'certified', certificate: commit })
  if (newest !== undefined && newest.term > term) server.send(peer, { type: 'termCertified', certificate: newest })
}

/** Nobody suspects anybody with term 0. */
export function askWhatIsNewest(server: Server, peer: NodeId): void {
  server.send(peer, { type: 'preVote', epoch: server.members.epoch, term: 0 })
}

/** A suspicion promises nothing: whoever has it goes on voting in its term. */
export function onPreVote(server: Server, sender: number, from: NodeId, { epoch, term }: PreVote): void {
  if (epoch !== server.members.epoch) return
  // Whoever suspects may only lack what the others hold (F29), or what its leader showed before.
  const led = server.now < (server.helped.get(from) ?? 0) ? undefined : entriesLed(server)
  if (led !== undefined) server.send(from, led, server.journal.issued)
  catchUp(server, from, term - 1)
  if (term <= server.ballot.term) return
  const before = server.suspicions.get(sender)
  const isOver = before === undefined || server.now >= before.until
  if (isOver || term >= before.term)
    server.suspicions.set(sender, { term, until: server.now + 4 * server.settings.resend })
  weigh(server)
}

/** Who has moved on to a term wants it, whether or not its suspicion was heard. */
function wanted(server: Server, signer: number): Term {
  const suspicion = server.suspicions.get(signer)
  const wants = suspicion !== undefined && server.now < suspicion.until ? suspicion.term : 0
  return Math.max(wants, server.demands.get(signer)?.term ?? 0)
}

/** f + 1 suspicions hold an honest one: join it. A quorum of them ends the term. */
function weigh(server: Server): void {
  const { members, me, ballot } = server
  if (me < 0) return
  const ranked = (): Term[] => members.list.map((_, signer) => wanted(server, signer)).sort((a, b) => b - a)
  const joined = ranked()[members.faults]!
  if (joined > ballot.term && joined > wanted(server, me)) {
    server.suspicions.set(me, { term: joined, until: Number.POSITIVE_INFINITY })
    server.broadcast({ type: 'preVote', epoch: members.epoch, term: joined })
  }
  const ended = ranked()[members.quorum - 1]!
  if (ended > ballot.term) ask(server, ended)
}

/** RequestVote: from here on nothing older gets a vote (S1). */
function ask(server: Server, term: Term): void {
  if (server.me < 0) return
  server.adopt(askForTerm(server.ballot, term))
  server.stated = server.lock
  server.owe({ type: 'term', term, lock: server.lock })
}

export function admitRequestVote(
  server: Server,
  sender: number,
  from: NodeId,
  message: RequestVote,
): Check[] | undefined {
  const { members, ballot, demands } = server
  const { epoch, term, vote, lock } = message
  if (epoch !== members.epoch || vote.signer !== sender) return undefined
  if (term < ballot.term || (term === ballot.term && server.proof !== undefined)) catchUp(server, from, term - 1)
  if (demands.get(sender)?.term === term) weighTermVote(server, term, vote)
  if (term < ballot.term || term <= (demands.get(sender)?.term ?? 0)) return undefined
  // A claim comes with its proof, and is older than the term: S5 sees to that where members are honest.
  if ((lock === undefined) !== (vote.lock === undefined)) return undefined
  if (lock !== undefined) {
    if (lock.phase !== 'append' || lock.place.term >= term || flawOfCertificate(members, lock)) return undefined
    if (compareRank(lock.place, vote.lock) !== 0 || lock.place.hash !== vote.lock?.hash) return undefined
  }
  const check = termVoteCheck(members, term, vote)
  return lock === undefined ? [check] : [check, ...certificateChecks(members, lock)]
}

export function onRequestVote(
  server: Server,
  sender: number,
  { term, vote, lock }: Pick<RequestVote, 'term' | 'vote' | 'lock'>,
): void {
  const { members, demands } = server
  if (term <= (demands.get(sender)?.term ?? 0)) return
  if (sender !== server.me) weighTermVote(server, term, vote)
  demands.set(sender, { term, vote, lock })
  if (lock !== undefined && sender !== server.me && compareRank(lock.place, server.ballot.lock) > 0)
    onCertificate(server, lock, sender)
  // f members alone make nobody move (cesmi joined at f).
  const ahead = [...demands.values()].map((demand) => demand.term).sort((a, b) => b - a)
  const joined = ahead[members.faults] ?? 0
  if (joined > server.ballot.term) ask(server, joined)
  weigh(server)
  const same = [...demands.values()].filter((demand) => demand.term === term)
  const votes = assemble(
    members,
    same.map((demand) => demand.vote),
  )
  if (votes === undefined) return
  const highest = highestLock(votes)
  const held = same.find(
    (demand) =>
      highest !== undefined &&
      demand.lock?.place.hash === highest.hash &&
      compareRank(demand.lock.place, highest) === 0,
  )
  onTermCertificate(server, { epoch: members.epoch, term, votes, lock: held?.lock })
}

export function admitTermCertificate(server: Server, certificate: TermCertificate): Check[] | undefined {
  const { members, ballot, newest } = server
  if (certificate.term < ballot.term || certificate.term <= (newest?.term ?? 0)) return undefined
  return flawOfTermCertificate(members, certificate) === undefined
    ? termCertificateChecks(members, certificate)
    : undefined
}

/** Enters the term. It binds whoever leads it and nobody else: followers judge by what their leader shows (decision 0030, 1). */
export function onTermCertificate(server: Server, certificate: TermCertificate): void {
  const { term } = certificate
  weighTermVotes(server, certificate)
  if (forgetsCommit(server, certificate)) return halt(server, [certificate])
  if (term < server.ballot.term) return
  server.adopt(enterTerm(server.ballot, term))
  if (term > (server.newest?.term ?? 0)) server.newest = certificate
  if (server.isLeader && server.proof === undefined && !server.promises.has('mandate'))
    server.owe({ type: 'mandate', certificate })
}
