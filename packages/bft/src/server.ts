import { checksumSeed, encodeRecords, recordKind, Writer } from '@raftkit/bytes'
import { type GroupId, type LogWrite, type NodeId, RaftkitError, type Term } from '@raftkit/contract'
import { type AppendEntries, admitAppend, onAppendEntries } from './appending.ts'
import { Branches, type Node } from './branches.ts'
import type { Certificate, TermCertificate, TermVote } from './certificate.ts'
import { type Entry, writeEntry } from './entry.ts'
import { answerFetch, type Fetching, onFetched, wake } from './fetching.ts'
import { type Digest, type Hash, hashOf } from './hash.ts'
import type { Members } from './members.ts'
import type { Message } from './messages.ts'
import { admitRequest, onRequests, type Pooled, propose } from './proposing.ts'
import { type Ballot, firstBallot, mayCommit } from './rules.ts'
import { encodeState, type State } from './state.ts'
import { type Check, type Phase, type Place, termVoteStatement, voteStatement } from './statement.ts'
import { type Tallied, Tally } from './tally.ts'
import {
  admitRequestVote,
  admitTermCertificate,
  nextDeadline,
  onPreVote,
  onRequestVote,
  onTermCertificate,
  onTime,
} from './terms.ts'
import { Used } from './used.ts'
import { admitCertificate, count, onCertificate, onVote } from './voting.ts'

export interface Settings {
  readonly digest: Digest
  readonly self: NodeId
  readonly members: Members
  readonly founding: Entry
  readonly group: GroupId
  /** Milliseconds without progress after which a member suspects the leader of a term; doubles with each term that commits nothing. */
  readonly timeout: number
  readonly longestTimeout: number
  /** After this long, what may have been lost is said again. */
  readonly resend: number
  /** Entries that the leader proposes beyond what is committed. */
  readonly window: number
  readonly batchBytes: number
}

export type ServerEvent =
  | { readonly type: 'message'; readonly from: NodeId; readonly message: Message }
  /** A client's, as encoded. `time`: milliseconds since the epoch, by the clock of this host. */
  | { readonly type: 'request'; readonly request: Uint8Array; readonly time: number }
  | { readonly type: 'time' }
  | { readonly type: 'durable'; readonly write: number }
  | { readonly type: 'signed'; readonly ask: number; readonly signature: Uint8Array }
  | { readonly type: 'verified'; readonly ask: number; readonly valid: readonly boolean[] }

export type ServerAsk =
  | { readonly type: 'sign'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'verify'; readonly id: number; readonly checks: readonly Check[] }

export interface ServerEffects {
  readonly write: { readonly id: number; readonly change: LogWrite } | undefined
  /** Leaves once the write `after` is durable. */
  readonly messages: readonly { readonly to: NodeId; readonly message: Message; readonly after: number }[]
  readonly asks: readonly ServerAsk[]
  /** To apply, in order. */
  readonly committed: readonly Entry[]
  readonly deadline: number | undefined
}

/** A signature this member owes: the promise is in the next write, and leaves when that is durable. */
interface Owed {
  readonly ask: number
  readonly what:
    | { readonly type: 'vote'; readonly phase: Phase; readonly place: Place }
    | { readonly type: 'lead'; readonly place: Place; readonly entries: readonly Entry[] }
    | { readonly type: 'term'; readonly term: Term; readonly lock: Certificate | undefined }
  write: number | undefined
  signature: Uint8Array | undefined
  isSent: boolean
  isCounted: boolean
}

/** What waits for its signatures to be verified. */
type Purpose =
  | { readonly type: 'message'; readonly from: NodeId; readonly message: Message }
  | { readonly type: 'requests'; readonly requests: readonly Uint8Array[] }
  | { readonly type: 'tally'; readonly votes: readonly Tallied[] }

/** Messages of one sender whose signatures are being verified. */
const mostParked = 64

