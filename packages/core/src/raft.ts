import { checksumSeed } from '@raftkit/bytes'
import {
  type Ask,
  type Effects,
  type Happening,
  type Index,
  isRaftkitError,
  type Lane,
  type Membership,
  type MessageSummary,
  type NodeId,
  type Outgoing,
  type Peer,
  type Protocol,
  type ProtocolEvent,
  RaftkitError,
  type Sender,
  type Settled,
  type Status,
  type Term,
} from '@raftkit/contract'
import { configAt, effectiveConfig } from './configuration.ts'
import { nextDeadline } from './deadline.ts'
import { describe } from './describe.ts'
import { digest } from './digest.ts'
import { type Durable, encodeDurable, type SnapshotRecord } from './durable.ts'
import { campaign, isLeader, mayStand, onDurableVote, onElectionTimeout } from './election.ts'
import { decodeMessage, encodeMessage } from './encoding.ts'
import { answerLeader } from './following.ts'
import { beginFounding, continueFounding, type Founding, foundersInLog } from './founding.ts'
import { endTransfer, transfer } from './hand-over.ts'
import { afterProgress, leadOn, leaveOffice, mustLeave } from './leading.ts'
import { joined, type Log } from './log.ts'
import type { Founder, Message } from './messages.ts'
import { memberKey } from './progress.ts'
import { expireForwards, ForwardMemories, forwardProposals, Proposals, propose, settlePlaced } from './proposals.ts'
import type { Random } from './random.ts'
import { expireReads, type ForwardedRead, forwardReads, read } from './reads.ts'
import { receive } from './receiving.ts'
import { advanceCommit, onLogRead, replicate } from './replication.ts'
import { Follower, type Role, sameSender, type Transfer } from './role.ts'
import type { Settings } from './settings.ts'
import {
  continueFetch,
  type Fetch,
  onDurableSnapshot,
  onFetchAnswer,
  onRestored,
  onSnapshotTaken,
  type Restoring,
  sendChunk,
} from './snapshots.ts'
import { statusOf } from './status.ts'
import { Writes } from './writes.ts'

/** What an ask was for; its answer finds the way back by it. */
export type Purpose =
  | { readonly type: 'replicate'; readonly peer: Sender; readonly from: Index }
  | { readonly type: 'serve'; readonly peer: Sender; readonly name: string; readonly offset: number }
  | { readonly type: 'fetch' }
  | { readonly type: 'restore' }

type WithoutId<A> = A extends unknown ? Omit<A, 'id'> : never

/**
 * One server of one group (Raft paper, Figure 2): its state, and where each event goes. The rules are in the files named for them;
 * they read and change this state through the few methods at the end.
 */
export class Raft implements Protocol<Message, unknown> {
  readonly self: Sender
  readonly settings: Settings
  readonly membership: Membership

  /** Persistent state. Replaced as a whole; `enterTerm`, `adoptGenesis` and `nameSnapshot` are the only ones that do. */
  state: Durable
  log: Log
  writes: Writes = new Writes()

  role: Role = new Follower(0)
  /** Of the current term, as far as it was heard. */
  leader: Sender | undefined
  /** Known to be committed up to here. Rises only. */
  commit: Index
  /** Handed out to be applied up to here: `applied ≤ handed ≤ commit`. */
  handed: Index
  applied: Index
  now: number
  /** When a leader was last heard. */
  heardLeader: number = Number.NEGATIVE_INFINITY
  electionDeadline: number
  /** Counts the attempts at an election. */
  ballot: number
  random: Random
  /** Newer members said that this server is none of them. */
  removed = false

  founding: Founding | undefined
  /** The list this server founded the cluster with, for founders that missed the last word. */
  foundedWith: readonly Founder[] | undefined
  proposals: Proposals = new Proposals()
  /** Of the last term that this server led since it started. */
  forwards: ForwardMemories
  readsToForward: number[] = []
  forwardedReads: Map<number, ForwardedRead> = new Map()
  /** A transfer that was asked for here, until it is heard who leads now. */
  transferring: Transfer | undefined
  fetching: Fetch | undefined
  restoring: Restoring | undefined
  /** Snapshots that peers fetch here, by name, and when they last did. */
  serving: Map<string, { readonly index: Index; readonly at: number }> = new Map()
  /** Once this write is durable, blobs that nobody needs may go. */
  releaseAfter: number | undefined

