import { crc32 } from '@raftkit/bytes'
import type { Answer, Index, Sender } from '@raftkit/contract'
import { configAt } from './configuration.ts'
import type { SnapshotRecord } from './durable.ts'
import { isLeader } from './election.ts'
import { heed } from './following.ts'
import type { FetchSnapshot, OfferSnapshot, SnapshotChunk } from './messages.ts'
import type { Raft } from './raft.ts'

/** A snapshot on its way here, chunk by chunk. The sender remembers nothing; what arrived survives a restart, so it resumes for free. */
export interface Fetch {
  readonly snapshot: SnapshotRecord
  /** Who may have it: the leader that offered it first. */
  readonly holders: readonly Sender[]
  readonly holder: number
  /** Bytes on the own disk; undefined until the disk has said. */
  readonly held: number | undefined
  readonly requestedAt: number
  /** When it last grew. */
  readonly grownAt: number
  /** The ask under way for it; no chunk is taken meanwhile. */
  readonly ask: number | undefined
}

/** A snapshot that the next write names: once that is durable, the machine is restored from it. */
export interface Restoring {
  readonly snapshot: SnapshotRecord
  readonly write: number
  readonly ask: number | undefined
}

/** How many chunks one peer may have on order. */
const ordersPerPeer = 2

/** The runtime has a committed blob of the machine at `index` (§7). */
export function onSnapshotTaken(raft: Raft, name: string, index: Index, bytes: number): void {
  const term = raft.log.termAt(index)
  // An installed one may have overtaken it (rabbitmq/ra de94f929): the newer stays, this one is released.
  if (index <= (raft.state.snapshot?.index ?? 0) || index > raft.applied || term === undefined)
    return releaseOthers(raft)
  const { config, index: configIndex } = configAt(raft, index)
  const snapshot: SnapshotRecord = { name, index, term, bytes, config, configIndex, time: raft.log.lastTime }
  raft.nameSnapshot(snapshot)
  raft.happen({ type: 'snapshot', step: 'taken', snapshot })
  compact(raft)
}

/** What snapshot and trailing log make superfluous. What a peer is fetching still connects to the log. */
function compact(raft: Raft): void {
  const { snapshot } = raft.state
  if (snapshot === undefined) return
  forgetServed(raft)
  let to = snapshot.index - raft.settings.trailingEntries
  for (const [, served] of raft.serving) to = Math.min(to, served.index)
  if (to < raft.log.first) return
  raft.log.compact(to)
  raft.happen({ type: 'compacted', first: raft.log.first })
}

/** Once a durable write names the snapshot in force, no other blob is needed, but what peers are fetching and what is being fetched. */
function releaseOthers(raft: Raft): void {
  // Until then the disk still names the one before: after a crash, nothing else would be there to start from.
  if (raft.releaseAfter !== undefined) return
  forgetServed(raft)
  const names = new Set(raft.serving.keys())
  if (raft.state.snapshot !== undefined) names.add(raft.state.snapshot.name)
  if (raft.fetching !== undefined) names.add(raft.fetching.snapshot.name)
  raft.ask({ type: 'retain', names: [...names] }, undefined)
}

/** Who has not asked for long does not come back for it. */
function forgetServed(raft: Raft): void {
  for (const [name, served] of raft.serving) {
    if (raft.now - served.at > raft.settings.electionTimeout * 5) raft.serving.delete(name)
  }
}

export function onFetchSnapshot(raft: Raft, from: Sender, message: FetchSnapshot): void {
  const current = raft.state.snapshot
  const served =
    message.name === current?.name ? { index: current.index, at: raft.now } : raft.serving.get(message.name)
  // Fetching is a sign of life (dragonboat: a long transfer is no silence).
  if (isLeader(raft))
    for (const progress of raft.role.progressById(from.id))
      if (progress.member.incarnation === from.incarnation) progress.contact = raft.now
  if (served === undefined) return sendChunk(raft, from, message.name, message.offset, new Uint8Array())
  raft.serving.set(message.name, { ...served, at: raft.now })
  if (raft.ordersOf(from) >= ordersPerPeer) return
  const maxBytes = Math.min(Math.max(message.maxBytes, 1), raft.settings.maxMessageBytes)
  raft.ask(
    { type: 'readSnapshot', name: message.name, offset: message.offset, maxBytes },
    { type: 'serve', peer: from, name: message.name, offset: message.offset },
  )
}

