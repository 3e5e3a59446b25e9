import type { Server } from './server.ts'

/** Requests handed on at once, at most. */
const most = 1024

/**
 * What waits for long is told to everybody, once in each term: to the leader, which may never have heard of it, and to the others, which suspect
 * nobody as long as nothing waits for them.
 */
export function forwardOld(server: Server): void {
  const { pool, now, settings, ballot, isLeader } = server
  if (isLeader) return
  const requests: Uint8Array[] = []
  for (const pooled of pool) {
    if (now < pooled.since + settings.timeout / 2 || requests.length === most) break
    if (pooled.forwarded === ballot.term) continue
    pooled.forwarded = ballot.term
    requests.push(pooled.bytes)
  }
  if (requests.length > 0) server.broadcast({ type: 'forward', requests })
}