  #asks: Map<number, Purpose> = new Map()
  #asked = 0
  #ids: number
  #stateDirty = true
  /** `after` is said when they are taken. */
  #messages: (Outgoing<Message> & { after: number })[] = []
  #newAsks: Ask[] = []
  #settled: Settled[] = []
  #happened: Happening[] = []

  constructor(state: Durable, log: Log, settings: Settings, membership: Membership, random: Random, now: number) {
    this.state = state
    this.self = { id: state.id, incarnation: state.incarnation }
    this.settings = settings
    this.membership = membership
    this.log = log
    this.random = random
    this.now = now
    // Begins anew after a million boots, when nobody remembers the first: 2^53 must not be reached, whatever restarts this server.
    this.#ids = (this.state.boot % 0x10_0000) * 0x1_0000_0000
    this.ballot = this.#ids
    this.commit = state.snapshot?.index ?? 0
    this.handed = this.commit
    this.forwards = new ForwardMemories(state.term)
    this.applied = this.commit
    this.foundedWith = foundersInLog(this)
    this.role = new Follower(this.commit)
    this.writes.durableIndex = log.last
    this.writes.promised()
    // Before the restart it may have promised a leader not to vote for another so soon (thesis §6.4.1).
    if (state.genesis !== '') this.heardLeader = now
    this.electionDeadline = now + settings.electionTimeout * (1 + random.next())
    if (this.#votesAlone()) this.electionDeadline = now
  }

  found(peers: readonly Peer[]): void {
    this.founding = beginFounding(this, peers)
  }

  step(event: ProtocolEvent<Message, unknown>, now: number): void {
    this.now = Math.max(this.now, now)
    switch (event.type) {
      case 'message':
        return receive(this, event.from, event.genesis, event.message)
      case 'propose':
        return propose(this, { id: event.id, kind: 'command', time: event.time, seed: event.seed, data: event.data })
      case 'change':
        return propose(this, { id: event.id, kind: 'change', time: event.time, seed: 0, request: event.request })
      case 'read':
        return read(this, event.id, event.consistency)
      case 'transfer':
        return transfer(this, event.id, event.to)
      case 'campaign':
        if (mayStand(this) && this.role.type !== 'leader') campaign(this, 'it was told to')
        return
      case 'link':
        return this.#linkChanged(event.peer, event.state)
      case 'time':
        return this.#timePasses(event.stalled ?? 0)
      case 'durable':
        return this.#becameDurable(event.write)
      case 'answer':
        return this.#answered(event.ask, event.answer)
      case 'applied':
        this.applied = Math.max(this.applied, event.index)
        return
      case 'snapshot':
        return onSnapshotTaken(this, event.name, event.index, event.bytes)
    }
  }

  take(now: number): Effects<Message> {
    this.now = Math.max(this.now, now)
    continueFounding(this)
    forwardProposals(this)
    forwardReads(this)
    if (isLeader(this)) {
      afterProgress(this, this.role)
      replicate(this, this.role)
      this.role.uncommittedBytes = this.log.bytesAbove(this.commit)
      if (mustLeave(this)) leaveOffice(this, this.role)
    }
    if (this.role.type === 'follower') answerLeader(this, this.role)
    const write = this.#takeWrite()
    const apply = this.#takeApply()
    this.log.evict(this.handed, this.settings.cacheBytes)
    const after = this.writes.isPromiseDurable ? 0 : this.writes.promise
    for (const message of this.#messages) message.after = after
    const messages = this.#messages
    const asks = this.#newAsks
    const settled = this.#settled
    const happened = this.#happened
    const deadline = nextDeadline(this)
    this.#messages = []
    this.#newAsks = []
    this.#settled = []
    this.#happened = []
    // All fields, always: what is handed out every turn has one shape.
    return { messages, asks, settled, happened, write, apply, deadline } as Effects<Message>
  }

  encode(message: Message): readonly Uint8Array[] {
    return encodeMessage(message)
  }

  decode(bytes: Uint8Array): Message {
    return decodeMessage(bytes)
  }

  describe(message: Message): MessageSummary {
    return describe(message)
  }

  status(): Status {
    return statusOf(this)
  }

  fork(): this {
    const copy = new Raft(this.state, this.log.fork(), this.settings, this.membership, this.random.fork(), this.now)
    const { state, role, leader, commit, handed, applied, heardLeader, electionDeadline, ballot, removed } = this
    const { founding, foundedWith, transferring, fetching, restoring, releaseAfter } = this
    Object.assign(copy, { state, leader, commit, handed, applied, heardLeader, electionDeadline, ballot, removed })
    Object.assign(copy, { founding, foundedWith, transferring, fetching, restoring, releaseAfter })
    copy.role = role.fork()
    copy.random = this.random.fork()
    copy.writes = this.writes.fork()
    copy.proposals = this.proposals.fork()
    copy.forwards = this.forwards.fork()
    copy.readsToForward = this.readsToForward.slice()
    copy.forwardedReads = new Map(this.forwardedReads)
    copy.serving = new Map(this.serving)
    copy.#asks = new Map(this.#asks)
    copy.#asked = this.#asked
    copy.#ids = this.#ids
    copy.#stateDirty = this.#stateDirty
    copy.#messages = this.#messages.map((message) => ({ ...message }))
    copy.#newAsks = this.#newAsks.slice()
    copy.#settled = this.#settled.slice()
    copy.#happened = this.#happened.slice()
    return copy as this
  }

  digest(rename: (id: NodeId) => NodeId = (id) => id): Uint8Array {
    return digest(this, rename)
  }

  // What the rules do to the state.

  /** Figure 2: `currentTerm` and `votedFor`, one durable record. Nothing leaves before it is written. */
  enterTerm(term: Term, vote: Sender | undefined): void {
    this.state = { ...this.state, term, vote }
    this.#stateDirty = true
    this.writes.promised()
  }

  adoptGenesis(genesis: string): void {
    this.state = { ...this.state, genesis }
    this.log.checksumSeed = checksumSeed(genesis, this.state.group)
    this.founding = undefined
    this.#stateDirty = true
    this.writes.promised()
  }

  /** Puts a snapshot in force; returns the write that says so. */
  nameSnapshot(snapshot: SnapshotRecord): number {
    this.state = { ...this.state, snapshot }
    this.#stateDirty = true
    this.releaseAfter = this.writes.issued + 1
    // A release that was asked for since the last `take` does not know of it.
    this.#newAsks = this.#newAsks.map((ask) =>
      ask.type === 'retain' ? { ...ask, names: [...ask.names, snapshot.name] } : ask,
    )
    return this.releaseAfter
  }

  become(role: Role, reason: string): void {
    const changed = role.type !== this.role.type
    this.role = role
    if (changed) this.happen({ type: 'role', role: role.type, term: this.state.term, reason })
  }

  setLeader(leader: Sender | undefined): void {
    if (sameSender(leader, this.leader)) return
    this.leader = leader
    // Who was asked may not answer any more; the next one does not know of it.
    expireForwards(this, true)
    expireReads(this, true)
    this.happen({ type: 'leader', leader: leader?.id, term: this.state.term })
    if (leader !== undefined) endTransfer(this, leader)
  }

  /** Committed up to `index`, at most. */
  commitTo(index: Index): void {
    const before = this.commit
    if (index <= before) return
    this.commit = index
    this.happen({ type: 'commit', index })
    settlePlaced(this)
    const { index: at, config } = effectiveConfig(this)
    if (at > before && at <= index) this.happen({ type: 'configuration', config, index: at, committed: true })
  }

  /** Cuts the log: what writes so far said of it from there on, counts no more. */
  truncate(from: Index): void {
    this.log.truncate(from)
    this.writes.cut(from)
    this.happen({ type: 'truncated', from })
  }

  /** Tells of configurations that came with the log from `from` on. */
  noticeConfigs(from: Index): void {
    const newest = effectiveConfig(this)
    if (newest.index >= from)
      this.happen({
        type: 'configuration',
        config: newest.config,
        index: newest.index,
        committed: newest.index <= this.commit,
      })
  }

  send(to: Sender, message: Message, lane: Lane = 'control'): void {
    this.#messages.push({ to: to.id, incarnation: to.incarnation, message, lane, after: 0 })
  }

  happen(happening: Happening): void {
    this.#happened.push(happening)
  }

  settle(settled: Settled): void {
    this.#settled.push(settled)
  }

  ask(ask: WithoutId<Ask>, purpose: Purpose | undefined): number {
    const id = ++this.#asked
    this.#newAsks.push({ ...ask, id } as Ask)
    if (purpose !== undefined) this.#asks.set(id, purpose)
    return id
  }

  /** A number that neither this process nor an earlier one of this server has used. */
  nextId(): number {
    return ++this.#ids
  }

  get lastId(): number {
    return this.#ids
  }

  /** What is asked for and not answered, oldest first. */
  get openAsks(): Iterable<Purpose> {
    return this.#asks.values()
  }

  ordersOf(peer: Sender): number {
    let orders = 0
    for (const purpose of this.#asks.values()) if (purpose.type === 'serve' && sameSender(purpose.peer, peer)) orders++
    return orders
  }

  join(parts: readonly Uint8Array[]): Uint8Array {
    return joined(parts)
  }

  get leaderHint(): { leader?: NodeId } {
    return this.leader === undefined ? {} : { leader: this.leader.id }
  }

  get isDiskStalled(): boolean {
    const { oldest } = this.writes
    return oldest !== undefined && this.now >= oldest + this.settings.diskTimeout
  }

  broken(what: string): RaftkitError {
    return new RaftkitError(
      'INVARIANT',
      `${what}; the server stops rather than go on wrongly. Please report this with its log and trace`,
    )
  }

  diverged(what: string): RaftkitError {
    return new RaftkitError(
      'DIVERGED',
      `${what}; the server stops. Compare the members' logs before you replace any of them`,
    )
  }

  damaged(what: string): RaftkitError {
    return new RaftkitError('DAMAGED', `${what}; move the data away and let this server be added again as a new one`)
  }

  /** What comes from the own disk must be what was written. */
  sound<T>(check: () => T): T {
    try {
      return check()
    } catch (error) {
      throw isRaftkitError(error, 'MALFORMED')
        ? this.damaged(`the log is not what was written: ${error.message}`)
        : error
    }
  }

  #linkChanged(peer: NodeId, state: 'up' | 'full' | 'down'): void {
    if (!isLeader(this)) return
    for (const progress of this.role.progressById(peer)) {
      // What was under way when the link broke may be lost.
      if (state === 'up' && progress.link === 'down' && progress.state === 'replicate')
        progress.become('probe', progress.match + 1)
      if (state === 'up') progress.sent = Number.NEGATIVE_INFINITY
      progress.link = state
    }
  }

  #timePasses(stalled: number): void {
    // While this process stood still it heard nobody: that is no sign that the leader was silent. Nothing else is forgiven.
    this.electionDeadline += stalled
    if (isLeader(this)) leadOn(this, this.role)
    else if (this.now >= this.electionDeadline) onElectionTimeout(this)
    if (this.transferring !== undefined && this.now >= this.transferring.until) {
      const { id } = this.transferring
      this.transferring = undefined
      this.settle({ type: 'unknown', id, reason: 'nobody new was heard to lead; whoever was told to stand may still' })
    }
    continueFetch(this)
    expireForwards(this, false)
    expireReads(this, false)
  }

