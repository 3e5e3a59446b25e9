import type { Config, Index, Member, Membership } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'

export type QuorumOf = Membership['isQuorum']

/** The members a cluster was founded with, for ever: a majority of the voters. */
export const fixedMajority: Membership = {
  isQuorum(config, has) {
    let voters = 0
    let having = 0
    for (const member of config.members) {
      if (member.role !== 'voter') continue
      voters++
      if (has(member)) having++
    }
    return having * 2 > voters
  },
  begin() {
    throw new RaftkitError(
      'MEMBERSHIP_FIXED',
      'this node was created without a membership policy; pass `membership: jointConsensus()` to every node',
    )
  },
  next() {
    return undefined
  },
}

/** The largest index that a quorum holds (§5.3), whatever shape a quorum has; `known` if it is none above that. */
export function quorumIndex(
  isQuorum: QuorumOf,
  config: Config,
  matchOf: (member: Member) => Index,
  known: Index = 0,
): Index {
  let largest = known
  for (const member of config.members) {
    const index = matchOf(member)
    if (index > largest && isQuorum(config, (other) => matchOf(other) >= index)) largest = index
  }
  return largest
}