export function sendChunk(raft: Raft, to: Sender, name: string, offset: number, bytes: Uint8Array): void {
  raft.send(to, { type: 'snapshotChunk', name, offset, checksum: crc32(bytes), bytes }, 'bulk')
}

/** The leader's log no longer reaches back to what is missing here. */
export function onOffer(raft: Raft, from: Sender, message: OfferSnapshot): void {
  const follower = heed(raft, from, message)
  if (follower === undefined) return
  follower.owesAnswer = true
  const { snapshot } = message
  const here = raft.log.termAt(snapshot.index)
  if (snapshot.index <= raft.commit && here !== undefined && here !== snapshot.term)
    throw raft.diverged(`the snapshot of ${from.id} contradicts the committed entry ${snapshot.index}`)
  // An old one would take back what is committed here (etcd, openraft#543).
  if (snapshot.index <= raft.commit || raft.restoring !== undefined) return
  // A newer offer does not throw away what is coming: the leader keeps what is fetched. Only one that has stopped coming gives way.
  const { fetching } = raft
  if (
    fetching !== undefined &&
    (fetching.snapshot.name === snapshot.name || raft.now - fetching.grownAt < raft.settings.electionTimeout * 2)
  )
    return
  const others = snapshot.config.members.filter(({ id }) => id !== from.id && id !== raft.self.id)
  raft.happen({ type: 'snapshot', step: 'fetching', snapshot, peer: from.id })
  const ask = raft.ask({ type: 'createSnapshot', name: snapshot.name }, { type: 'fetch' })
  raft.fetching = {
    snapshot,
    holders: [from, ...others],
    holder: 0,
    held: undefined,
    requestedAt: raft.now,
    grownAt: raft.now,
    ask,
  }
}

/** The disk has answered for the snapshot that is being fetched. */
export function onFetchAnswer(raft: Raft, id: number, answer: Answer): void {
  const { fetching } = raft
  if (fetching === undefined || fetching.ask !== id) return
  raft.fetching = { ...fetching, ask: undefined }
  switch (answer.type) {
    case 'createSnapshot':
    case 'writeSnapshot':
      if (answer.held > fetching.snapshot.bytes) return abandon(raft, fetching)
      raft.fetching = { ...fetching, ask: undefined, held: answer.held, grownAt: raft.now }
      if (answer.held < fetching.snapshot.bytes) return request(raft)
      raft.fetching = {
        ...raft.fetching,
        ask: raft.ask({ type: 'commitSnapshot', name: fetching.snapshot.name }, { type: 'fetch' }),
      }
      return
    case 'commitSnapshot':
      return install(raft, fetching.snapshot)
    case 'failed':
      // Fetched and committed before a crash, but never named by a write: it is whole.
      if (answer.code === 'REFUSED' && fetching.held === undefined) return install(raft, fetching.snapshot)
      return abandon(raft, fetching)
  }
}

function abandon(raft: Raft, fetching: Fetch): void {
  raft.fetching = undefined
  raft.happen({ type: 'snapshot', step: 'failed', snapshot: fetching.snapshot })
  releaseOthers(raft)
}

function request(raft: Raft): void {
  const { fetching } = raft
  if (fetching?.held === undefined) return
  raft.fetching = { ...fetching, requestedAt: raft.now }
  raft.send(fetching.holders[fetching.holder]!, {
    type: 'fetchSnapshot',
    name: fetching.snapshot.name,
    offset: fetching.held,
    maxBytes: Math.min(raft.settings.maxMessageBytes, fetching.snapshot.bytes - fetching.held),
  })
}

