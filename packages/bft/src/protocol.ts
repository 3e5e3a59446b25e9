import { checksumSeed, hash128, Writer } from '@raftkit/bytes'
import {
  type Config,
  type Effects,
  type GroupId,
  type Happening,
  type Index,
  type MessageSummary,
  type NodeId,
  type Outgoing,
  type Peer,
  type Protocol,
  type ProtocolEvent,
  RaftkitError,
  type ReplicaRole,
  type Settled,
  type SnapshotPoint,
  type Status,
  type Term,
} from '@raftkit/contract'
import { type Change, flawOfChange } from './changing.ts'
import { retainBlobs } from './checkpointing.ts'
import { type Committed, receiptOf } from './committed.ts'
import { peersOf } from './conduct.ts'
import { configOf } from './config.ts'
import { describe, laneOf } from './describing.ts'
import { decodeMessage, encodeMessage } from './encoding.ts'
import { type Entry, span } from './entry.ts'
import { configurationChecks, decodeConfiguration, encodeSteps } from './epochs.ts'
import { fitting, overheadBytes } from './fitting.ts'
import { incarnationOf, shortGenesis } from './founding.ts'
import { isEqual } from './hash.ts'
import { type Identity, writeIdentity } from './identity.ts'
import type { Message } from './messages.ts'
import { Own, signedRequest } from './own.ts'
import { applied } from './records.ts'
import { type Request, requestIn } from './request.ts'
import { mayAsk } from './requests.ts'
import type { Server } from './server.ts'
import { encodeState } from './state.ts'
import { type Submission, Submissions } from './submissions.ts'
import { knows } from './succession.ts'
import { catchUp } from './terms.ts'

export interface CertifiedRaftParts {
  readonly identity: Identity
  readonly group: GroupId
  readonly server: Server
  /** Its own, public. */
  readonly key: Uint8Array
  /** Where to dial founders. */
  readonly contacts: readonly Peer[]
  /** Of this boot, for the node's own requests: never used before. */
  readonly session: number
  readonly proposalBytes: number
  /** Bytes of own proposals that may wait. */
  readonly waitingBytes: number
  readonly maxMessageBytes: number
  /** Milliseconds since the epoch at `now`. */
  readonly time: number
  readonly now: number
  /** What the machine holds already. */
  readonly position: Index
  readonly archive?: (committed: Committed) => void
}

/** What an ask of this file is for. */
type Purpose =
  | { readonly type: 'own'; readonly request: Request }
  | { readonly type: 'submissions'; readonly submissions: readonly Submission[] }
  | { readonly type: 'change'; readonly id: number; readonly change: Change }

/** Requests that wait at a member beyond this are refused. */
const mostWaiting = 16_384
/** After so many entries those who wait for what can never come are told. */
const sweepEntries = 64

/**
 * A member as the runtime drives it: its own proposals and those of clients become requests, committed entries become records, each operation at a
 * place of its own. What is agreed on, `server` decides.
 */
export class CertifiedRaft implements Protocol<Message> {
  readonly #parts: CertifiedRaftParts
  readonly #server: Server
  readonly #checksumSeed: number
  #own: Own
  #submissions: Submissions
  /** By call; each ends with its epoch. */
  #changes: Map<number, Change> = new Map()
  #config: Config
  /** In some epoch, this one or an earlier one. */
  #wasMember: boolean
  #purposes: Map<number, Purpose> = new Map()
  /** Even ids are the server's asks, odd ones those of this file. */
  #asked = 1
  #asks: Effects['asks'][number][] = []
  #settled: Settled[] = []
  #happened: Happening[] = []
  /** To be handed on to whoever leads. */
  #forward: Uint8Array[] = []
  /** Committed and handed out up to here. */
  #position: Index
  #applied: Index
  #founded: boolean
  #entries = 0
  #clock: { readonly time: number; readonly now: number }
  #role: ReplicaRole = 'follower'
  #term: Term | undefined
  /** Of the newest checkpoint that was told of. */
  #snapshot: SnapshotPoint | undefined
  #leader: NodeId | undefined
  #encoded: { readonly message: Message; readonly parts: readonly Uint8Array[] } | undefined

