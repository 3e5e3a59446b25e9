import type { Config, Happening, Index, NodeId, Peer, ReplicaRole, SnapshotPoint, Term } from '@raftkit/contract'
import { configOf } from './config.ts'
import type { Server } from './server.ts'
import { knows } from './succession.ts'

/** What the host is told when it changes. */
export interface Told {
  readonly epoch: number
  /** It was a member of some epoch, this one or an earlier one. */
  readonly wasMember: boolean
  readonly isRemoved: boolean
  readonly isForked: boolean
  readonly config: Config
  /** Of the record. */
  readonly configIndex: Index
  /** Of the newest checkpoint that a quorum holds. */
  readonly snapshot: SnapshotPoint | undefined
  readonly role: ReplicaRole
  readonly leader: NodeId | undefined
  readonly term: Term | undefined
}

/** `before`: what does not change within an epoch is taken from there. `contacts`: where to dial founders. */
export function toTell(server: Server, contacts: readonly Peer[], before?: Told): Told {
  const { members, settings, me, epochs, stable, ballot, isForked } = server
  const { digest, self, key } = settings
  const isKnown = before?.epoch === members.epoch
  const wasMember = before?.wasMember || (!isKnown && knows(server, self, key))
  const last = epochs.at(-1)
  // Empty while it is to come, and knows founders alone: it dials whom its options name.
  const isToCome = members.epoch === 0 && !wasMember
  return {
    epoch: members.epoch,
    wasMember,
    isRemoved: me < 0 && wasMember,
    isForked,
    config: isKnown ? before.config : isToCome ? { format: 1, members: [] } : configOf(digest, members, contacts),
    configIndex: last === undefined ? 1 : last.entry.header.position + 1,
    snapshot: stable?.snapshot,
    ...{ role: roleOf(server), leader: leaderOf(server), term: ballot.term },
  }
}

/** `isFetched`: the newest checkpoint was. */
export function newsOf(before: Told, now: Told, isFetched: boolean): Happening[] {
  const news: Happening[] = []
  const { config, configIndex: index, snapshot, role, leader, term = 0 } = now
  if (now.epoch !== before.epoch) news.push({ type: 'configuration', config, index, committed: true })
  if (now.isRemoved && !before.isRemoved) news.push({ type: 'removed' })
  if (snapshot !== undefined && snapshot !== before.snapshot)
    news.push({ type: 'snapshot', step: isFetched ? 'installed' : 'taken', snapshot })
  if (role !== before.role || (term !== before.term && role !== 'follower'))
    news.push({ type: 'role', role, term, reason: reasons[role] })
  if (leader !== before.leader || term !== before.term) news.push({ type: 'leader', leader, term })
  return news
}

const reasons: Readonly<Record<ReplicaRole, string>> = {
  leader: 'the term is its own',
  follower: 'another leads',
  candidate: 'it gave up on a term',
  preCandidate: 'it would give up on a term',
}

export function roleOf(server: Server): ReplicaRole {
  if (server.isLeader && server.anchor !== undefined) return 'leader'
  return leaderOf(server) === undefined ? 'candidate' : 'follower'
}

/** Undefined: the term was asked for, and nothing shows yet that a quorum did. */
export function leaderOf({ ballot, newest, proof, members }: Server): NodeId | undefined {
  const isEntered = ballot.term === 0 || proof !== undefined || newest?.term === ballot.term
  return isEntered ? members.leader(ballot.term) : undefined
}
