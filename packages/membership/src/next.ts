import type { Config, Standing } from '@raftkit/contract'
import { enterJoint, isJoint, isPlanned, isQuorum, leaveJoint } from './joint.ts'

/**
 * What a committed configuration leads to by itself. It follows from the configuration and from who is up to date,
 * so whichever leader is there finishes what another one began (etcd #12136).
 */
export function next(config: Config, standing: Standing): Config | undefined {
  if (isJoint(config)) return leaveJoint(config)
  const joining = config.members.filter(({ role }) => role === 'joining')
  if (joining.length === 0) return undefined
  // A voter that has not caught up widens the quorum and adds nothing to it (thesis §4.2.1).
  const ready = joining.filter((member) => standing.caughtUp(member))
  // A replacement is one step: nobody goes before all have come.
  if (ready.length === 0 || (isPlanned(config) && ready.length < joining.length)) return undefined
  const joint = enterJoint(config, (member) => ready.includes(member))
  // Members may have failed since the request was accepted. While it waits, the cluster works on; in a half without a majority it would not.
  return isQuorum(joint, (member) => member.role === 'incoming' || standing.reachable(member)) ? joint : undefined
}
