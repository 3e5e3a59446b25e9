import { checksumSeed } from '@raftkit/bytes'
import {
  type Answer,
  type Ask,
  type GroupId,
  type Index,
  type LogWrite,
  type NodeId,
  RaftkitError,
  type Term,
} from '@raftkit/contract'
import { Accusations, type Accused, convict } from './accusing.ts'
import type { AppendEntries } from './appending.ts'
import { Asking, type Purpose } from './asking.ts'
import { Branches, type Node } from './branches.ts'
import type { Certificate, Mandate, TermCertificate, TermVote } from './certificate.ts'
import { beginCheckpoint, Checkpoints, onDurable } from './checkpointing.ts'
import { Conduct } from './conduct.ts'
import type { Entry } from './entry.ts'
import type { Step } from './epochs.ts'
import { type Fetching, wake } from './fetching.ts'
import type { Dump } from './forensics.ts'
import { type Kept, keepTerm } from './halting.ts'
import type { Digest, Hash } from './hash.ts'
import { Journal } from './journal.ts'
import type { Members } from './members.ts'
import type { Message } from './messages.ts'
import { Pace } from './pace.ts'
import { Pool } from './pool.ts'
import { type Promised, Promises, statementOf } from './promises.ts'
import { propose } from './proposing.ts'
import { itemHash, requestIn } from './request.ts'
import { onRequests } from './requests.ts'
import { onAnswered, onVerified, receive, receiveConfiguration, receiveRequests } from './routing.ts'
import { type Ballot, firstBallot } from './rules.ts'
import type { Stable } from './state.ts'
import type { Check, Phase, Place } from './statement.ts'
import { endsEpoch, succeed } from './succession.ts'
import { Tally } from './tally.ts'
import { nextDeadline, onTime, shun } from './terms.ts'
import type { Transfer } from './transferring.ts'
import { Used } from './used.ts'

export interface Settings {
  readonly digest: Digest
  readonly self: NodeId
  /** Its own: a member is its key, and under another one the same id is somebody else. Absent: whichever its id has. */
  readonly key?: Uint8Array
  readonly members: Members
  readonly founding: Entry
  readonly group: GroupId
  /** Milliseconds without progress after which a member suspects the leader of a term; doubles with each term that commits nothing. */
  readonly timeout: number
  readonly longestTimeout: number
  /** After this long without a commit, what may have been lost is said again. */
  readonly resend: number
  /** Entries that the leader proposes beyond what is committed. */
  readonly window: number
  readonly batchBytes: number
  /** Every so many entries is a checkpoint (§3.7); the same on all members. 0 or absent: none is, and nothing is ever pruned. */
  readonly checkpointEntries?: number
  /** Whether whoever has that key may be a client; the same on all members, whose votes rest on it. Absent: whoever comes. */
  readonly admits?: (client: Uint8Array) => boolean
  /** Milliseconds that an entry may be ahead of this clock. Absent: whatever its leader says. */
  readonly clockSkew?: number
  /** It is no founder: it follows, from the founders on, until a configuration names it. */
  readonly joins?: true
}

export type ServerEvent =
  | { readonly type: 'message'; readonly from: NodeId; readonly message: Message }
  /** A client's, as encoded. `time`: milliseconds since the epoch, by the clock of this host. `isVerified`: whoever hands it over knows its signature to be one. */
  | { readonly type: 'request'; readonly request: Uint8Array; readonly time: number; readonly isVerified?: true }
  /** A configuration, as operators signed it. */
  | { readonly type: 'configure'; readonly item: Uint8Array }
  | { readonly type: 'time' }
  | { readonly type: 'durable'; readonly write: number }
  | { readonly type: 'signed'; readonly ask: number; readonly signature: Uint8Array }
  | { readonly type: 'verified'; readonly ask: number; readonly valid: readonly boolean[] }
  /** To asks for anything but signatures. */
  | { readonly type: 'answered'; readonly ask: number; readonly answer: Answer }

