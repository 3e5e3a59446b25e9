import type { Peer } from './transport.ts'
import type { NodeId } from './words.ts'

/**
 * `voter` votes in both halves of a joint configuration; `incoming` only in the new one, `outgoing` only in the old one;
 * `demoted` votes in the old one and is a learner of the new. `learner` never votes; `joining` is a learner that becomes a voter once it has caught up.
 * `leaving` and `retiring` vote like a voter until all that are joining have caught up; then they become `outgoing` and `demoted`, in the same step.
 */
export type Role = 'voter' | 'incoming' | 'outgoing' | 'demoted' | 'learner' | 'joining' | 'leaving' | 'retiring'

/** A node under one incarnation: after a wipe, the same id is another member, and only a listed pair counts in a quorum. */
export interface Member extends Peer {
  readonly incarnation: string
  readonly role: Role
}

export interface Config {
  /** The newest format number that every member reads. */
  readonly format: number
  /** Sorted by id; an id stands in it once, or twice while one incarnation replaces another. */
  readonly members: readonly Member[]
}

/** What a membership policy needs to know of a member beyond the configuration. */
export interface Standing {
  /** Its log is close to the leader's, and it was heard of recently. */
  caughtUp(member: Member): boolean
  /** It was heard of recently. */
  reachable(member: Member): boolean
}

/**
 * How the set of members changes. Pure. The core ships the fixed majority; `@raftkit/membership` ships joint consensus.
 * Requests are plain values (they are forwarded to the leader).
 */
export interface Membership<Request = unknown> {
  /**
   * Whether those that `has` accepts form a quorum. Any two quorums of one configuration, and of two neighbouring ones, intersect.
   * Commit is the largest index that a quorum holds; an election is lost when no quorum is left among those not refusing.
   */
  isQuorum(config: Config, has: (member: Member) => boolean): boolean
  /** The configuration to append for a request. Throws `REFUSED` (or a code of its own) with the reason. Called only with a commit of the own term and no change in flight. */
  begin(config: Config, request: Request, standing: Standing): Config
  /** What follows a committed configuration by itself: leave the joint one; promote who is `joining` and has caught up. */
  next(config: Config, standing: Standing): Config | undefined
}

/** Whether the member's vote counts in some half of its configuration. */
export const isVoter = (member: Member): boolean => member.role !== 'learner' && member.role !== 'joining'

export const findMember = (config: Config, id: NodeId, incarnation: string): Member | undefined =>
  config.members.find((member) => member.id === id && member.incarnation === incarnation)
