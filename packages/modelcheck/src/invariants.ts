import type { NodeId, Sender } from '@raftkit/contract'
import type { Message, Raft } from '@raftkit/core'
import { Violation } from './explore/model.ts'
import type { Log, Voter } from './system/logs.ts'

/*
 * What must be true, computed again from what the disks hold: naive on purpose, and from nothing that the protocol computed itself.
 */

/** A server as its disk would bring it back. */
export interface Reopened {
  readonly term: number
  readonly vote: Sender | undefined
  readonly log: Log
  readonly snapshot: { readonly index: number; readonly term: number } | undefined
}

export const lastOf = (log: Log): number => log.first + log.entries.length - 1

const entryAt = (log: Log, index: number): Log['entries'][number] | undefined => log.entries[index - log.first]

/** Log Matching (§5.3): where two logs have the same term at the same index, they are the same up to there. */
export function logsMatch(a: Log, b: Log): boolean {
  const first = Math.max(a.first, b.first)
  let index = Math.min(lastOf(a), lastOf(b))
  while (index >= first && entryAt(a, index)!.term !== entryAt(b, index)!.term) index--
  for (; index >= first; index--) if (entryAt(a, index)!.id !== entryAt(b, index)!.id) return false
  return true
}

/** Whether the log holds these entries, from index 1 on; what it has compacted counts as held. */
export function holds(log: Log, entries: readonly number[]): boolean {
  return entries.every((id, at) => at + 1 < log.first || entryAt(log, at + 1)?.id === id)
}

/** A majority of the voters before and of those after (§6). */
export function isQuorum(members: readonly Voter[], has: (id: NodeId) => boolean): boolean {
  const majority = (roles: readonly string[]): boolean => {
    const half = members.filter(({ role }) => roles.includes(role))
    return half.filter(({ id }) => has(id)).length > half.length / 2
  }
  const both = ['voter', 'leaving', 'retiring']
  return majority([...both, 'outgoing', 'demoted']) && majority([...both, 'incoming'])
}

/** What a joint configuration leads to: its voters are those of its new half (§6). */
export const afterJoint = (members: readonly Voter[]): Voter[] =>
  members.flatMap((member): Voter[] => {
    if (member.role === 'outgoing') return []
    if (member.role === 'incoming') return [{ ...member, role: 'voter' }]
    return member.role === 'demoted' ? [{ ...member, role: 'learner' }] : [member]
  })

/** The members that the log itself says are in force at its end; undefined: it does not reach back so far. */
export function membersOf(log: Log): readonly Voter[] | undefined {
  return log.entries.filter(({ members }) => members !== undefined).at(-1)?.members
}

const show = (sender: Sender | undefined): string => sender?.id ?? 'nobody'

/** Durable before sent: whoever crashes now must come back as a server that still means what this message says (Figure 2, §5.1; design rule 1). */
export function checkSent(message: Message, to: NodeId, self: Sender, disk: Reopened, memory: Log): void {
  const promised = (term: number): void => {
    if (disk.term < term)
      throw new Violation(
        'durable before sent',
        `${self.id} sends ${message.type} of term ${term}, and its disk says ${disk.term}`,
      )
  }
  const voted = (term: number, vote: Sender | undefined, candidate: NodeId): void => {
    if (disk.term === term && vote?.id !== candidate)
      throw new Violation(
        'durable before sent',
        `${self.id} votes for ${candidate} in term ${term}, and its disk says ${show(vote)}`,
      )
  }
  switch (message.type) {
    case 'requestVote':
      promised(message.pre ? message.term - 1 : message.term)
      if (!message.pre) voted(message.term, disk.vote, self.id)
      return
    case 'vote':
      promised(message.term)
      if (message.granted && !message.pre) {
        promised(message.forTerm)
        voted(message.forTerm, disk.vote, to)
      }
      return
    case 'appended': {
      promised(message.term)
      for (let index = Math.max(memory.first, disk.log.first); index <= message.match; index++) {
        if (entryAt(disk.log, index)?.id !== entryAt(memory, index)?.id || entryAt(memory, index) === undefined)
          throw new Violation(
            'durable before sent',
            `${self.id} acknowledges ${message.match}, and its disk does not hold ${index}`,
          )
      }
      return
    }
    case 'appendEntries':
    case 'rejected':
    case 'offerSnapshot':
    case 'timeoutNow':
      return promised(message.term)
    default:
  }
}

