import type { Status } from '@raftkit/contract'
import { effectiveConfig, memberOf } from './configuration.ts'
import type { Raft } from './raft.ts'

/** What a server tells of itself. */
export function statusOf(raft: Raft): Status {
  const { index, config } = effectiveConfig(raft)
  const { snapshot } = raft.state
  return {
    id: raft.self.id,
    incarnation: raft.self.incarnation,
    boot: raft.state.boot,
    genesis: raft.state.genesis,
    role: raft.role.type,
    term: raft.state.term,
    leader: raft.leader?.id,
    commit: raft.commit,
    applied: raft.applied,
    first: raft.log.first,
    last: raft.log.last,
    durable: raft.writes.durableIndex,
    config,
    configIndex: index,
    configCommitted: index <= raft.commit,
    removed: raft.removed || (index > 0 && index <= raft.commit && memberOf(config, raft.self) === undefined),
    snapshot: snapshot && { name: snapshot.name, index: snapshot.index, term: snapshot.term, bytes: snapshot.bytes },
    uncommittedBytes: raft.role.type === 'leader' ? raft.role.uncommittedBytes : 0,
    peers:
      raft.role.type === 'leader'
        ? [...raft.role.progress.values()].map(({ member, state, match, next, contact, amnesic }) => ({
            id: member.id,
            incarnation: member.incarnation,
            state,
            match,
            next,
            silentFor: raft.now - contact,
            amnesic,
          }))
        : [],
  }
}