export type ServerAsk =
  | { readonly type: 'sign'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'verify'; readonly id: number; readonly checks: readonly Check[] }
  | Exclude<Ask, { type: 'sign' | 'verify' | 'readLog' }>

export interface ServerEffects {
  readonly write: { readonly id: number; readonly change: LogWrite } | undefined
  /** Leaves once the write `after` is durable. */
  readonly messages: readonly { readonly to: NodeId; readonly message: Message; readonly after: number }[]
  readonly asks: readonly ServerAsk[]
  /** To apply, in order. */
  readonly committed: readonly Entry[]
  readonly happened: readonly ServerHappening[]
  readonly deadline: number | undefined
}

/** What the host should tell people. */
export type ServerHappening =
  | ({ readonly type: 'accused' } & Accused)
  /** More than f members lie. `dump`: what `from` keeps, for `findCulprits`; the member itself has stopped, or will. */
  | { readonly type: 'forked'; readonly from: NodeId; readonly dump: Uint8Array }
  /** These vote from now on. */
  | { readonly type: 'epoch'; readonly epoch: number; readonly members: readonly NodeId[] }

const mostVerified = 65_536

/**
 * One member: its state, and where each event goes. What it may vote for, `rules` says; the files named for the parts of the protocol decide
 * what to do about it.
 */
export class Server {
  readonly settings: Settings
  /** Of the epoch that it is in. */
  members: Members
  /** Its place among them; -1: it is none of them (any more, or yet), votes for nothing, and answers who fetches. */
  me: number
  /** Of the cluster: what clients' signatures are bound to. */
  readonly genesis: Hash
  now: number
  /** By the clock of the host that last said it. */
  wall = 0

  // Durable.
  ballot: Ballot = firstBallot
  lock: Certificate | undefined
  /** Of the lock that was stated for the current term. */
  stated: Certificate | undefined
  /** What the leader of the current term has shown: binds it to an anchor. */
  proof: Mandate | undefined
  commit: Certificate | undefined
  /** The newest checkpoint that a quorum holds, this member among them. */
  stable: Stable | undefined
  /** How each epoch ended that it came through. */
  epochs: readonly Step[] = []

  tree: Branches
  committed: Node
  used: Used = new Used()
  /** Behind each entry that is not committed yet, as far as anybody asked. */
  #usedAt: Map<Hash, { readonly index: Index; readonly used: Used }> = new Map()
  tally: Tally = new Tally()
  /** The newest term vote of each member, verified. */
  demands: Map<number, { readonly term: Term; readonly vote: TermVote; readonly lock: Certificate | undefined }> =
    new Map()
  /** The newest term that each member wants, and until when its word counts: whoever still wants it says it again. */
  suspicions: Map<number, { readonly term: Term; readonly until: number }> = new Map()
  /** The newest proof that a term was entered, for whoever is behind. */
  newest: TermCertificate | undefined
  /** What clients asked for and is not executed. */
  pool: Pool = new Pool()
  /** Hashes of requests whose signature was verified. */
  verified: Set<Hash> = new Set()
  /** What was said last, to be said again. */
  said: { append?: Message; commit?: Message; term?: Message; checkpoint?: Message } = {}
  /** The highest place a commit vote was given for in this term. */
  committing: Place | undefined
  /** Waits for an entry that is being fetched. */
  waiting: { readonly from: NodeId; readonly message: AppendEntries } | undefined
  certified: { append?: Certificate; commit?: Certificate } = {}
  fetching: Fetching | undefined
  checkpoints: Checkpoints = new Checkpoints()
  transfer: Transfer | undefined
  /** The machine is being put where a fetched state says: what is committed behind it waits. */
  isRestoring = false
  conduct: Conduct = new Conduct()
  /** Until when it asks what is newest: while it fetched, others may have gone on, and gone idle. */
  asksUntil = 0
  /** For so long votes tell of something that it may lack. */
  heardUntil = 0
  /** Until when a peer that is behind has had its help. */
  helped: Map<NodeId, number> = new Map()
  /** Since when nothing was committed that could have been. */
  since: number
  resendAt: number
  /** Since when it is in this term. */
  entered: number
  pace: Pace = new Pace()
  /** Commits do not make up for what it holds against the leader. */
  isAggrieved = false
  lastCommitTerm: Term = 0
  accusations: Accusations = new Accusations()
  /** A configuration that operators signed, and that is not committed. */
  pending: Uint8Array | undefined
  /** Two certificates contradict each other: it votes and commits no more. */
  isForked = false
  /** Its dump, as the others are shown it. */
  testimony: Uint8Array | undefined
  /** Until when a peer is not shown it again. */
  testified: Map<NodeId, number> = new Map()
  kept: Map<Term, Kept> = new Map()
  /** Of the epoch before, as far as this life saw it. */
  former: Dump | undefined
  /** Members whose dump was seen. */
  dumps: Set<NodeId> = new Set()
  /** Until when a peer is shown no more votes of its leader. */
  witnessed: Map<NodeId, number> = new Map()

