import { hash128, readRecord, recordEnd, recordKind, Writer } from '@raftkit/bytes'
import type { Config, NodeId, Sender } from '@raftkit/contract'
import type { SnapshotRecord } from './durable.ts'
import type { Progress } from './progress.ts'
import type { ForwardMemories } from './proposals.ts'
import type { Raft } from './raft.ts'
import type { Leader } from './role.ts'

/**
 * A canonical hash of all that decides what a server will do: two servers with equal digests answer every sequence of events alike, but
 * for the moments of their election timers. `rename` gives the digest of the same server in a cluster whose ids are exchanged.
 *
 * Time is left out but for what has run out: how many retry intervals (half election timeouts) ago something was, up to where its
 * timeout ends; the election deadline and its randomness are not in it, since whoever explores lets every timer fire at any time.
 * Left out, too: how cached records lie in memory, and the ids of asks. Rounds, ballots and the numbers of forwarded questions stand in messages,
 * and so in the digest.
 */
export function digest(raft: Raft, rename: (id: NodeId) => NodeId): Uint8Array {
  const { state, log, role, writes, settings } = raft
  const writer = new Writer(768)
  const flag = (set: boolean): Writer => writer.u8(set ? 1 : 0)
  /** Numbers that may be absent. */
  const maybe = (n: number | undefined): Writer => (n === undefined ? writer.u8(0) : writer.u8(1).u64(n))
  const sender = (of: Sender | undefined): void => {
    writer.text(of === undefined ? '' : rename(of.id)).text(of?.incarnation ?? '')
  }
  /** Whole retry intervals since `then`, at most `most`. */
  const age = (then: number, most: number): void => {
    writer.u8(Math.min(most, Math.floor((raft.now - then) / settings.retryInterval)))
  }

  sender(raft.self)
  writer.u64(state.boot).text(state.genesis).u64(state.term)
  sender(state.vote)
  sender(raft.leader)
  snapshotInto(writer, state.snapshot, rename)
  writer.u64(raft.commit).u64(raft.handed).u64(raft.applied).u64(raft.ballot).u64(raft.lastId)
  flag(raft.removed)
  flag(raft.isDiskStalled)
  age(raft.heardLeader, 2)

  // What is compacted may lie in memory still, before what is not.
  const cachedFrom = Math.max(log.cachedFrom, log.first)
  writer.u64(log.first).u64(log.last).u64(log.lastTime).u64(cachedFrom)
  maybe(log.termAt(log.first - 1))
  for (let index = log.first; index < cachedFrom; index++) writer.u64(log.termAt(index)!)
  for (const part of log.slice(cachedFrom, log.last, Number.POSITIVE_INFINITY)?.parts ?? []) {
    for (let offset = 0; offset < part.length; offset = recordEnd(part, offset)) {
      const { kind, index, term, time, seed, payload } = readRecord(part, offset)
      writer.u8(kind).u64(term).u64(time).u32(seed)
      if (kind !== recordKind.config) writer.bytes(payload)
      else configInto(writer, log.configs.find((entry) => entry.index === index)!.config, rename)
    }
  }
  const { at, reset, compactTo } = log.unwritten
  flag(reset)
  maybe(at)
  maybe(compactTo)
  writer.u64(writes.durableIndex).u64(Math.max(0, writes.promise - writes.durable))
  writer.u32(writes.pending.length)
  for (const { last } of writes.pending) maybe(last)
  maybe(raft.releaseAfter === undefined ? undefined : Math.max(0, raft.releaseAfter - writes.durable))

  writer.text(role.type)
  if (role.type === 'leader') leaderInto(writer, raft, role, rename)
  else if (role.type === 'follower') {
    flag(role.owesAnswer)
    writer.u64(role.verified).u64(role.round).u64(role.told)
  } else {
    for (const votes of [role.granted, role.refused]) {
      const keys = [...votes].map((key) => renamedKey(key, rename)).sort()
      writer.u32(keys.length)
      for (const key of keys) writer.text(key)
    }
  }

  const { proposals, founding, transferring, fetching, restoring } = raft
  writer.u32(proposals.placed.length).u32(proposals.outbox.length).u32(proposals.sent.size)
  for (const { id, index, term } of proposals.placed) writer.u64(id).u64(index).u64(term)
  for (const { id, data } of proposals.outbox) writer.u64(id).bytes(data)
  for (const [number, { id, since }] of proposals.sent) {
    writer.u64(number).u64(id)
    age(since, 2)
  }
  forwardsInto(writer, raft.forwards, rename)
  writer.u32(raft.readsToForward.length).u32(raft.forwardedReads.size)
  for (const id of raft.readsToForward) writer.u64(id)
  for (const [question, { ids, since }] of raft.forwardedReads) {
    writer.u64(question).u32(ids.length)
    for (const id of ids) writer.u64(id)
    age(since, 2)
  }
  maybe(transferring?.id)
  if (transferring !== undefined) {
    sender(transferring.target)
    flag(raft.now >= transferring.until)
  }
  flag(founding !== undefined)
  if (founding !== undefined) {
    for (const { id, incarnation } of founding.founders)
      writer
        .text(rename(id))
        .text(incarnation)
        .text(founding.stated.get(id) ?? '')
    flag(raft.now >= founding.sendAt)
  }
  flag(raft.foundedWith !== undefined)
  snapshotInto(writer, fetching?.snapshot, rename)
  if (fetching !== undefined) {
    maybe(fetching.held)
    for (const holder of fetching.holders) sender(holder)
    writer.u32(fetching.holder)
    age(fetching.requestedAt, 1)
    age(fetching.grownAt, 4)
    flag(fetching.ask !== undefined)
  }
  snapshotInto(writer, restoring?.snapshot, rename)
  if (restoring !== undefined) {
    writer.u64(Math.max(0, restoring.write - writes.durable))
    flag(restoring.ask !== undefined)
  }
  for (const [name, { index, at: asked }] of raft.serving) {
    writer.text(name).u64(index)
    age(asked, 10)
  }
  for (const purpose of raft.openAsks) {
    writer.text(purpose.type)
    if (purpose.type === 'replicate' || purpose.type === 'serve') sender(purpose.peer)
    if (purpose.type === 'replicate') writer.u64(purpose.from)
    if (purpose.type === 'serve') writer.text(purpose.name).u64(purpose.offset)
  }
  return hash128(writer.finish())
}

