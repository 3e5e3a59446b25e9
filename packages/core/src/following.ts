import { recordTerm } from '@raftkit/bytes'
import type { Sender } from '@raftkit/contract'
import { effectiveConfig } from './configuration.ts'
import { becomeFollower, resetElectionTimer } from './election.ts'
import type { AppendEntries, OfferSnapshot } from './messages.ts'
import type { Raft } from './raft.ts'
import { type Follower, sameSender } from './role.ts'

/** §5.3, and the receiver's part of Figure 2. */
export function onAppendEntries(raft: Raft, from: Sender, message: AppendEntries): void {
  const follower = heed(raft, from, message)
  if (follower === undefined) return
  const { log } = raft
  const { prevIndex, prevTerm, count } = message
  // What is committed equals every later leader's log, so it needs no comparison, and may be compacted here already.
  if (prevIndex > raft.commit && log.termAt(prevIndex) !== prevTerm) {
    const hintIndex = Math.max(raft.commit, log.agreeUpTo(prevIndex, prevTerm))
    raft.send(from, {
      type: 'rejected',
      term: raft.state.term,
      round: follower.round,
      prevIndex,
      hintIndex,
      hintTerm: log.termAt(hintIndex) ?? 0,
      last: log.last,
    })
    return
  }
  if (count > 0) append(raft, message)
  follower.verified = Math.max(follower.verified, prevIndex + count)
  // Only what this leader has shown to be the same may be committed: a tail of an older term stays open (ra#508).
  raft.commitTo(Math.min(message.commit, follower.verified))
  if (message.round > 0 && (count === 0 || raft.writes.durableIndex >= follower.verified)) follower.owesAnswer = true
}

/**
 * A leader of this term, or of a newer one, speaks. Returns the follower's state, or undefined if the sender leads no more:
 * then it is told so.
 */
export function heed(raft: Raft, from: Sender, message: AppendEntries | OfferSnapshot): Follower | undefined {
  if (message.term < raft.state.term) {
    raft.send(from, { type: 'appended', term: raft.state.term, round: message.round, match: 0, received: 0 })
    return undefined
  }
  const { role } = raft
  if (message.term === raft.state.term) {
    if (role.type === 'leader') throw raft.broken(`${from.id} leads in term ${message.term}, and so does this server`)
    if (raft.leader !== undefined && !sameSender(raft.leader, from)) {
      throw raft.broken(`${from.id} and ${raft.leader.id} both lead in term ${message.term}`)
    }
  }
  if (message.term > raft.state.term || role.type !== 'follower')
    becomeFollower(raft, message.term, from, `${from.id} leads`)
  else raft.setLeader(from)
  raft.heardLeader = raft.now
  raft.removed = false
  resetElectionTimer(raft)
  const follower = raft.role as Follower
  if (message.round > follower.round) follower.round = message.round
  return follower
}

/** Skips what the log holds already; cuts only at a real conflict (a late message must not cut what a newer one brought); appends the rest. */
function append(raft: Raft, message: AppendEntries): void {
  const { log } = raft
  const first = message.prevIndex + 1
  const bytes = message.records.length === 1 ? message.records[0]! : raft.join(message.records)
  const run = log.check(bytes, message.count, first, message.prevTerm, message.term)
  const end = message.prevIndex + message.count
  let index = Math.max(first, log.first)
  for (; index <= Math.min(log.last, end); index++) {
    const offset = index === first ? 0 : run.ends[index - first - 1]!
    if (log.termAt(index) === recordTerm(bytes, offset)) continue
    if (index <= raft.commit) throw raft.diverged(`${raft.leader?.id} contradicts the committed entry ${index}`)
    raft.truncate(index)
    break
  }
  if (index > end) return
  log.adopt(run, index)
  raft.noticeConfigs(index)
}

/** One answer a turn, and one for each flush that brought something (cumulative): the leader's rounds and the client's commit wait for it. */
export function answerLeader(raft: Raft, follower: Follower): void {
  if (raft.leader === undefined) return
  const match = Math.min(Math.max(follower.verified, raft.commit), raft.writes.durableIndex)
  if (!follower.owesAnswer && match <= follower.told) return
  follower.owesAnswer = false
  follower.told = Math.max(match, follower.told)
  raft.send(raft.leader, {
    type: 'appended',
    term: raft.state.term,
    round: follower.round,
    match,
    received: Math.max(follower.verified, raft.commit),
  })
}

/** Newer members say that this server is none of them (thesis §4.2.3). */
export function onRemoved(raft: Raft, index: number): void {
  if (raft.removed || effectiveConfig(raft).index >= index) return
  raft.removed = true
  raft.happen({ type: 'removed' })
}