/**
 * One member: its state, and where each event goes. What it may vote for, `rules` says; the files named for the parts of the protocol decide
 * what to do about it.
 */
export class Server {
  readonly settings: Settings
  readonly members: Members
  /** Its place among the members. */
  readonly me: number
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
  proof: TermCertificate | undefined
  commit: Certificate | undefined

  tree: Branches
  committed: Node
  used: Used = new Used()
  tally: Tally = new Tally()
  /** The newest term vote of each member, verified. */
  readonly demands: Map<
    number,
    { readonly term: Term; readonly vote: TermVote; readonly lock: Certificate | undefined }
  > = new Map()
  /** The newest term that each member wants since the last commit. */
  readonly suspicions: Map<number, Term> = new Map()
  /** The newest proof that a term was entered, for whoever is behind. */
  newest: TermCertificate | undefined
  /** Requests of clients, verified, by the hash of their bytes; the oldest first. */
  readonly pool: Map<Hash, Pooled> = new Map()
  /** Hashes of requests whose signature was verified. */
  readonly verified: Set<Hash> = new Set()
  /** What was said last, to be said again. */
  said: { append?: Message; commit?: Message; term?: Message } = {}
  /** The highest place a commit vote was given for in this term. */
  committing: Place | undefined
  /** Waits for an entry that is being fetched. */
  waiting: { readonly from: NodeId; readonly message: AppendEntries } | undefined
  certified: { append?: Certificate; commit?: Certificate } = {}
  fetching: Fetching | undefined
  /** Until when a peer that is behind has had its help. */
  readonly helped: Map<NodeId, number> = new Map()
  /** Since when nothing was committed that could have been. */
  since: number
  resendAt: number
  lastCommitTerm: Term = 0

  owed: Owed[] = []
  #dirty = true
  #lines: Entry[] = []
  #nextLine = 1
  #issued = 0
  #durable = 0
  #asked = 0
  readonly #purposes: Map<number, Purpose> = new Map()
  #messages: { to: NodeId; message: Message; after: number }[] = []
  #asks: ServerAsk[] = []
  #committed: Entry[] = []

  constructor(settings: Settings, now: number) {
    this.settings = settings
    this.members = settings.members
    const me = settings.members.signer(settings.self)
    if (me === undefined) throw new RaftkitError('NOT_A_MEMBER', `${settings.self} is none of the members`)
    this.me = me
    this.now = now
    this.since = now
    this.resendAt = now + settings.resend
    this.tree = new Branches(settings.digest, settings.founding)
    this.genesis = settings.members.genesis.hash
    const root = this.tree.get(this.genesis)
    if (root === undefined) throw new RaftkitError('INVALID_OPTION', 'the epoch does not begin with this founding')
    this.committed = root
  }