function leaderInto(writer: Writer, raft: Raft, leader: Leader, rename: (id: NodeId) => NodeId): void {
  const { now, settings } = raft
  const flags = (...set: boolean[]): void => {
    writer.u8(set.reduce((bits, bit) => bits * 2 + (bit ? 1 : 0), 0))
  }
  const sender = (of: Sender | undefined): void => {
    writer.text(of === undefined ? '' : rename(of.id)).text(of?.incarnation ?? '')
  }
  writer.u64(leader.noop).u64(leader.round)
  flags(leader.leasesLost, leader.wantsRound, leader.transfer !== undefined)
  if (leader.transfer !== undefined) {
    const { id, from, target, sent, until } = leader.transfer
    writer.u64(id)
    sender(from)
    sender(target)
    flags(sent, now >= until)
  }
  for (const progress of inOrder(
    leader.progress.values(),
    ({ member }) => `${rename(member.id)}/${member.incarnation}`,
  ))
    progressInto(writer, raft, progress, rename)
  writer.u32(leader.reads.length)
  for (const { id, from, round, index } of leader.reads) {
    writer
      .u64(id)
      .u64(round)
      .u64(index === undefined ? 0 : index + 1)
    sender(from)
  }
  if (settings.leaseDuration > 0) {
    writer.u32(leader.rounds.length)
    for (const { round, at } of leader.rounds)
      writer.u64(round).u8(Math.min(2, Math.floor((now - at) / settings.retryInterval)))
  }
}

function forwardsInto(writer: Writer, { forgotten, of }: ForwardMemories, rename: (id: NodeId) => NodeId): void {
  writer.u64(forgotten).u32(of.size)
  for (const [key, memory] of inOrder(of, ([key]) => renamedKey(key, rename))) {
    writer.text(renamedKey(key, rename)).u64(memory.forgotten).u32(memory.answers.size)
    for (const [id, placement] of memory.answers)
      if ('index' in placement) writer.u64(id).u64(placement.index).u64(placement.term)
      else writer.u64(id).text(placement.code)
  }
}

function progressInto(writer: Writer, raft: Raft, progress: Progress, rename: (id: NodeId) => NodeId): void {
  const { now, settings } = raft
  const { member, state, link, loaded, reading } = progress
  writer.text(rename(member.id)).text(member.incarnation).text(member.role).text(state).text(link)
  writer.u64(progress.match).u64(progress.next).u64(progress.received).u64(progress.receivedRound)
  writer.u64(progress.round).u64(progress.firstRound).u64(progress.matchRound).u64(progress.toldCommit)
  const old = (then: number): number => Math.min(2, Math.floor((now - then) / settings.retryInterval))
  writer
    .u8(old(progress.contact))
    .u8(Math.min(1, old(progress.moved)))
    .u8(
      (progress.amnesic ? 1 : 0) |
        (now >= progress.sent + settings.heartbeatInterval ? 2 : 0) |
        (progress.contact > progress.moved ? 4 : 0) |
        (reading === undefined ? 0 : 8) |
        (loaded === undefined ? 0 : 16),
    )
  writer.u64(loaded?.from ?? 0).u32(progress.inflight.length)
  for (const { last, bytes } of progress.inflight) writer.u64(last).u64(bytes)
}

function snapshotInto(writer: Writer, snapshot: SnapshotRecord | undefined, rename: (id: NodeId) => NodeId): void {
  writer.u8(snapshot === undefined ? 0 : 1)
  if (snapshot === undefined) return
  writer.text(snapshot.name).u64(snapshot.index).u64(snapshot.term).u64(snapshot.bytes)
  writer.u64(snapshot.configIndex).u64(snapshot.time)
  configInto(writer, snapshot.config, rename)
}

/** Addresses are names, too: they stand for their ids in whatever is renamed. */
function configInto(writer: Writer, config: Config, rename: (id: NodeId) => NodeId): void {
  writer.u32(config.format).u32(config.members.length)
  const members = inOrder(config.members, ({ id, incarnation }) => `${rename(id)}/${incarnation}`)
  for (const { id, incarnation, role } of members) writer.text(rename(id)).text(incarnation).text(role)
}

function renamedKey(key: string, rename: (id: NodeId) => NodeId): string {
  const end = key.indexOf('/')
  return rename(key.slice(0, end)) + key.slice(end)
}

function inOrder<T>(values: Iterable<T>, by: (value: T) => string): T[] {
  return [...values]
    .map((value): [string, T] => [by(value), value])
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, value]) => value)
}
