import { hash128, Writer } from '@raftkit/bytes'
import type { NodeId, Sender } from '@raftkit/contract'
import type { Raft } from './raft.ts'

/**
 * A canonical hash of what the protocol knows. Clocks and counters that only order things are left out, or taken relative to the
 * newest, so that two states that behave alike are one; `rename` lets states that differ by names alone be one.
 */
export function digest(raft: Raft, rename: (id: NodeId) => NodeId): Uint8Array {
  const { state, log, role, writes } = raft
  const writer = new Writer(512)
  const sender = (of: Sender | undefined): void => {
    writer.text(of === undefined ? '' : rename(of.id)).text(of?.incarnation ?? '')
  }
  sender(raft.self)
  writer.u64(state.term)
  sender(state.vote)
  sender(raft.leader)
  writer.u64(state.snapshot?.index ?? 0).u64(state.snapshot?.term ?? 0)
  writer
    .u64(raft.commit)
    .u64(raft.handed)
    .u64(raft.applied)
    .u8(raft.removed ? 1 : 0)
  writer.u64(log.first).u64(log.last)
  for (let index = log.first - 1; index <= log.last; index++) writer.u64(log.termAt(index) ?? 0)
  for (const part of log.slice(log.cachedFrom, log.last, Number.POSITIVE_INFINITY)?.parts ?? []) writer.raw(part)
  const { at, reset, compactTo } = log.unwritten
  writer
    .u64(at ?? 0)
    .u8(reset ? 1 : 0)
    .u64(compactTo ?? 0)
  writer.u64(writes.durableIndex).u8(writes.isPromiseDurable ? 1 : 0)
  for (const { id, last } of writes.pending) writer.u8(id >= writes.promise ? 1 : 0).u64(last ?? 0)
  writer.text(role.type)
  switch (role.type) {
    case 'follower':
      writer
        .u64(role.verified)
        .u64(role.told)
        .u8(role.owesAnswer ? 1 : 0)
      break
    case 'leader':
      writer.u64(role.noop).u8(role.leasesLost ? 1 : 0)
      sender(role.transfer?.target)
      for (const [, progress] of sorted(role.progress, ({ member }) => rename(member.id))) {
        sender(progress.member)
        writer.text(progress.state).u64(progress.match).u64(progress.next).u64(progress.received)
        writer
          .u64(role.round - progress.round)
          .u64(role.round - progress.matchRound)
          .u8(progress.amnesic ? 1 : 0)
      }
      for (const { round, index } of role.reads) writer.u64(role.round - round).u64(index ?? 0)
      break
    default:
      for (const votes of [role.granted, role.refused]) {
        const keys = [...votes]
          .map((key) => key.slice(key.indexOf('/')) + rename(key.slice(0, key.indexOf('/'))))
          .sort()
        writer.u32(keys.length)
        for (const key of keys) writer.text(key)
      }
  }
  for (const { index, term } of raft.proposals.placed) writer.u64(index).u64(term)
  writer.u32(raft.proposals.sent.size).u32(raft.forwardedReads.size)
  writer
    .text(raft.fetching?.snapshot.name ?? '')
    .u64(raft.fetching?.held ?? 0)
    .text(raft.restoring?.snapshot.name ?? '')
  return hash128(writer.finish())
}

function sorted<V>(map: ReadonlyMap<string, V>, by: (value: V) => string): [string, V][] {
  return [...map].sort(([, a], [, b]) => (by(a) < by(b) ? -1 : 1))
}