export function onChunk(raft: Raft, from: Sender, message: SnapshotChunk): void {
  const { fetching } = raft
  if (
    fetching === undefined ||
    fetching.ask !== undefined ||
    message.name !== fetching.snapshot.name ||
    message.offset !== fetching.held
  )
    return
  const { bytes, checksum } = message
  const sound = bytes.length > 0 && fetching.held + bytes.length <= fetching.snapshot.bytes && crc32(bytes) === checksum
  if (!sound) {
    if (bytes.length > 0) raft.happen({ type: 'ignored', from: from.id, reason: 'a damaged chunk of a snapshot' })
    return askNextHolder(raft, fetching)
  }
  raft.fetching = {
    ...fetching,
    ask: raft.ask({ type: 'writeSnapshot', name: message.name, bytes }, { type: 'fetch' }),
  }
}

function askNextHolder(raft: Raft, fetching: Fetch): void {
  if (fetching.holder + 1 >= fetching.holders.length) return abandon(raft, fetching)
  raft.fetching = { ...fetching, holder: fetching.holder + 1 }
  request(raft)
}

/** The chunk on order is late: its holder may be gone. */
export function continueFetch(raft: Raft): void {
  const { fetching } = raft
  if (fetching !== undefined && fetching.snapshot.index <= raft.commit) {
    // The log came after all.
    raft.fetching = undefined
    return releaseOthers(raft)
  }
  if (
    fetching === undefined ||
    fetching.ask !== undefined ||
    raft.now < fetching.requestedAt + raft.settings.retryInterval
  )
    return
  raft.fetching = { ...fetching, holder: (fetching.holder + 1) % fetching.holders.length }
  request(raft)
}

/** The blob is committed; one write names it and lets the log begin behind it (design rule 3). */
function install(raft: Raft, snapshot: SnapshotRecord): void {
  raft.fetching = undefined
  if (snapshot.index <= raft.commit) return releaseOthers(raft)
  // Where the log holds the snapshot's last entry, all before it is the same, and what follows stays (§7).
  if (raft.log.termAt(snapshot.index) !== snapshot.term) {
    if (isLeader(raft)) throw raft.broken(`the leader's log lacks the committed entry ${snapshot.index}`)
    raft.log.reset(snapshot.index, snapshot.term)
    raft.writes.cut(1)
  }
  raft.log.lastTime = Math.max(raft.log.lastTime, snapshot.time)
  const write = raft.nameSnapshot(snapshot)
  raft.restoring = { snapshot, write, ask: undefined }
  raft.handed = snapshot.index
  raft.commitTo(snapshot.index)
  if (raft.role.type === 'follower') raft.role.verified = Math.max(raft.role.verified, snapshot.index)
  raft.noticeConfigs(snapshot.index)
}

/** Writes have become durable: what they named may be acted on. */
export function onDurableSnapshot(raft: Raft): void {
  const { restoring } = raft
  if (restoring !== undefined && restoring.ask === undefined && raft.writes.durable >= restoring.write) {
    const { name, index, term, bytes } = restoring.snapshot
    raft.restoring = {
      ...restoring,
      ask: raft.ask({ type: 'restore', snapshot: { name, index, term, bytes } }, { type: 'restore' }),
    }
  }
  if (raft.releaseAfter !== undefined && raft.writes.durable >= raft.releaseAfter && restoring === undefined) {
    raft.releaseAfter = undefined
    releaseOthers(raft)
  }
}

export function onRestored(raft: Raft, id: number, answer: Answer): void {
  const { restoring } = raft
  if (restoring === undefined || restoring.ask !== id) return
  if (answer.type === 'failed')
    throw raft.damaged(`the snapshot ${restoring.snapshot.name} in force cannot be restored (${answer.code})`)
  raft.restoring = undefined
  raft.applied = Math.max(raft.applied, restoring.snapshot.index)
  raft.happen({ type: 'snapshot', step: 'installed', snapshot: restoring.snapshot })
  compact(raft)
  onDurableSnapshot(raft)
}