  asking: Asking = new Asking()
  promises: Promises = new Promises()
  journal: Journal
  #messages: { to: NodeId; message: Message; after: number }[] = []
  #committed: Entry[] = []
  #happened: ServerHappening[] = []
  /** Something is due, at some time. */
  #isDue = false

  constructor(settings: Settings, now: number) {
    this.settings = settings
    this.members = settings.members
    const me = settings.members.signer(settings.self, settings.key)
    if (me === undefined && !settings.joins)
      throw new RaftkitError('NOT_A_MEMBER', `${settings.self} is none of the members`)
    this.me = me ?? -1
    this.now = now
    this.since = now
    this.entered = now
    this.resendAt = now + settings.resend
    this.tree = new Branches(settings.digest, settings.founding)
    this.genesis = settings.members.genesis.hash
    this.journal = new Journal(checksumSeed(this.genesis, settings.group))
    const root = this.tree.get(this.genesis)
    if (root === undefined) throw new RaftkitError('INVALID_OPTION', 'the epoch does not begin with this founding')
    this.committed = root
  }

  /** Begins anew behind an entry that a quorum certified the state of: nothing before it is needed. */
  begin(tree: Branches, used: Used): void {
    this.tree = tree
    this.committed = tree.root
    this.used = used
    this.#usedAt.clear()
    // What was committed and not handed out yet is in that state.
    this.#committed = []
    this.isRestoring = true
    // Its certificate lies before the state, or was never seen.
    this.commit = undefined
    this.fetching = undefined
    this.since = this.now
    this.pool.sweep(used)
    this.tally.forget(tree.root.entry.header.index)
    this.journal.touch()
  }

  /** A copy that shares nothing that changes. */
  fork(): Server {
    const copy = new Server(this.settings, this.now)
    // What is never altered in place is shared; what is, is copied.
    Object.assign(copy, this)
    copy.tree = this.tree.fork()
    copy.used = this.used.fork()
    copy.#usedAt = new Map()
    copy.tally = this.tally.fork()
    copy.demands = new Map(this.demands)
    copy.suspicions = new Map(this.suspicions)
    copy.pool = this.pool.fork()
    copy.verified = new Set(this.verified)
    copy.helped = new Map(this.helped)
    copy.accusations = this.accusations.fork()
    copy.witnessed = new Map(this.witnessed)
    copy.kept = new Map(this.kept)
    copy.dumps = new Set(this.dumps)
    copy.testified = new Map(this.testified)
    copy.said = { ...this.said }
    copy.certified = { ...this.certified }
    copy.asking = this.asking.fork()
    copy.promises = this.promises.fork()
    copy.journal = this.journal.fork()
    copy.checkpoints = this.checkpoints.fork()
    copy.conduct = this.conduct.fork()
    copy.pace = this.pace.fork()
    copy.#messages = [...this.#messages]
    copy.#committed = [...this.#committed]
    copy.#happened = [...this.#happened]
    copy.#isDue = this.#isDue
    return copy
  }