  /** Goes on from what the disk holds: the journal's entries in order, and the promises. Says again what may not have been heard. */
  resume(state: State, entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (!this.tree.has(entry.header.parent)) throw damaged('an entry of the journal has no parent')
      this.tree.add(entry)
    }
    this.#nextLine += entries.length
    const { ballot, lock, stated, proof, commit } = state
    const needed = [ballot.tip, commit?.place.hash]
    if (needed.some((hash) => hash !== undefined && !this.tree.has(hash)))
      throw damaged('the journal lacks an entry that the state names')
    this.ballot = ballot
    this.lock = lock
    this.stated = stated
    this.proof = proof
    this.newest = proof
    // What it voted for it had checked.
    if (ballot.tip !== undefined) this.tree.validate(ballot.tip)
    if (commit !== undefined) {
      this.tree.validate(commit.place.hash)
      this.advance(commit, this.tree.between(this.committed.hash, commit.place.hash) ?? [])
    }
    if (lock !== undefined && this.tree.has(lock.place.hash)) this.tree.validate(lock.place.hash)
    this.#repeat()
  }

  /** The votes of the last life, word for word: whoever has them already sees nothing new. */
  #repeat(): void {
    const { term, tip, stated } = this.ballot
    if (stated !== undefined && this.proof === undefined) this.owe({ type: 'term', term, lock: this.stated })
    const open = tip === undefined ? undefined : this.tree.between(this.committed.hash, tip)
    const last = open?.at(-1)
    if (open === undefined || last === undefined) return
    const place = { term, index: last.entry.header.index, hash: last.hash }
    if (this.isLeader) this.owe({ type: 'lead', place, entries: open.map(({ entry }) => entry) })
    else this.owe({ type: 'vote', phase: 'append', place })
    if (this.lock === undefined || !mayCommit(this.ballot, this.lock.place)) return
    this.committing = this.lock.place
    this.owe({ type: 'vote', phase: 'commit', place: this.lock.place })
  }

  step(event: ServerEvent, now: number): void {
    this.now = now
    switch (event.type) {
      case 'message':
        this.receive(event.from, event.message)
        break
      case 'request':
        this.wall = Math.max(this.wall, event.time)
        this.#admitRequests([event.request])
        break
      case 'time':
        onTime(this)
        break
      case 'durable':
        this.#durable = Math.max(this.#durable, event.write)
        break
      case 'signed':
        for (const owed of this.owed) if (owed.ask === event.ask) owed.signature = event.signature
        break
      case 'verified':
        this.#onVerified(event.ask, event.valid)
        break
    }
    this.#countOwn()
  }

  take(now: number): ServerEffects {
    this.now = now
    const write = this.#write()
    for (const owed of this.owed) {
      owed.write ??= this.#issued
      if (owed.signature !== undefined && !owed.isSent) this.#say(owed, owed.signature, owed.write)
    }
    const effects = {
      write,
      messages: this.#messages,
      asks: this.#asks,
      committed: this.#committed,
      deadline: nextDeadline(this),
    }
    this.#messages = []
    this.#asks = []
    this.#committed = []
    return effects
  }

  /** First what costs nothing, then the signatures, then the effect: an unproved message changes nothing. */
  receive(from: NodeId, message: Message): void {
    const sender = this.members.signer(from)
    if (sender === undefined || sender === this.me) return
    if (message.type === 'forward') return this.#admitRequests(message.requests)
    const checks = this.#admit(sender, from, message)
    if (checks === undefined) return
    if (checks.length === 0) return this.#handle(sender, from, message)
    let parked = 0
    for (const purpose of this.#purposes.values()) if (purpose.type === 'message' && purpose.from === from) parked++
    if (parked < mostParked) this.verify(checks, { type: 'message', from, message })
  }

  verify(checks: readonly Check[], purpose: Purpose): void {
    this.#purposes.set(++this.#asked, purpose)
    this.#asks.push({ type: 'verify', id: this.#asked, checks })
  }

  isVerifying(phase: Phase, place: Place): boolean {
    for (const purpose of this.#purposes.values()) {
      if (purpose.type !== 'tally') continue
      const [vote] = purpose.votes
      if (vote?.phase === phase && vote.place.term === place.term && vote.place.hash === place.hash) return true
    }
    return false
  }

  /** Promises `what`: signed now, durable with the next write, said after that. */
  owe(what: Owed['what']): void {
    const { domain } = this.members
    const bytes =
      what.type === 'term'
        ? termVoteStatement(domain, what.term, what.lock?.place)
        : voteStatement(domain, what.type === 'lead' ? 'append' : what.phase, what.place)
    const ask = ++this.#asked
    this.#asks.push({ type: 'sign', id: ask, bytes })
    this.owed.push({ ask, what, write: undefined, signature: undefined, isSent: false, isCounted: false })
    this.#dirty = true
  }

  adopt(ballot: Ballot): void {
    if (ballot === this.ballot) return
    if (ballot.term !== this.ballot.term) {
      this.proof = undefined
      this.stated = undefined
      this.committing = undefined
      this.said = {}
      this.owed = []
      this.since = this.now
    }
    this.ballot = ballot
    this.#dirty = true
  }

  /** Into the tree and the journal, whatever branch it is on. */
  keep(entry: Entry): Node {
    const before = this.tree.get(this.hashOf(entry))
    if (before) return before
    this.#lines.push(entry)
    return this.tree.add(entry)
  }

  hashOf(entry: Entry): Hash {
    return this.tree.hashOf(entry)
  }

  advance(certificate: Certificate, nodes: readonly Node[]): void {
    for (const node of nodes) {
      this.used.useAll(node.entry)
      for (const item of node.entry.items) {
        const hash = this.itemHash(item)
        this.pool.delete(hash)
        this.verified.delete(hash)
      }
      this.#committed.push(node.entry)
      this.committed = node
    }
    this.commit = certificate
    this.lastCommitTerm = Math.max(this.lastCommitTerm, certificate.place.term)
    this.since = this.now
    this.suspicions.clear()
    this.tally.forget(certificate.place.index)
    this.#dirty = true
  }

  send(to: NodeId, message: Message): void {
    this.#messages.push({ to, message, after: 0 })
  }

  broadcast(message: Message, after = 0): void {
    for (const [at, { id }] of this.members.list.entries())
      if (at !== this.me) this.#messages.push({ to: id, message, after })
  }

  /** What is promised by now is durable with this write. */
  get promised(): number {
    return this.#issued
  }

  /** What entries of the current term must stand on; undefined: its leader has not shown it. */
  get anchor(): Hash | undefined {
    if (this.ballot.term === 0) return this.members.genesis.hash
    return this.proof && (this.proof.lock?.place.hash ?? this.members.genesis.hash)
  }

  get isLeader(): boolean {
    return this.members.leader(this.ballot.term) === this.settings.self
  }

  /** Something waits to be committed: a leader is due to do its work. */
  get isBusy(): boolean {
    const { tip, lock } = this.ballot
    const isOpen = (hash: Hash | undefined): boolean => {
      const node = hash === undefined ? undefined : this.tree.get(hash)
      return node !== undefined && node.entry.header.index > this.committed.entry.header.index
    }
    return this.pool.size > 0 || isOpen(tip) || isOpen(lock?.hash)
  }

  /** It gave up on a term, or wants to, and nothing shows that enough others did. */
  get isUnsettled(): boolean {
    const { term, stated } = this.ballot
    return (this.suspicions.get(this.me) ?? 0) > term || (stated !== undefined && this.newest?.term !== term)
  }

  itemHash(item: Uint8Array): Hash {
    return hashOf(this.settings.digest, 'raftkit item 1', item)
  }

  /** Undefined: not to be handled. Else what must be verified first. */
  #admit(sender: number, from: NodeId, message: Message): Check[] | undefined {
    switch (message.type) {
      case 'appendEntries':
        return admitAppend(this, from, message)
      case 'requestVote':
        return admitRequestVote(this, sender, from, message)
      case 'certified':
        return admitCertificate(this, message.certificate)
      case 'termCertified':
        return admitTermCertificate(this, message.certificate)
      default:
        return []
    }
  }

  #handle(sender: number, from: NodeId, message: Message): void {
    switch (message.type) {
      case 'appendEntries':
        return onAppendEntries(this, from, message)
      case 'vote':
        return onVote(this, sender, from, message)
      case 'preVote':
        return onPreVote(this, sender, from, message)
      case 'requestVote':
        return onRequestVote(this, sender, message)
      case 'certified':
        return onCertificate(this, message.certificate, sender)
      case 'termCertified':
        return onTermCertificate(this, message.certificate)
      case 'fetch':
        return answerFetch(this, from, message)
      case 'fetched':
        return onFetched(this, sender, message)
    }
  }

  #admitRequests(requests: readonly Uint8Array[]): void {
    const admitted = requests.flatMap((bytes) => admitRequest(this, bytes) ?? [])
    if (admitted.length === 0) return
    const checks = admitted.map(({ check }) => check)
    this.verify(checks, { type: 'requests', requests: admitted.map(({ bytes }) => bytes) })
  }

  #onVerified(ask: number, valid: readonly boolean[]): void {
    const purpose = this.#purposes.get(ask)
    this.#purposes.delete(ask)
    switch (purpose?.type) {
      case 'requests':
        onRequests(
          this,
          purpose.requests.filter((_, at) => valid[at]),
        )
        break
      case 'tally':
        for (const [at, vote] of purpose.votes.entries()) this.tally.judge(vote, valid[at] === true)
        if (purpose.votes[0]) count(this, purpose.votes[0].phase, purpose.votes[0].place)
        break
      case 'message': {
        const { from, message } = purpose
        const sender = this.members.signer(from)
        if (!valid.every(Boolean) || sender === undefined) break
        if (message.type === 'appendEntries')
          for (const { items } of message.entries) for (const item of items) this.verified.add(this.itemHash(item))
        // Time has passed: what was news may be none now.
        if (this.#admit(sender, from, message) !== undefined) this.#handle(sender, from, message)
        break
      }
    }
  }

  #say(owed: Owed, signature: Uint8Array, write: number): void {
    owed.isSent = true
    const { what } = owed
    const { epoch } = this.members
    if (what.type === 'term') {
      const vote = { signer: this.me, lock: what.lock?.place, signature }
      this.said.term = { type: 'requestVote', epoch, term: what.term, vote, lock: what.lock }
      this.broadcast(this.said.term, write)
    } else if (what.type === 'lead') {
      const { term } = what.place
      const isFirst = this.said.append === undefined
      const message: Message = {
        type: 'appendEntries',
        epoch,
        term,
        entries: what.entries,
        signature,
        proof: this.proof,
      }
      this.said.append = message
      this.broadcast(isFirst ? message : { ...message, proof: undefined }, write)
    } else {
      const message: Message = { type: 'vote', epoch, phase: what.phase, place: what.place, signature }
      this.said[what.phase] = message
      this.broadcast(message, write)
    }
  }

  /** Its own word counts once it is durable (design rule 1), like anybody's. */
  #countOwn(): void {
    for (const owed of this.owed) {
      const { what, write, signature } = owed
      if (owed.isCounted || !owed.isSent || signature === undefined || write === undefined || write > this.#durable)
        continue
      owed.isCounted = true
      if (what.type === 'term') {
        const vote = { signer: this.me, lock: what.lock?.place, signature }
        onRequestVote(this, this.me, { term: what.term, vote, lock: what.lock })
      } else {
        const phase = what.type === 'lead' ? 'append' : what.phase
        this.tally.record({ signer: this.me, phase, place: what.place, signature, isVerified: true })
        count(this, phase, what.place)
      }
    }
    this.owed = this.owed.filter(({ isCounted }) => !isCounted)
    wake(this)
    propose(this)
  }

  /** One atomic write: the new lines of the journal, and all that was promised. */
  #write(): ServerEffects['write'] {
    if (!this.#dirty && this.#lines.length === 0) return undefined
    const at = this.#nextLine
    const records = this.#lines.map((entry, line) => ({
      kind: recordKind.command,
      index: at + line,
      term: entry.header.term,
      time: entry.header.time,
      seed: 0,
      payload: writeEntry(new Writer(1024), entry).finish(),
    }))
    this.#nextLine += records.length
    this.#lines = []
    this.#dirty = false
    const state = encodeState(this)
    const tail = {
      at,
      run: { count: records.length, bytes: encodeRecords(records, checksumSeed(this.genesis, this.settings.group)) },
    }
    return { id: ++this.#issued, change: records.length > 0 ? { tail, state } : { state } }
  }
}

const damaged = (what: string): RaftkitError =>
  new RaftkitError('DAMAGED', `${what}: a member that lost votes must not vote under its key again; give it a new one`)
