import type { Config, Index, Member, Membership } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'

export type QuorumOf = Membership['isQuorum']

/** The members a cluster was founded with, for ever: a majority of the voters. */
export const fixedMajority: Membership = {
  isQuorum(config, has) {
    const voters = config.members.filter((member) => member.role === 'voter')
    return voters.filter(has).length * 2 > voters.length
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

/** The largest index that a quorum holds (§5.3), whatever shape a quorum has: 0 if none does. */
export function quorumIndex(isQuorum: QuorumOf, config: Config, matchOf: (member: Member) => Index): Index {
  const { members } = config
  const matches = members.map(matchOf)
  let largest = 0
  for (const index of matches) {
    if (index > largest && isQuorum(config, (member) => matches[members.indexOf(member)]! >= index)) largest = index
  }
  return largest
}
