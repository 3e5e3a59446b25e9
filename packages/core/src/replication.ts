import { type Index, isVoter, type Sender } from '@raftkit/contract'
import { effectiveConfig } from './configuration.ts'
import { becomeFollower, isLeader } from './election.ts'
import type { Slice } from './log.ts'
import type { Appended, Rejected } from './messages.ts'
import type { Progress } from './progress.ts'
import { quorumIndex } from './quorum.ts'
import type { Raft } from './raft.ts'
import { confirmReads } from './reads.ts'
import { type Leader, sameSender } from './role.ts'

/** While probing, one message of about this size is risked. */
const probeBytes = 64 * 1024

const nothing: Slice = { count: 0, byteLength: 0, parts: [] }

/** Everything the peers should hear now: one range of records each, or a heartbeat where one is due (§5.3). */
export function replicate(raft: Raft, leader: Leader): void {
  if (leader.wantsRound) confirmReads(raft, leader)
  leader.round++
  let sent = false
  for (const progress of leader.progress.values()) {
    if (!progress.amnesic && sendTo(raft, leader, progress)) sent = true
  }
  leader.wantsRound = false
  if (!sent) leader.round--
  else if (raft.settings.leaseDuration > 0) leader.rounds.push({ round: leader.round, at: raft.now })
}

function sendTo(raft: Raft, leader: Leader, progress: Progress): boolean {
  const { settings, now } = raft
  const due = now >= progress.sent + settings.heartbeatInterval || (leader.wantsRound && isVoter(progress.member))
  if (progress.state === 'snapshot') return due && offer(raft, leader, progress)
  let sent = false
  if (progress.link === 'up' && (progress.state === 'replicate' || due)) sent = sendRecords(raft, leader, progress)
  if (sent) {
    // Records are answered once they are durable; whoever waits for the round shall not wait for a disk. And they may queue on a slow
    // link, where nobody shall take the leader for silent.
    const silent = now >= progress.beat + settings.heartbeatInterval
    if (silent || (leader.wantsRound && isVoter(progress.member))) heartbeat(raft, leader, progress)
    return true
  }
  if (due) {
    heartbeat(raft, leader, progress)
    return true
  }
  if (owesNews(raft, progress)) tellCommit(raft, progress)
  return false
}

function sendRecords(raft: Raft, leader: Leader, progress: Progress): boolean {
  const { log, settings } = raft
  let sent = false
  while (progress.next <= log.last) {
    const probing = progress.state === 'probe'
    if (
      !probing &&
      (progress.inflightBytes >= settings.inflightBytes || progress.inflight.length >= settings.inflightMessages)
    )
      break
    const prevTerm = log.termAt(progress.next - 1)
    if (prevTerm === undefined || progress.next < log.first) {
      becomeSnapshot(raft, progress)
      return offer(raft, leader, progress) || sent
    }
    const from = progress.next
    const slice = cached(
      raft,
      progress,
      from,
      probing ? Math.min(probeBytes, settings.maxMessageBytes) : settings.maxMessageBytes,
    )
    if (slice === undefined) {
      readFor(raft, progress, from)
      break
    }
    send(raft, leader, progress, from - 1, prevTerm, slice)
    sent = true
    if (probing) break
    progress.launch(from + slice.count - 1, slice.byteLength)
  }
  return sent
}

function cached(raft: Raft, progress: Progress, from: Index, maxBytes: number): Slice | undefined {
  const { loaded } = progress
  progress.loaded = undefined
  if (loaded !== undefined && loaded.from === from) return loaded
  return raft.log.slice(from, raft.log.last, maxBytes)
}

function readFor(raft: Raft, progress: Progress, from: Index): void {
  if (progress.reading !== undefined) return
  // Up to what is in memory anyway.
  const to = Math.max(from, Math.min(raft.log.last, raft.log.cachedFrom - 1))
  progress.reading = raft.ask(
    { type: 'readLog', from, to, maxBytes: raft.settings.maxMessageBytes },
    { type: 'replicate', peer: progress.member, from },
  )
}