  constructor(parts: CertifiedRaftParts) {
    const { server, session, identity, position, key } = parts
    const { genesis, settings } = server
    const { digest, self } = settings
    this.#parts = parts
    this.#server = server
    this.#own = new Own(key, session, digest, genesis, parts.proposalBytes)
    this.#submissions = new Submissions(digest, genesis)
    this.#checksumSeed = checksumSeed(shortGenesis(settings.members), settings.group)
    this.#position = position
    this.#snapshot = server.stable?.snapshot
    this.#applied = position
    this.#wasMember = knows(server, self, key)
    this.#config = this.#configNow()
    this.#founded = identity.boot === 1 && this.#wasMember
    this.#clock = { time: parts.time, now: parts.now }
  }

  step(event: ProtocolEvent<Message>, now: number): void {
    const server = this.#server
    if ('time' in event) this.#clock = { time: event.time, now }
    server.wall = Math.max(server.wall, Math.floor(this.#clock.time + now - this.#clock.now))
    switch (event.type) {
      case 'message':
        return this.#onMessage(event.from.id, event.message, now)
      case 'propose':
        return this.#propose(event.id, event.data)
      case 'submit':
        return this.#submit(event.id, event.request)
      case 'read':
        if (server.me < 0) return this.#refuseOutside(event.id)
        if (event.consistency === 'linearizable') return this.#own.read(event.id)
        return this.#refuse(
          event.id,
          'REFUSED',
          'a lease rests on the word of a leader, and one that lies keeps none; ask for a linearizable read',
        )
      case 'change':
        return this.#change(event.id, event.request)
      case 'transfer':
        return this.#refuse(
          event.id,
          'REFUSED',
          'nobody hands leadership over here: each term has its leader, and a quorum ends a term',
        )
      case 'campaign':
        return
      case 'link':
        // Whoever was away hears at once where the others are, though nothing is going on.
        server.now = now
        if (event.state === 'up') this.#meet(event.peer)
        return
      case 'time':
        server.since += event.stalled ?? 0
        return server.step({ type: 'time' }, now)
      case 'durable':
        return server.step({ type: 'durable', write: event.write }, now)
      case 'answer':
        return this.#onAnswer(event, now)
      case 'applied':
        this.#applied = Math.max(this.#applied, event.index)
        return
      case 'snapshot':
        // Nobody's checkpoint: it goes again.
        return retainBlobs(server)
    }
  }

