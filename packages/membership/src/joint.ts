import { type Config, isVoter, type Member, type Role } from '@raftkit/contract'
import { withRoles } from './members.ts'

/**
 * Joint consensus (Raft paper §6, thesis §4.3). A joint configuration has two halves, the voters before and the voters after;
 * a quorum is a majority of each. So no majority of either can decide anything alone, whichever configuration each member has seen.
 * In a simple configuration both halves are the same.
 */

const votesBefore: ReadonlySet<Role> = new Set(['voter', 'leaving', 'retiring', 'outgoing', 'demoted'])
const votesAfter: ReadonlySet<Role> = new Set(['voter', 'leaving', 'retiring', 'incoming'])

/** What makes a configuration joint. */
const passing: ReadonlySet<Role> = new Set(['incoming', 'outgoing', 'demoted'])

export function isQuorum(config: Config, has: (member: Member) => boolean): boolean {
  let before = 0
  let beforeHas = 0
  let after = 0
  let afterHas = 0
  for (const member of config.members) {
    if (!isVoter(member)) continue
    const counts = has(member)
    if (votesBefore.has(member.role)) {
      before++
      if (counts) beforeHas++
    }
    if (votesAfter.has(member.role)) {
      after++
      if (counts) afterHas++
    }
  }
  // An empty half has no majority: better stuck than decided by nobody.
  return beforeHas * 2 > before && afterHas * 2 > after
}

/** How many members may fail, whichever they are, so that the rest still is a quorum; -1: even all of them are none. */
export function tolerates(config: Config): number {
  const ofHalf = (half: ReadonlySet<Role>): number =>
    Math.ceil(config.members.filter(({ role }) => half.has(role)).length / 2) - 1
  return Math.min(ofHalf(votesBefore), ofHalf(votesAfter))
}

export const votes = (member: Member | undefined): boolean => member !== undefined && isVoter(member)

export const isJoint = (config: Config): boolean => config.members.some(({ role }) => passing.has(role))

/** Some voters go once others have caught up: there is always somebody `joining` then. */
export const isPlanned = (config: Config): boolean =>
  config.members.some(({ role }) => role === 'leaving' || role === 'retiring')

/** Enters the joint configuration in which the `joining` members that `ready` accepts come in, and all that leave or retire go. */
export function enterJoint(config: Config, ready: (member: Member) => boolean): Config {
  return withRoles(config, (member) => {
    if (member.role === 'joining') return ready(member) ? 'incoming' : 'joining'
    if (member.role === 'leaving') return 'outgoing'
    if (member.role === 'retiring') return 'demoted'
    return member.role
  })
}

/** Leaves the joint configuration: what is left is its new half. */
export function leaveJoint(config: Config): Config {
  return withRoles(config, ({ role }) => {
    if (role === 'incoming') return 'voter'
    if (role === 'outgoing') return undefined
    if (role === 'demoted') return 'learner'
    return role
  })
}