/** A log read has come. It counts only where index and term are still the log's: the log may have been cut and grown anew meanwhile. */
export function onLogRead(
  raft: Raft,
  ask: number,
  peer: Sender,
  from: Index,
  run: { count: number; bytes: Uint8Array } | undefined,
): void {
  if (!isLeader(raft)) return
  const progress = raft.role.progressOf(peer)
  if (progress === undefined || progress.reading !== ask) return
  progress.reading = undefined
  // Compacted meanwhile: the next look at `next` finds that, and offers the snapshot.
  if (run === undefined || run.count === 0 || progress.next !== from || from < raft.log.first) return
  const { log } = raft
  const checked = raft.sound(() => log.check(run.bytes, run.count, from, 0, raft.state.term))
  const same = log.sameTerms(checked)
  if (same === 0) return
  const end = checked.ends[same - 1]!
  progress.loaded = {
    from,
    count: same,
    byteLength: end,
    parts: [end === run.bytes.length ? run.bytes : run.bytes.subarray(0, end)],
  }
}

/** Nothing but contact, the commit index, and a look at whether the peer still holds what it acknowledged. */
function heartbeat(raft: Raft, leader: Leader, progress: Progress): void {
  const at = progress.state === 'probe' ? progress.next - 1 : progress.match
  const prevTerm = raft.log.termAt(at)
  progress.beat = raft.now
  send(raft, leader, progress, prevTerm === undefined ? 0 : at, prevTerm ?? 0, nothing)
}

/**
 * Commit news travels with records; alone it leaves only when nothing is in flight whose acknowledgement would bring the next message, and not in the turn
 * of the commit itself: whoever is answered in that turn may have more to send in the next.
 */
export function owesNews(raft: Raft, progress: Progress): boolean {
  const { state, toldCommit, match, inflight } = progress
  if (state !== 'replicate' || inflight.length > 0 || toldCommit >= match || toldCommit >= raft.commit) return false
  return raft.handed === raft.commit && raft.log.termAt(match) !== undefined
}

/** News that nobody waits to have confirmed: it belongs to no round, and is not answered. What is lost, the next heartbeat brings. */
function tellCommit(raft: Raft, progress: Progress): void {
  const { match } = progress
  append(raft, 0, progress, match, raft.log.termAt(match)!, nothing)
}

function send(raft: Raft, leader: Leader, progress: Progress, prevIndex: Index, prevTerm: number, slice: Slice): void {
  progress.sent = raft.now
  if (progress.received >= progress.next - 1) progress.moved = raft.now
  append(raft, leader.round, progress, prevIndex, prevTerm, slice)
}

function append(
  raft: Raft,
  round: number,
  progress: Progress,
  prevIndex: Index,
  prevTerm: number,
  { count, parts }: Slice,
): void {
  const { commit } = raft
  const { term } = raft.state
  progress.toldCommit = commit
  raft.send(
    progress.member,
    { type: 'appendEntries', term, round, prevIndex, prevTerm, commit, count, records: parts },
    count === 0 ? 'control' : 'bulk',
  )
}

function becomeSnapshot(raft: Raft, progress: Progress): void {
  const { snapshot } = raft.state
  if (snapshot === undefined) throw raft.broken(`no snapshot covers the log below ${raft.log.first}`)
  progress.become('snapshot', snapshot.index + 1)
  raft.happen({ type: 'snapshot', step: 'offered', snapshot, peer: progress.member.id })
}

/** §7: what the log no longer holds, the snapshot does. The peer fetches it; the offer is repeated like a heartbeat. */
function offer(raft: Raft, leader: Leader, progress: Progress): boolean {
  const { snapshot } = raft.state
  if (snapshot === undefined) return false
  progress.next = snapshot.index + 1
  progress.sent = raft.now
  raft.send(progress.member, { type: 'offerSnapshot', term: raft.state.term, round: leader.round, snapshot })
  return true
}