  take(now: number): Effects<Message> {
    const server = this.#server
    for (const { request, bytes } of this.#own.take()) {
      const id = this.#nextAsk()
      this.#purposes.set(id, { type: 'own', request })
      this.#ask({ type: 'sign', id, bytes })
    }
    const fresh = this.#submissions.take()
    if (fresh) {
      const id = this.#nextAsk()
      this.#purposes.set(id, { type: 'submissions', submissions: fresh.submissions })
      this.#ask({ type: 'verify', id, checks: fresh.checks })
    }
    const { write, messages, asks, committed, happened, deadline } = server.take(now)
    for (const one of happened) if (one.type !== 'epoch') this.#happened.push(one)
    if (happened.some(({ type }) => type === 'epoch')) this.#noticeEpoch()
    this.#noticeCheckpoint(asks.some(({ type }) => type === 'restore'))
    for (const ask of asks)
      if (ask.type === 'restore') {
        this.#position = ask.snapshot.index
        this.#settled.push(...this.#own.skipped(server.used), ...this.#submissions.spent(server.used))
      }
    const apply = this.#commit(committed)
    this.#noticeRole()
    const outgoing = this.#outgoing(messages)
    const effects: Effects<Message> = {
      messages: outgoing,
      asks: [...this.#asks, ...asks.map((ask) => ({ ...ask, id: 2 * ask.id }))],
      settled: this.#settled,
      happened: this.#happened,
      ...(write && { write: { ...write, change: this.#signed(write.change) } }),
      ...(apply && { apply }),
      ...(deadline !== undefined && { deadline }),
    }
    this.#asks = []
    this.#settled = []
    this.#happened = []
    return effects
  }

  encode(message: Message): readonly Uint8Array[] {
    // What is said to all is encoded once.
    if (this.#encoded?.message !== message) this.#encoded = { message, parts: [encodeMessage(message)] }
    return this.#encoded.parts
  }

  decode(bytes: Uint8Array): Message {
    return decodeMessage(bytes)
  }

  describe(message: Message): MessageSummary {
    return describe(message)
  }

  receipt(index: Index): Uint8Array | undefined {
    const { epochs } = this.#server
    const steps = index === 1 ? 0 : 1 + epochs.findIndex(({ entry }) => entry.header.position + 1 === index)
    return steps > 0 || index === 1 ? encodeSteps(epochs.slice(0, steps)) : receiptOf(this.#server, index)
  }

  status(now: number = this.#server.now): Status {
    const { ballot, tree, pool, settings, me } = this.#server
    const { identity, key } = this.#parts
    const tip = ballot.tip === undefined ? undefined : tree.get(ballot.tip)?.entry
    let uncommittedBytes = 0
    for (const { bytes } of pool) uncommittedBytes += bytes.length
    return {
      ...{ id: settings.self, boot: identity.boot, genesis: shortGenesis(settings.members) },
      incarnation: incarnationOf(settings.digest, key),
      ...{ role: this.#roleNow(), term: ballot.term, leader: this.#leaderNow() },
      ...{ commit: this.#position, applied: this.#applied, first: 1, durable: this.#position },
      last: Math.max(this.#position, tip === undefined ? 0 : tip.header.position + span(tip)),
      ...{ config: this.#config, configIndex: this.#configIndex, configCommitted: true },
      removed: me < 0 && this.#wasMember,
      ...{ snapshot: this.#server.stable?.snapshot, uncommittedBytes, peers: peersOf(this.#server, now) },
    }
  }

  fork(): this {
    const copy = new CertifiedRaft({ ...this.#parts, server: this.#server.fork() })
    copy.#own = this.#own.fork()
    copy.#submissions = this.#submissions.fork()
    copy.#changes = new Map(this.#changes)
    copy.#purposes = new Map(this.#purposes)
    copy.#asked = this.#asked
    copy.#asks = [...this.#asks]
    copy.#settled = [...this.#settled]
    copy.#happened = [...this.#happened]
    copy.#forward = [...this.#forward]
    copy.#position = this.#position
    copy.#applied = this.#applied
    copy.#founded = this.#founded
    copy.#entries = this.#entries
    copy.#clock = this.#clock
    copy.#role = this.#role
    copy.#term = this.#term
    copy.#snapshot = this.#snapshot
    copy.#leader = this.#leader
    return copy as this
  }

  /** Of what is durable, what waits and what is suspected. Members sign by name, so none can be renamed: `rename` is left aside. */
  digest(): Uint8Array {
    const { committed, pool, demands, suspicions, journal } = this.#server
    const writer = new Writer(1024)
      .bytes(encodeState(this.#server))
      .text(committed.hash)
      .u64(journal.issued - journal.durable)
    for (const hash of [...pool].map((pooled) => pooled.hash).sort()) writer.text(hash)
    for (const [signer, { term }] of [...demands].sort(([a], [b]) => a - b)) writer.u8(signer).u64(term)
    for (const [signer, { term }] of [...suspicions].sort(([a], [b]) => a - b)) writer.u8(signer).u64(term)
    return hash128(writer.finish())
  }

  /** Nobody suspects anybody with term 0: it says of which epoch this node is, and whoever knows a newer one tells. */
  #meet(peer: NodeId): void {
    const server = this.#server
    const { epoch, operators } = server.members
    const isMember = server.members.signer(peer) !== undefined
    if (isMember) catchUp(server, peer, -1)
    if (operators !== undefined && (isMember || server.me < 0)) server.send(peer, { type: 'preVote', epoch, term: 0 })
  }

  #onMessage(from: NodeId, message: Message, now: number): void {
    // Those who left, and those who bring word of epochs that this node has not come through, are members of another epoch.
    if (this.#server.members.signer(from) !== undefined || this.#server.members.operators !== undefined)
      return this.#server.step({ type: 'message', from, message }, now)
    this.#happened.push({ type: 'ignored', from, reason: 'it is no member' })
  }

  #propose(id: number, data: Uint8Array): void {
    const { proposalBytes, waitingBytes } = this.#parts
    if (this.#server.me < 0) return this.#refuseOutside(id)
    if (data.length === 0)
      return this.#refuse(id, 'INVALID_VALUE', 'an empty proposal executes nothing; propose something')
    if (data.length > proposalBytes)
      return this.#refuse(id, 'TOO_LARGE', `a proposal of ${data.length} bytes; at most ${proposalBytes} are allowed`)
    if (this.#own.waitingBytes + data.length > waitingBytes || this.#server.pool.size >= mostWaiting)
      return this.#refuse(id, 'OVERLOADED', 'too many proposals wait already; try again later')
    this.#own.propose(id, data)
  }

  #submit(id: number, bytes: Uint8Array): void {
    if (this.#server.me < 0) return this.#refuseOutside(id)
    if (this.#server.pool.size >= mostWaiting)
      return this.#refuse(id, 'OVERLOADED', 'too many requests wait already; try again later')
    const { batchBytes } = this.#server.settings
    const settled = this.#submissions.add(id, bytes, batchBytes, (client) => mayAsk(this.#server, client))
    if (settled) this.#settled.push(settled)
  }

  /** `request`: a configuration as operators signed it. Its signatures are looked at here, so that whoever brings bad ones is told. */
  #change(id: number, request: unknown): void {
    const { members, me, settings } = this.#server
    if (members.operators === undefined)
      return this.#refuse(
        id,
        'MEMBERSHIP_FIXED',
        'this cluster was founded without operators: its members stay who they are',
      )
    if (me < 0) return this.#refuseOutside(id)
    if (!(request instanceof Uint8Array))
      return this.#refuse(
        id,
        'REFUSED',
        'members that sign change by what operators signed: members.change(encodeConfiguration(configuration, approvals))',
      )
    const flaw = flawOfChange(this.#server, request)
    if (flaw) return this.#refuse(id, flaw.code, flaw.reason)
    const ask = this.#nextAsk()
    this.#purposes.set(ask, { type: 'change', id, change: { epoch: members.epoch, item: request } })
    this.#ask({ type: 'verify', id: ask, checks: configurationChecks(settings.digest, members, request) })
  }

  #refuseOutside(id: number): void {
    const when = this.#wasMember ? 'any more' : 'yet'
    this.#refuse(id, 'NOT_A_MEMBER', `${this.#server.settings.self} is no member ${when}: ask one that is`)
  }

  #refuse(id: number, code: string, reason: string): void {
    const leader = this.#leaderNow()
    this.#settled.push({ type: 'refused', id, code, reason, ...(leader === undefined ? {} : { leader }) })
  }

  #onAnswer({ ask, answer }: Extract<ProtocolEvent, { type: 'answer' }>, now: number): void {
    const server = this.#server
    if (ask % 2 === 0) {
      if (answer.type === 'sign') server.step({ type: 'signed', ask: ask / 2, signature: answer.signature }, now)
      else if (answer.type === 'verify') server.step({ type: 'verified', ask: ask / 2, valid: answer.valid }, now)
      else server.step({ type: 'answered', ask: ask / 2, answer }, now)
      return
    }
    const purpose = this.#purposes.get(ask)
    this.#purposes.delete(ask)
    if (purpose?.type === 'own' && answer.type === 'sign')
      return this.#place(signedRequest(purpose.request, answer.signature), now)
    if (purpose?.type === 'change' && answer.type === 'verify') return this.#changed(purpose, answer.valid, now)
    if (purpose?.type !== 'submissions' || answer.type !== 'verify') return
    for (const [at, submission] of purpose.submissions.entries()) {
      if (!answer.valid[at]) {
        this.#refuse(submission.id, 'REFUSED', 'its signature is none of its client for this cluster')
        continue
      }
      const settled = this.#submissions.verified(submission, server.used)
      if (settled) this.#settled.push(settled)
      else this.#place(submission.bytes, now)
    }
  }

  #changed({ id, change }: Extract<Purpose, { type: 'change' }>, valid: readonly boolean[], now: number): void {
    const { approvals } = decodeConfiguration(change.item)
    const forged = approvals.find((_, at) => !valid[at])
    if (forged)
      return this.#refuse(id, 'REFUSED', `operator ${forged.operator} did not sign this configuration for this epoch`)
    this.#changes.set(id, change)
    if (change.epoch === this.#server.members.epoch) this.#server.step({ type: 'configure', item: change.item }, now)
    else this.#endChanges()
  }

  /** Of the epochs that are over. */
  #endChanges(): void {
    for (const [id, { epoch, item }] of this.#changes) {
      const step = this.#server.epochs[epoch]
      if (step === undefined) continue
      this.#changes.delete(id)
      const { header, items } = step.entry
      if (isEqual(items[0]!, item))
        this.#settled.push({ type: 'committed', id, index: header.position + 1, term: header.term })
      else this.#refuse(id, 'REFUSED', `another configuration ended epoch ${epoch}: sign one for the epoch of now`)
    }
  }

  #noticeEpoch(): void {
    const { me, settings } = this.#server
    this.#wasMember ||= knows(this.#server, settings.self, this.#parts.key)
    this.#config = this.#configNow()
    this.#happened.push({ type: 'configuration', config: this.#config, index: this.#configIndex, committed: true })
    this.#endChanges()
    if (me >= 0 || !this.#wasMember) return
    this.#happened.push({ type: 'removed' })
    this.#settled.push(...this.#own.abandon(), ...this.#submissions.abandon())
    this.#forward = []
  }

  /** Empty while it is to come, and knows founders alone: it dials whom its options name. */
  #configNow(): Config {
    const { members, settings } = this.#server
    if (members.epoch === 0 && !this.#wasMember) return { format: 1, members: [] }
    return configOf(settings.digest, members, this.#parts.contacts)
  }

  /** Of the record. */
  get #configIndex(): Index {
    const last = this.#server.epochs.at(-1)
    return last === undefined ? 1 : last.entry.header.position + 1
  }

  /** Verified, and wanted by somebody here. */
  #place(request: Uint8Array, now: number): void {
    const time = this.#server.wall
    this.#server.step({ type: 'request', request, time, isVerified: true }, now)
    if (!this.#server.isLeader) this.#forward.push(request)
  }

  #commit(committed: readonly Entry[]): Effects['apply'] {
    const server = this.#server
    const { digest, founding, members } = server.settings
    const entries = [...committed]
    if (this.#position === 0) {
      entries.unshift(founding)
      const config = configOf(digest, members, this.#parts.contacts)
      if (this.#founded) this.#happened.push({ type: 'founded', genesis: shortGenesis(members), config })
    }
    for (const entry of committed) this.#settle(entry)
    this.#archive(committed)
    const apply = applied(digest, entries, this.#checksumSeed)
    if (!apply) return undefined
    if (apply.from !== this.#position + 1)
      throw new RaftkitError('INVARIANT', `${apply.from} is committed behind ${this.#position}`)
    this.#position = apply.to
    this.#happened.push({ type: 'commit', index: apply.to })
    this.#entries += committed.length
    if (this.#entries >= sweepEntries) {
      this.#entries = 0
      this.#settled.push(...this.#submissions.spent(server.used))
    }
    return apply
  }

  #archive(entries: readonly Entry[]): void {
    const { commit: certificate } = this.#server
    // Nothing else is certified.
    if (certificate !== undefined && entries.at(-1)?.header.index === certificate.place.index)
      this.#parts.archive?.({ certificate, entries })
  }

  /** Whoever waits here for a request of this entry is told. */
  #settle({ header, items }: Entry): void {
    if (header.kind !== 'data') return
    let index = header.position + 1
    for (const item of items) {
      const request = requestIn(item)!
      const own = this.#own.executed(request, index, header.term)
      this.#settled.push(...(own ?? this.#submissions.executed(request, index, header.term)))
      index += request.operations.length
    }
  }

  #outgoing(messages: readonly { to: NodeId; message: Message; after: number }[]): Outgoing<Message>[] {
    const most = this.#parts.maxMessageBytes - overheadBytes
    const outgoing: Outgoing<Message>[] = []
    let before: Message | undefined
    let parts: readonly Message[] = []
    for (const { to, message, after } of messages) {
      if (message !== before) parts = fitting(message, most)
      before = message
      for (const part of parts) outgoing.push({ to, incarnation: '', message: part, lane: laneOf(part), after })
    }
    if (this.#forward.length > 0 && !this.#server.isLeader) {
      const to = this.#server.members.leader(this.#server.ballot.term)
      for (const message of fitting({ type: 'forward', requests: this.#forward }, most))
        outgoing.push({ to, incarnation: '', message, lane: laneOf(message), after: 0 })
    }
    this.#forward = []
    return outgoing
  }

  #noticeCheckpoint(isFetched: boolean): void {
    const { stable } = this.#server
    if (stable === undefined || stable.snapshot === this.#snapshot) return
    this.#snapshot = stable.snapshot
    this.#happened.push({ type: 'snapshot', step: isFetched ? 'installed' : 'taken', snapshot: stable.snapshot })
  }

  #noticeRole(): void {
    const [role, leader, { term }] = [this.#roleNow(), this.#leaderNow(), this.#server.ballot]
    if (role !== this.#role || (term !== this.#term && role !== 'follower')) {
      const reason =
        role === 'leader' ? 'the term is its own' : role === 'follower' ? 'another leads' : 'it gave up on a term'
      this.#happened.push({ type: 'role', role, term, reason })
    }
    if (leader !== this.#leader || term !== this.#term) this.#happened.push({ type: 'leader', leader, term })
    this.#role = role
    this.#leader = leader
    this.#term = term
  }

  #roleNow(): ReplicaRole {
    const { isLeader, anchor } = this.#server
    if (isLeader && anchor !== undefined) return 'leader'
    return this.#leaderNow() === undefined ? 'candidate' : 'follower'
  }

  /** Undefined: the term was asked for, and nothing shows yet that a quorum did. */
  #leaderNow(): NodeId | undefined {
    const { ballot, newest, proof, members } = this.#server
    const isEntered = ballot.term === 0 || proof !== undefined || newest?.term === ballot.term
    return isEntered ? members.leader(ballot.term) : undefined
  }

  #signed(change: NonNullable<Effects['write']>['change']): NonNullable<Effects['write']>['change'] {
    return change.state === undefined ? change : { ...change, state: writeIdentity(this.#parts.identity, change.state) }
  }

  #ask(ask: Effects['asks'][number]): void {
    this.#asks.push(ask)
  }

  #nextAsk(): number {
    this.#asked += 2
    return this.#asked
  }
}
