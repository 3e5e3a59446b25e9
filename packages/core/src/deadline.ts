import { mayStand } from './election.ts'
import type { Raft } from './raft.ts'

/**
 * When time itself is the next thing that matters; undefined: never, as things stand. What is due then compares `now` with the same sums:
 * a difference is rounded in another way, and a deadline that has come and is not met would come again and again.
 */
export function nextDeadline(raft: Raft): number | undefined {
  const { settings, role } = raft
  let next = Number.POSITIVE_INFINITY
  const by = (time: number): void => {
    if (time < next) next = time
  }
  if (raft.handed < raft.commit && raft.restoring === undefined) by(raft.now)
  if (role.type === 'leader') {
    for (const progress of role.progress.values()) {
      if (progress.amnesic) continue
      by(progress.sent + settings.heartbeatInterval)
    }
    if (raft.writes.oldest !== undefined) by(raft.writes.oldest + settings.diskTimeout)
    if (role.transfer !== undefined) by(role.transfer.until)
  } else if (mayStand(raft)) by(raft.electionDeadline)
  if (raft.transferring !== undefined) by(raft.transferring.until)
  if (raft.founding !== undefined) by(raft.founding.sendAt)
  if (raft.fetching !== undefined && raft.fetching.ask === undefined)
    by(raft.fetching.requestedAt + settings.retryInterval)
  for (const { since } of raft.proposals.sent.values()) {
    by(since + settings.electionTimeout)
    break
  }
  for (const { since } of raft.forwardedReads.values()) {
    by(since + settings.electionTimeout)
    break
  }
  return next === Number.POSITIVE_INFINITY ? undefined : Math.max(next, raft.now)
}
