import type { Index, Sender } from '@raftkit/contract'
import { effectiveConfig } from './configuration.ts'
import { isLeader } from './election.ts'
import type { ReadIndex, ReadIndexResult } from './messages.ts'
import { quorumIndex } from './quorum.ts'
import type { Raft } from './raft.ts'
import { type Leader, sameSender } from './role.ts'

/** A read that waits until a quorum has confirmed a round that began after it (ReadIndex, thesis §6.4). */
export interface PendingRead {
  readonly id: number
  /** The server that asked; undefined: this one. */
  readonly from: Sender | undefined
  /** Only a later round confirms it: an old acknowledgement proves nothing about now (etcd-io/etcd#20418). */
  readonly round: number
  /** What was committed when it began; undefined until this term has a commit, before which nobody knows. */
  readonly index: Index | undefined
}

/** Reads of this server that wait for the leader's word, under one question. */
export interface ForwardedRead {
  readonly ids: readonly number[]
  readonly since: number
}

export function read(raft: Raft, id: number, consistency: 'linearizable' | 'lease'): void {
  if (isLeader(raft)) {
    const until = consistency === 'lease' ? leaseUntil(raft, raft.role) : undefined
    if (until !== undefined) raft.settle({ type: 'read', id, index: raft.commit, until })
    else enqueue(raft, raft.role, id, undefined)
  } else if (raft.leader === undefined) {
    raft.settle({ type: 'refused', id, code: 'NO_LEADER', reason: 'no leader is known; try again in a moment' })
  } else {
    raft.readsToForward.push(id)
  }
}

function enqueue(raft: Raft, leader: Leader, id: number, from: Sender | undefined): void {
  const known = raft.commit >= leader.noop
  leader.reads.push({ id, from, round: leader.round, index: known ? raft.commit : undefined })
  leader.wantsRound = true
}

/** The latest round that a quorum has echoed; the leader itself needs no message. */
function confirmedRound(raft: Raft, leader: Leader): number {
  return quorumIndex(raft.membership.isQuorum, effectiveConfig(raft).config, (member) => {
    if (sameSender(member, raft.self)) return leader.round + 1
    const progress = leader.progressOf(member)
    return progress === undefined || progress.amnesic ? 0 : progress.round
  })
}

/** Answers the reads whose round is confirmed; they were asked in order. */
export function confirmReads(raft: Raft, leader: Leader): void {
  if (raft.commit < leader.noop) return
  // All that wait for the first commit of this term came before it, and so before those that do not.
  if (leader.reads.length > 0 && leader.reads[0]!.index === undefined) {
    leader.reads = leader.reads.map((pending) =>
      pending.index === undefined ? { ...pending, round: leader.round, index: raft.commit } : pending,
    )
    leader.wantsRound = true
  }
  if (leader.reads.length === 0 && leader.rounds.length < 2) return
  const confirmed = confirmedRound(raft, leader)
  let fresh = 0
  while (fresh + 1 < leader.rounds.length && leader.rounds[fresh + 1]!.round <= confirmed) fresh++
  if (fresh > 0) leader.rounds.splice(0, fresh)
  let done = 0
  while (done < leader.reads.length && leader.reads[done]!.round < confirmed) done++
  for (const { id, from, index } of leader.reads.splice(0, done)) {
    if (from === undefined) raft.settle({ type: 'read', id, index: index! })
    else raft.send(from, { type: 'readIndexResult', id, index })
  }
}

/**
 * A quorum that heard a round refuses votes for an election timeout from then on, so nobody else leads until then (thesis §6.4.1).
 * The lease counts from when the round was emitted. Undefined: no lease is held.
 */
function leaseUntil(raft: Raft, leader: Leader): number | undefined {
  const { leaseDuration } = raft.settings
  if (leaseDuration === 0 || leader.leasesLost || leader.transfer !== undefined || raft.commit < leader.noop)
    return undefined
  const confirmed = confirmedRound(raft, leader)
  const begun = confirmed > leader.round ? raft.now : leader.rounds.filter(({ round }) => round <= confirmed).at(-1)?.at
  if (begun === undefined || raft.now >= begun + leaseDuration) return undefined
  return begun + leaseDuration
}

/** A deposed leader may have been so for a while: what it had not confirmed, it cannot answer. */
export function failReads(raft: Raft, leader: Leader, reason: string): void {
  for (const { id, from } of leader.reads.splice(0)) {
    if (from === undefined)
      raft.settle({ type: 'refused', id, code: 'NOT_LEADER', reason: `the leader was deposed: ${reason}` })
    else raft.send(from, { type: 'readIndexResult', id, index: undefined })
  }
}

/** One question for all reads that wait. */
export function forwardReads(raft: Raft): void {
  if (raft.readsToForward.length === 0) return
  const ids = raft.readsToForward
  raft.readsToForward = []
  if (isLeader(raft) || raft.leader === undefined) {
    for (const id of ids) read(raft, id, 'linearizable')
    return
  }
  const question = raft.nextId()
  raft.forwardedReads.set(question, { ids, since: raft.now })
  raft.send(raft.leader, { type: 'readIndex', id: question })
}

export function onReadIndex(raft: Raft, from: Sender, message: ReadIndex): void {
  if (isLeader(raft)) enqueue(raft, raft.role, message.id, from)
  else raft.send(from, { type: 'readIndexResult', id: message.id, index: undefined })
}

export function onReadIndexResult(raft: Raft, message: ReadIndexResult): void {
  const waiting = raft.forwardedReads.get(message.id)
  if (waiting === undefined) return
  raft.forwardedReads.delete(message.id)
  for (const id of waiting.ids) {
    if (message.index === undefined)
      raft.settle({ type: 'refused', id, code: 'NOT_LEADER', reason: 'the leader was deposed; try again' })
    else raft.settle({ type: 'read', id, index: message.index })
  }
}

/** Reads are free to ask again: the sooner their caller knows, the better. */
export function expireReads(raft: Raft, all: boolean): void {
  for (const [question, { ids, since }] of raft.forwardedReads) {
    if (!all && raft.now < since + raft.settings.electionTimeout) continue
    raft.forwardedReads.delete(question)
    for (const id of ids)
      raft.settle({ type: 'refused', id, code: 'NO_LEADER', reason: 'the leader did not answer; try again' })
  }
}
