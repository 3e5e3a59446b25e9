import type { NodeId, Sender } from '@raftkit/contract'
import { isLeader } from './election.ts'
import { beginTransfer } from './leading.ts'
import type { HandOver, HandOverRefused } from './messages.ts'
import type { Raft } from './raft.ts'

/** Asked for at any server: the leader is told, and who leads next is the answer (thesis §3.10). */
export function transfer(raft: Raft, id: number, to: NodeId | undefined): void {
  if (isLeader(raft)) return beginTransfer(raft, id, to)
  if (raft.leader === undefined) {
    return raft.settle({ type: 'refused', id, code: 'NO_LEADER', reason: 'no leader is known; try again in a moment' })
  }
  if (raft.transferring !== undefined) {
    const reason = 'this server has asked for a transfer already'
    return raft.settle({ type: 'refused', id, code: 'TRANSFERRING', reason, ...raft.leaderHint })
  }
  const target = { id: to ?? '', incarnation: '' }
  // The leader gives up after one election timeout; an election takes about another.
  raft.transferring = { id, from: undefined, target, until: raft.now + raft.settings.electionTimeout * 2, sent: true }
  raft.send(raft.leader, { type: 'handOver', term: raft.state.term, id, to: to ?? '' })
}

export function onHandOver(raft: Raft, from: Sender, message: HandOver): void {
  if (isLeader(raft) && raft.state.term === message.term) {
    return beginTransfer(raft, message.id, message.to === '' ? undefined : message.to, from)
  }
  const reason = `${raft.self.id} does not lead in term ${message.term}`
  raft.send(from, { type: 'handOverRefused', id: message.id, code: 'NOT_LEADER', reason })
}

export function onHandOverRefused(raft: Raft, { id, code, reason }: HandOverRefused): void {
  if (raft.transferring?.id !== id) return
  raft.transferring = undefined
  raft.settle({ type: 'refused', id, code, reason, ...raft.leaderHint })
}

/** A transfer that was asked for here ends with the next leader, whoever it is. */
export function endTransfer(raft: Raft, leader: Sender): void {
  if (raft.transferring === undefined) return
  const { id, target } = raft.transferring
  raft.transferring = undefined
  if (target.id === '' || target.id === leader.id) return raft.settle({ type: 'transferred', id, to: leader.id })
  const reason = `${leader.id} was elected instead of ${target.id}`
  raft.settle({ type: 'refused', id, code: 'REFUSED', reason, leader: leader.id })
}
