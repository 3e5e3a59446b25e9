/** Joint consensus as Raftkit's membership policy. Pure. */
import type { Membership } from '@raftkit/contract'
import { begin } from './begin.ts'
import { isQuorum } from './joint.ts'
import { next } from './next.ts'
import type { MembershipRequest } from './request.ts'

export { tolerates } from './joint.ts'
export type { MembershipRequest, Newcomer } from './request.ts'

/**
 * Changes the members of a running cluster, any to any others, without a moment in which two majorities could decide apart.
 * Every node of a cluster must have the same policy.
 */
export function jointConsensus(): Membership<MembershipRequest> {
  return { isQuorum, begin, next }
}
