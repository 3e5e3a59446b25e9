import { recordKind } from '@raftkit/bytes'
import { isVoter, type Member, type NodeId, type Sender } from '@raftkit/contract'
import { continueChange, effectiveConfig, followConfig, isDismissed, standing } from './configuration.ts'
import { becomeFollower, isLeader, resetElectionTimer } from './election.ts'
import type { Progress } from './progress.ts'
import { ForwardMemories } from './proposals.ts'
import type { Raft } from './raft.ts'
import { failReads } from './reads.ts'
import { advanceCommit } from './replication.ts'
import { Leader, sameSender, type Transfer } from './role.ts'

/** §5.2, §8: the first thing a leader does is to commit an entry of its own term, and all before it. */
export function startLeading(raft: Raft): void {
  const { log } = raft
  const leader = new Leader(log.last + 1)
  raft.become(leader, 'elected')
  raft.setLeader(raft.self)
  raft.forwards = new ForwardMemories(raft.state.term - 1)
  followConfig(raft, leader)
  log.append({ kind: recordKind.noop, term: raft.state.term, time: log.lastTime, seed: 0, payload: new Uint8Array() })
  advanceCommit(raft, leader)
}

/** What a deposed leader had promised to others. Its entries stay; whether they commit, the next leader decides. */
export function stopLeading(raft: Raft, reason: string): void {
  const { role } = raft
  if (role.type !== 'leader') return
  failReads(raft, role, reason)
  resetElectionTimer(raft)
  if (role.transfer !== undefined && role.transfer.from === undefined) raft.transferring = role.transfer
}

/** What is due as time passes. */
export function leadOn(raft: Raft, leader: Leader): void {
  const { isQuorum } = raft.membership
  const { reachable } = standing(raft, leader)
  // CheckQuorum (thesis §6.2): a leader that is cut off from its followers makes way, and its clients look elsewhere.
  if (!isQuorum(effectiveConfig(raft).config, reachable))
    return stepDown(raft, 'heard no quorum for an election timeout')
  if (raft.isDiskStalled) return stepDown(raft, 'its disk has not finished a write for too long')
  const { transfer } = leader
  if (transfer !== undefined && raft.now >= transfer.until) {
    leader.transfer = undefined
    const reason = `${transfer.target.id} did not take over within an election timeout; this server leads on`
    // Once it was told to stand, it may still do so.
    if (!transfer.sent) refuseTransfer(raft, transfer, 'TIMEOUT', reason)
    else if (transfer.from === undefined) raft.settle({ type: 'unknown', id: transfer.id, reason })
  }
  for (const progress of leader.progress.values()) checkLoss(raft, progress)
}

/** News of what was sent has not come for too long though the peer is heard: what was sent is lost. */
function checkLoss(raft: Raft, progress: Progress): void {
  if (progress.state !== 'replicate' || progress.received >= progress.next - 1) return
  if (raft.now - progress.moved < raft.settings.retryInterval || progress.contact <= progress.moved) return
  progress.become('probe', Math.max(progress.received, progress.match) + 1)
  progress.moved = raft.now
}

/** Does what commits and acknowledgements since the last `take` may have made possible. */
export function afterProgress(raft: Raft, leader: Leader): void {
  continueChange(raft, leader)
  tryTransfer(raft, leader)
}

function stepDown(raft: Raft, reason: string): void {
  becomeFollower(raft, raft.state.term, undefined, reason)
}

/** After the last `take` of a leader that is in no configuration any more: whoever is furthest takes over at once. */
export function leaveOffice(raft: Raft, leader: Leader): void {
  const heir = furthestVoter(raft, leader)
  if (heir !== undefined) raft.send(heir, { type: 'timeoutNow', term: raft.state.term })
  stepDown(raft, 'it is not a voter of the committed configuration')
}

export const mustLeave = (raft: Raft): boolean => raft.role.type === 'leader' && isDismissed(raft)

export function beginTransfer(raft: Raft, id: number, to: NodeId | undefined, from?: Sender): void {
  const refuse = (code: string, reason: string): void => refuseTransfer(raft, { id, from }, code, reason)
  if (!isLeader(raft)) return refuse('NOT_LEADER', 'this server does not lead any more')
  const leader = raft.role
  if (leader.transfer !== undefined) return refuse('TRANSFERRING', 'leadership is being handed over already')
  const { config, index } = effectiveConfig(raft)
  if (to === raft.self.id) return refuse('REFUSED', 'it leads already')
  const target =
    to === undefined
      ? furthestVoter(raft, leader)
      : config.members.find(
          (member) => member.id === to && isVoter(member) && leader.progressOf(member)?.amnesic === false,
        )
  if (target === undefined) {
    return to === undefined
      ? refuse('REFUSED', 'no other voter can be reached')
      : refuse(
          'NOT_A_MEMBER',
          `${to} is not a voter; name one of ${config.members
            .filter(isVoter)
            .map((member) => member.id)
            .join(', ')}`,
        )
  }
  if (index > raft.commit)
    return refuse('CHANGE_IN_FLIGHT', 'a membership change is being committed; try again when it is done')
  leader.transfer = { id, from, target, until: raft.now + raft.settings.electionTimeout, sent: false }
  tryTransfer(raft, leader)
}

function refuseTransfer(raft: Raft, { id, from }: Pick<Transfer, 'id' | 'from'>, code: string, reason: string): void {
  if (from === undefined) raft.settle({ type: 'refused', id, code, reason, ...raft.leaderHint })
  else raft.send(from, { type: 'handOverRefused', id, code, reason })
}

/** The target must hold everything, its own promotion included, or it cannot win (openraft#1805). */
function tryTransfer(raft: Raft, leader: Leader): void {
  const { transfer } = leader
  if (transfer === undefined || transfer.sent) return
  const progress = leader.progressOf(transfer.target)
  if (progress === undefined || progress.match < raft.log.last) return
  transfer.sent = true
  leader.leasesLost = true
  raft.send(transfer.target, { type: 'timeoutNow', term: raft.state.term })
}

function furthestVoter(raft: Raft, leader: Leader): Member | undefined {
  const { reachable } = standing(raft, leader)
  let best: Member | undefined
  for (const member of effectiveConfig(raft).config.members) {
    if (!isVoter(member) || sameSender(member, raft.self) || !reachable(member)) continue
    const match = leader.progressOf(member)?.match ?? 0
    if (best === undefined || match > (leader.progressOf(best)?.match ?? 0)) best = member
  }
  return best
}