/** What one server says of itself, against what its disk says. `memory`: its disk with all writes under way. */
export function checkServer(raft: Raft, disk: Reopened, memory: Log): void {
  const status = raft.status()
  const { id, first, last, commit, applied, durable } = status
  const fail = (invariant: string, what: string): never => {
    throw new Violation(invariant, `${id}: ${what}`)
  }
  const base = status.snapshot?.index ?? 0
  if (first - 1 > base) fail('no hole', `its log begins at ${first}, its snapshot ends at ${base}`)
  if (memory.first > first || lastOf(memory) !== last)
    fail('no hole', `it has ${first} … ${last}, its writes add up to ${memory.first} … ${lastOf(memory)}`)
  if (status.snapshot !== undefined && first - 1 <= base) {
    const { term } = status.snapshot
    const there = raft.log.termAt(base)
    if (there !== term)
      fail('log goes on from the snapshot', `term ${there} at ${base}, where the snapshot has ${term}`)
  }
  for (let index = first; index <= last; index++) {
    const term = entryAt(memory, index)!.term
    if (raft.log.termAt(index) !== term)
      fail('log equals writes', `it has term ${raft.log.termAt(index)} at ${index}, its writes say ${term}`)
    if (index > first && term < entryAt(memory, index - 1)!.term) fail('terms rise', `at ${index}`)
    if (term > status.term) fail('terms rise', `an entry of term ${term} in term ${status.term}`)
  }
  for (let index = Math.max(first, disk.log.first); index <= durable; index++)
    if (entryAt(disk.log, index)?.id !== entryAt(memory, index)?.id)
      fail('durable is durable', `it counts ${durable} as durable, and its disk does not hold ${index}`)
  if (durable > lastOf(disk.log))
    fail('durable is durable', `it counts ${durable}, its disk ends at ${lastOf(disk.log)}`)
  if (applied > commit || commit > last) fail('applied ≤ commit ≤ last', `${applied}, ${commit}, ${last}`)
  const members = membersOf(memory)
  if (members !== undefined) {
    const said = (of: readonly Voter[]): string =>
      of.map((member) => `${member.id}/${member.incarnation}:${member.role}`).join()
    if (said(status.config.members) !== said(members))
      fail('configuration is what the log says', `${said(status.config.members)}, the log says ${said(members)}`)
  }
}

/** From one step of a server to the next, crashes aside. */
export function checkStep(before: Raft, after: Raft, logBefore: Log, logAfter: Log): void {
  const fail = (invariant: string, what: string): never => {
    throw new Violation(invariant, `${after.self.id}: ${what}`)
  }
  if (after.state.term < before.state.term) fail('term rises', `from ${before.state.term} to ${after.state.term}`)
  if (after.commit < before.commit) fail('commit rises', `from ${before.commit} to ${after.commit}`)
  if (after.applied < before.applied) fail('applied rises', `from ${before.applied} to ${after.applied}`)
  for (let index = Math.max(logBefore.first, logAfter.first); index <= before.commit; index++)
    if (entryAt(logBefore, index)?.id !== entryAt(logAfter, index)?.id)
      fail('what is committed stays', `the entry ${index} is another one`)
  if (before.role.type === 'leader' && after.role.type === 'leader' && after.state.term === before.state.term) {
    for (let index = Math.max(logBefore.first, logAfter.first); index <= lastOf(logBefore); index++)
      if (entryAt(logBefore, index)?.id !== entryAt(logAfter, index)?.id)
        fail('a leader only appends', `the entry ${index} is another one`)
  }
}

/** What a disk says goes one way only (Figure 2: one vote a term). */
export function checkDisk(self: NodeId, before: Reopened, after: Reopened): void {
  if (after.term < before.term)
    throw new Violation('one vote a term', `${self}: its disk goes from term ${before.term} back to ${after.term}`)
  if (after.term === before.term && before.vote !== undefined && before.vote.id !== after.vote?.id)
    throw new Violation(
      'one vote a term',
      `${self}: its disk says ${show(after.vote)} after ${before.vote.id}, both in term ${after.term}`,
    )
}