  #becameDurable(write: number): void {
    this.writes.complete(write)
    onDurableVote(this)
    if (isLeader(this) && this.writes.durableIndex > this.commit) advanceCommit(this, this.role)
    onDurableSnapshot(this)
  }

  #answered(id: number, answer: Parameters<typeof onFetchAnswer>[2]): void {
    const purpose = this.#asks.get(id)
    if (purpose === undefined) return
    this.#asks.delete(id)
    switch (purpose.type) {
      case 'replicate':
        // Whoever needs these records could never be sent them, and asking again finds them no better.
        if (answer.type === 'failed' && answer.code === 'DAMAGED')
          throw this.damaged('a record of the log cannot be read')
        return onLogRead(this, id, purpose.peer, purpose.from, answer.type === 'readLog' ? answer.run : undefined)
      case 'serve':
        return sendChunk(
          this,
          purpose.peer,
          purpose.name,
          purpose.offset,
          answer.type === 'readSnapshot' ? answer.bytes : new Uint8Array(),
        )
      case 'fetch':
        return onFetchAnswer(this, id, answer)
      case 'restore':
        return onRestored(this, id, answer)
    }
  }

  #takeWrite(): Effects['write'] {
    const change = this.log.takeWrite(this.#stateDirty ? encodeDurable(this.state) : undefined)
    if (change === undefined) return undefined
    this.#stateDirty = false
    const id = this.writes.issue(change.tail === undefined ? undefined : this.log.last, this.now)
    return { id, change }
  }

  #takeApply(): Effects['apply'] {
    if (this.restoring !== undefined || this.handed >= this.commit) return undefined
    const from = this.handed + 1
    const cachedFrom = this.log.cachedFrom
    const to = cachedFrom > from ? Math.min(this.commit, cachedFrom - 1) : this.commit
    this.handed = to
    const records = this.log.slice(from, to, Number.POSITIVE_INFINITY)?.parts
    return records === undefined ? { from, to } : { from, to, records }
  }

  #votesAlone(): boolean {
    const { config } = configAt(this, this.log.last)
    return config.members.length === 1 && memberKey(config.members[0]!) === memberKey(this.self)
  }
}