  step(event: ServerEvent, now: number): void {
    this.now = now
    switch (event.type) {
      case 'message':
        receive(this, event.from, event.message)
        break
      case 'request':
        this.wall = Math.max(this.wall, event.time)
        if (event.isVerified) onRequests(this, [event.request])
        else receiveRequests(this, [event.request])
        break
      case 'configure':
        receiveConfiguration(this, event.item)
        break
      case 'time':
        onTime(this)
        break
      case 'durable':
        onDurable(this, event.write)
        break
      case 'signed':
        this.promises.sign(this, event.ask, event.signature)
        break
      case 'verified':
        onVerified(this, event.ask, event.valid)
        break
      case 'answered':
        onAnswered(this, event.ask, event.answer)
        break
    }
    if (this.isForked) return
    this.promises.count(this, this.journal.durable)
    wake(this)
    shun(this)
    propose(this)
  }

  take(now: number): ServerEffects {
    this.now = now
    const write = this.journal.write(this)
    this.promises.say(this, this.journal.issued)
    const messages = this.#messages
    const committed = this.isRestoring ? [] : this.#committed
    const happened = this.#happened
    this.#happened = []
    this.#messages = []
    if (!this.isRestoring) this.#committed = []
    // While nothing was due no time was told: what begins now is not overdue, or its host would take the rest for a stall.
    if (!this.#isDue) this.resendAt = now + this.settings.resend
    const deadline = nextDeadline(this)
    this.#isDue = deadline !== undefined
    return { write, messages, asks: this.asking.take(), committed, happened, deadline }
  }

  receive(from: NodeId, message: Message): void {
    receive(this, from, message)
  }

  verify(checks: readonly Check[], purpose: Purpose): void {
    this.asking.verify(checks, purpose)
  }

  isVerifying(phase: Phase, place: Place): boolean {
    return this.asking.isVerifying(phase, place)
  }

  /** Promises `what`: signed now, durable with the next write, said after that. */
  owe(what: Promised): void {
    if (this.isForked || this.me < 0) return
    this.promises.add(this.asking.sign(statementOf(this, what)), what)
    this.journal.touch()
  }

  /** The signature of that request was verified. */
  isSigned(item: Uint8Array): void {
    this.verified.add(itemHash(this.settings.digest, item))
    // Entries that come to nothing leave theirs behind: the oldest go, and would be verified once more.
    if (this.verified.size > mostVerified) for (const oldest of this.verified) return void this.verified.delete(oldest)
  }

  adopt(ballot: Ballot): void {
    if (ballot === this.ballot) return
    const wasIdle = !this.isBusy
    if (ballot.term !== this.ballot.term) {
      keepTerm(this)
      this.proof = undefined
      this.stated = undefined
      this.committing = undefined
      const { checkpoint } = this.said
      this.said = checkpoint === undefined ? {} : { checkpoint }
      this.promises.clear()
      this.pool.restock()
      this.pace.endTerm()
      this.entered = this.now
      this.isAggrieved = false
      this.since = this.now
    }
    this.ballot = ballot
    // Its leader has had no time yet.
    if (wasIdle) this.since = this.now
    this.journal.touch()
  }

  /** Into the tree and the journal, whatever branch it is on. */
  keep(entry: Entry): Node {
    const before = this.tree.get(this.hashOf(entry))
    if (before) return before
    const node = this.tree.add(entry)
    this.journal.add({ type: 'entry', key: node.hash, entry })
    return node
  }

  hashOf(entry: Entry): Hash {
    return this.tree.hashOf(entry)
  }

  /** Which numbers are used behind that entry, itself included; undefined: it uses one twice, or does not follow from what is committed. */
  usedAt(hash: Hash): Used | undefined {
    if (hash === this.committed.hash) return this.used
    const known = this.#usedAt.get(hash)
    if (known) return known.used
    const node = this.tree.get(hash)
    if (node === undefined || node.entry.header.index <= this.committed.entry.header.index) return undefined
    const used = this.usedAt(node.entry.header.parent)?.behind()
    if (!used?.take(node.entry)) return undefined
    this.#usedAt.set(hash, { index: node.entry.header.index, used })
    return used
  }

  advance(certificate: Certificate, nodes: readonly Node[]): void {
    if (this.isBusy) this.pace.committed(this.now - this.since)
    for (const node of nodes) {
      const used = this.usedAt(node.hash)
      if (used === undefined)
        throw new RaftkitError('INVARIANT', `${node.entry.header.index} was committed, and is not valid`)
      this.used.absorb(used)
      for (const item of node.entry.items) {
        const hash = itemHash(this.settings.digest, item)
        const request = requestIn(item)
        if (request !== undefined) this.pool.executed(hash, request, this.used, this.now)
        this.verified.delete(hash)
      }
      if (node.entry.header.kind === 'evidence') convict(this, node.entry)
      this.#committed.push(node.entry)
      this.committed = node
      this.tree.commit(node.hash)
      beginCheckpoint(this, node)
    }
    const { index } = this.committed.entry.header
    for (const [hash, ahead] of this.#usedAt) if (ahead.index <= index) this.#usedAt.delete(hash)
    this.commit = certificate
    if (certificate.epoch === this.members.epoch)
      this.lastCommitTerm = Math.max(this.lastCommitTerm, certificate.place.term)
    this.since = this.now
    if (!this.isAggrieved) this.suspicions.delete(this.me)
    this.tally.forget(certificate.place.index)
    // It proves itself, and the next write holds it: whoever crashes before that hears of it again.
    // The last: what is said from here on is of the next epoch.
    if (endsEpoch(this.committed.entry, this.members)) succeed(this, this.committed.entry, certificate)
  }

  tell(happening: ServerHappening): void {
    this.#happened.push(happening)
  }

  send(to: NodeId, message: Message, after = 0): void {
    this.#messages.push({ to, message, after })
  }

  broadcast(message: Message, after = 0): void {
    for (const [at, { id }] of this.members.list.entries())
      if (at !== this.me) this.#messages.push({ to: id, message, after })
  }

  /**
   * What entries of the current term must stand on; undefined: its leader has not shown it. What is committed and the anchor of a term lie on one
   * chain, or the term certifies nothing more (L2): so where the anchor is pruned, the oldest entry that is kept stands for it.
   */
  get anchor(): Hash | undefined {
    const { anchorPlace, tree } = this
    if (anchorPlace === undefined || tree.has(anchorPlace.hash)) return anchorPlace?.hash
    return anchorPlace.index <= tree.root.entry.header.index ? tree.root.hash : anchorPlace.hash
  }

  /** As the certificate of the term names it. */
  get anchorPlace(): { readonly index: Index; readonly hash: Hash } | undefined {
    const { genesis } = this.members
    return this.ballot.term === 0 ? genesis : this.proof && (this.proof.lock?.place ?? genesis)
  }

  /** The last entry it voted for in this term. Pruned: the oldest that is kept stands for it. */
  get tip(): Hash | undefined {
    const { tip } = this.ballot
    return this.tree.isBuried(tip) ? this.tree.root.hash : tip
  }

  get buried(): readonly Hash[] {
    return this.tree.buried
  }

  get isLeader(): boolean {
    return this.me >= 0 && this.members.leader(this.ballot.term) === this.settings.self
  }

  /** Something waits to be committed: a leader is due to do its work. */
  get isBusy(): boolean {
    const { tip, lock } = this.ballot
    const isOpen = (hash: Hash | undefined): boolean => {
      const node = hash === undefined ? undefined : this.tree.get(hash)
      return node !== undefined && node.entry.header.index > this.committed.entry.header.index
    }
    if (this.me < 0) return false
    return this.pool.size > 0 || this.pending !== undefined || isOpen(tip) || isOpen(lock?.hash)
  }

  /** It gave up on a term, or wants to, and nothing shows that enough others did. */
  get isUnsettled(): boolean {
    const { term, stated } = this.ballot
    return (this.suspicions.get(this.me)?.term ?? 0) > term || (stated !== undefined && this.newest?.term !== term)
  }
}
