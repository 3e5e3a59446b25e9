import { mayStand } from './election.ts'
import type { Raft } from './raft.ts'
import { owesNews } from './replication.ts'

/**
 * When time itself is the next thing that matters; undefined: never, as things stand. What is due then compares `now` with the same sums:
 * a difference is rounded in another way, and a deadline that has come and is not met would come again and again.
 */
export function nextDeadline(raft: Raft): number | undefined {
  const { settings, role } = raft
  let next = Number.POSITIVE_INFINITY
  if (raft.handed < raft.commit && raft.restoring === undefined) next = raft.now
  if (role.type === 'leader') {
    for (const progress of role.progress.values()) {
      if (progress.amnesic) continue
      next = owesNews(raft, progress) ? raft.now : Math.min(next, progress.sent + settings.heartbeatInterval)
    }
    if (raft.writes.oldest !== undefined) next = Math.min(next, raft.writes.oldest + settings.diskTimeout)
    if (role.transfer !== undefined) next = Math.min(next, role.transfer.until)
  } else if (mayStand(raft)) next = Math.min(next, raft.electionDeadline)
  if (raft.transferring !== undefined) next = Math.min(next, raft.transferring.until)
  if (raft.founding !== undefined) next = Math.min(next, raft.founding.sendAt)
  if (raft.fetching !== undefined && raft.fetching.ask === undefined)
    next = Math.min(next, raft.fetching.requestedAt + settings.retryInterval)
  next = Math.min(next, oldest(raft.proposals.sent) + settings.electionTimeout)
  next = Math.min(next, oldest(raft.forwardedReads) + settings.electionTimeout)
  return next === Number.POSITIVE_INFINITY ? undefined : Math.max(next, raft.now)
}

/** The first that was put in is the oldest. */
function oldest(waiting: ReadonlyMap<number, { readonly since: number }>): number {
  if (waiting.size > 0) for (const { since } of waiting.values()) return since
  return Number.POSITIVE_INFINITY
}