/** A peer of this term spoke. Undefined if it means nothing: another term, another life, or a server that is not a member. */
function hear(
  raft: Raft,
  from: Sender,
  message: Appended | Rejected,
): { leader: Leader; progress: Progress } | undefined {
  if (message.term > raft.state.term) {
    becomeFollower(raft, message.term, undefined, `${from.id} has a higher term`)
    return undefined
  }
  if (!isLeader(raft) || message.term < raft.state.term) return undefined
  const leader = raft.role
  const progress = leader.progressOf(from)
  // An answer to a round before the peer was (again) added says nothing of what it holds now.
  if (progress === undefined || message.round <= progress.firstRound || message.round > leader.round) return undefined
  progress.contact = raft.now
  if (message.round > progress.round) progress.round = message.round
  return { leader, progress }
}

export function onAppended(raft: Raft, from: Sender, message: Appended): void {
  const heard = hear(raft, from, message)
  if (heard === undefined) return
  const { leader, progress } = heard
  if (message.match > raft.log.last)
    return raft.happen({
      type: 'ignored',
      from: from.id,
      reason: `it acknowledges ${message.match}, beyond ${raft.log.last}`,
    })
  const received = Math.min(message.received, raft.log.last)
  if (received > progress.received) {
    progress.received = received
    progress.receivedRound = message.round
    progress.moved = raft.now
  } else if (received < progress.received && message.round > progress.receivedRound) {
    // A crash took what it held in memory alone; it is due again.
    progress.received = Math.max(received, progress.match)
    progress.receivedRound = message.round
  }
  if (message.match > progress.match) {
    progress.acknowledge(message.match, leader.round)
    progress.received = Math.max(progress.received, message.match)
    if (message.match > raft.commit) advanceCommit(raft, leader)
  }
  if (progress.state === 'probe' && received >= progress.next - 1) progress.become('replicate', progress.received + 1)
  else if (
    progress.state === 'snapshot' &&
    message.match + 1 >= raft.log.first &&
    raft.log.termAt(message.match) !== undefined
  ) {
    progress.become('probe', progress.match + 1)
  }
  confirmReads(raft, leader)
}

export function onRejected(raft: Raft, from: Sender, message: Rejected): void {
  const heard = hear(raft, from, message)
  if (heard === undefined) return
  const { leader, progress } = heard
  confirmReads(raft, leader)
  if (message.prevIndex <= progress.match) {
    // It acknowledged this as durable. An answer to a round sent since then that denies it tells of a lost disk.
    if (message.round > progress.matchRound) forget(raft, progress)
    return
  }
  if (progress.state === 'snapshot') return
  if (progress.state === 'probe' && message.prevIndex !== progress.next - 1) return
  // What it held in memory alone, a crash may have taken since.
  progress.received = progress.match
  progress.receivedRound = message.round
  progress.become('probe', raft.log.agreeUpTo(message.hintIndex, message.hintTerm) + 1)
}

function forget(raft: Raft, progress: Progress): void {
  if (progress.amnesic) return
  progress.amnesic = true
  raft.happen({ type: 'amnesic', peer: progress.member.id })
}

/**
 * §5.3, §5.4.2: the largest index that a quorum holds durably is committed, if its entry is of the own term; all before it are then
 * committed too. The own log counts like any other, as far as it is durable: the leader may lag its followers (thesis §10.2.1).
 */
export function advanceCommit(raft: Raft, leader: Leader): void {
  const { config } = effectiveConfig(raft)
  const durable = (member: Sender): Index => {
    if (sameSender(member, raft.self)) return raft.writes.durableIndex
    const progress = leader.progressOf(member)
    return progress === undefined || progress.amnesic ? 0 : progress.match
  }
  const index = quorumIndex(raft.membership.isQuorum, config, durable, raft.commit)
  if (index < leader.noop || index <= raft.commit) return
  raft.commitTo(index)
  confirmReads(raft, leader)
}
