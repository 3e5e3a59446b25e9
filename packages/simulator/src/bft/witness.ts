import {
  type Check,
  compareRank,
  type Digest,
  decodeRequest,
  type Entry,
  headerHash,
  type Members,
  type Message,
  type Phase,
  type Place,
  type Request,
  requestCheck,
} from '@raftkit/bft'
import type { Index, Term } from '@raftkit/contract'
import { Violation } from '../watcher.ts'

interface Word {
  readonly place: Place
  readonly signers: Set<number>
}

/** Of one honest member: what it promised, across all of its lives. */
interface Promised {
  readonly append: Map<string, Place>
  /** Its highest append vote of each term. */
  readonly tips: Map<Term, Place>
  readonly commits: Place[]
  asked: Term
}

/**
 * Knows every word that any honest member ever said, and what everybody executed. Liars are taken to have signed everything: a
 * certificate counts as soon as it *could* be put together, whether or not anybody did (bft-raft §3.8).
 */
export class Witness {
  readonly #members: Members
  readonly #digest: Digest
  readonly #isSigned: (check: Check) => boolean
  readonly #liars: ReadonlySet<number>
  /** Safety is void: a fork is looked for, and is no violation. */
  readonly #isOver: boolean
  readonly #entries: Map<string, Entry> = new Map()
  readonly #words: Map<string, Word> = new Map()
  readonly #promised: Map<number, Promised> = new Map()
  readonly #locks: Place[] = []
  readonly #commits: Place[] = []
  readonly #asked: Map<Term, { readonly signer: number; readonly lock: Place | undefined }[]> = new Map()
  /** Hashes by index, as the first honest member applied them. */
  readonly #agreed: string[] = []
  readonly #states: Map<Index, number> = new Map()
  readonly #roots: Map<Index, string> = new Map()
  readonly #executed: Map<string, number> = new Map()
  readonly #judged: Set<string> = new Set()
  /** Places where two honest members, or two certificates, part. */
  readonly forks: Set<string> = new Set()
  checks = 0

  constructor(
    members: Members,
    digest: Digest,
    liars: readonly number[],
    isOver: boolean,
    isSigned: (check: Check) => boolean,
  ) {
    this.#members = members
    this.#digest = digest
    this.#liars = new Set(liars)
    this.#isOver = isOver
    this.#isSigned = isSigned
  }

  learn(entry: Entry): string {
    const hash = headerHash(this.#digest, entry.header)
    if (!this.#entries.has(hash)) this.#entries.set(hash, entry)
    return hash
  }

  knows(hash: string): boolean {
    return this.#entries.has(hash)
  }

  get height(): Index {
    return this.#agreed.length - 1
  }

  /** Leaves a member for the first time, honest or not. `durable`: what an honest one has on its disk by now. */
  said(signer: number, message: Message, durable: { readonly term: Term; readonly lock: Place | undefined }): void {
    if (message.type === 'appendEntries' || message.type === 'fetched')
      for (const entry of message.entries) this.learn(entry)
    if (this.#liars.has(signer)) return
    switch (message.type) {
      case 'vote':
        return this.#voted(signer, message.phase, message.place, durable)
      case 'appendEntries': {
        const tip = message.entries.at(-1)!
        const hash = headerHash(this.#digest, tip.header)
        return this.#voted(signer, 'append', { term: message.term, index: tip.header.index, hash }, durable)
      }
      case 'checkpoint': {
        const { index, root } = message.checkpoint
        const before = this.#roots.get(index)
        if (before !== undefined && before !== root && !this.#isOver)
          throw new Violation('I17', `two honest members state different roots behind entry ${index}`)
        this.#roots.set(index, root)
        return
      }
      case 'requestVote':
        return this.#asks(signer, message.term, message.vote.lock, durable)
    }
  }

  #of(signer: number): Promised {
    const known = this.#promised.get(signer)
    if (known) return known
    const fresh: Promised = { append: new Map(), tips: new Map(), commits: [], asked: 0 }
    this.#promised.set(signer, fresh)
    return fresh
  }

  #voted(
    signer: number,
    phase: Phase,
    place: Place,
    durable: { readonly term: Term; readonly lock: Place | undefined },
  ): void {
    this.checks++
    const who = this.#members.list[signer]!.id
    const promised = this.#of(signer)
    const { term, index, hash } = place
    if (term < promised.asked)
      throw new Violation('I6', `${who} votes in term ${term}, which it gave up for ${promised.asked}`)
    if (durable.term < term)
      throw new Violation('I6', `${who} votes in term ${term}, and its disk says ${durable.term}`)
    const key = `${phase} ${term} ${index} ${hash}`
    const word = this.#words.get(key)
    if (word?.signers.has(signer)) return
    if (phase === 'append') {
      const slot = `${term} ${index}`
      const before = promised.append.get(slot)
      if (before && before.hash !== hash)
        throw new Violation('I1', `${who} votes twice for index ${index} in term ${term}`)
      promised.append.set(slot, place)
      const tip = promised.tips.get(term)
      if (tip && !this.#isChain(tip, place)) throw new Violation('I2', `${who} votes for two branches in term ${term}`)
      if (!tip || index > tip.index) promised.tips.set(term, place)
    } else {
      if (compareRank(durable.lock, place) < 0)
        throw new Violation('I5', `${who} gives a commit vote for ${index} in term ${term} above the lock on its disk`)
      promised.commits.push(place)
    }
    const said = word ?? { place, signers: new Set<number>() }
    this.#words.set(key, said)
    said.signers.add(signer)
    const due = this.#members.quorum - this.#liars.size
    if (said.signers.size !== Math.max(1, due)) return
    if (phase === 'append') this.#locked(place)
    else this.#committed(place)
  }

  #asks(
    signer: number,
    term: Term,
    lock: Place | undefined,
    durable: { readonly term: Term; readonly lock: Place | undefined },
  ): void {
    const who = this.#members.list[signer]!.id
    const promised = this.#of(signer)
    this.checks++
    if (durable.term < term)
      throw new Violation('I6', `${who} asks for term ${term}, and its disk says ${durable.term}`)
    for (const commit of promised.commits)
      if (commit.term < term && compareRank(lock, commit) < 0)
        throw new Violation('I7', `${who} states less in term ${term} than it gave a commit vote for`)
    promised.asked = Math.max(promised.asked, term)
    const votes = this.#asked.get(term) ?? []
    const before = votes.find((vote) => vote.signer === signer)
    if (before && (compareRank(before.lock, lock) !== 0 || before.lock?.hash !== lock?.hash))
      throw new Violation('I7', `${who} states two locks in term ${term}`)
    if (before) return
    votes.push({ signer, lock })
    this.#asked.set(term, votes)
    this.#anchored(term)
  }

  /** An append certificate can be put together. */
  #locked(place: Place): void {
    if (this.#isOver) return
    for (const other of this.#locks)
      if (other.term === place.term && !this.#isChain(other, place))
        throw new Violation('I3', `two append certificates of term ${place.term} are not on one branch`, {
          other,
          place,
        })
    for (const commit of this.#commits)
      if (compareRank(place, commit) >= 0 && !this.extends(commit.hash, place.hash))
        throw new Violation('I9', 'a later append certificate stands beside what is committed', { commit, place })
    this.#locks.push(place)
    this.#bodies(place)
  }

  #committed(place: Place): void {
    for (const other of this.#commits)
      if (!this.#isChain(other, place)) {
        this.forks.add(`certificates at ${Math.min(other.index, place.index)}`)
        if (!this.#isOver) throw new Violation('I9', 'two commit certificates are not on one branch', { other, place })
      }
    this.#commits.push(place)
    if (this.#isOver) return
    for (const lock of this.#locks)
      if (compareRank(lock, place) >= 0 && !this.extends(place.hash, lock.hash))
        throw new Violation('I9', 'a commit certificate stands beside a later append certificate', { lock, place })
    for (const term of this.#asked.keys()) if (term > place.term) this.#anchored(term)
  }

  /** I11: whatever certificate of that term can be put together binds to what is committed below it. */
  #anchored(term: Term): void {
    if (this.#isOver) return
    const honest = this.#asked.get(term) ?? []
    const due = Math.max(0, this.#members.quorum - this.#liars.size)
    const commit = this.#commits.reduce<Place | undefined>(
      (best, one) => (one.term < term && compareRank(one, best) > 0 ? one : best),
      undefined,
    )
    if (honest.length < due || commit === undefined) return
    this.checks++
    const inOrder = honest.map(({ lock }) => ({ lock })).sort((a, b) => compareRank(a.lock, b.lock))
    const least = inOrder[due - 1]?.lock
    const claims = this.#liars.size > 0 ? this.#locks.filter((lock) => lock.term < term) : []
    const candidates = [least, ...honest.map(({ lock }) => lock), ...claims]
    for (const anchor of candidates)
      if (compareRank(anchor, least) >= 0 && (anchor === undefined || !this.extends(commit.hash, anchor.hash)))
        throw new Violation('I11', `term ${term} may begin beside what is committed`, { anchor, commit })
  }

  #keepers: (hash: string) => number = () => Number.POSITIVE_INFINITY

  /** How many honest disks hold the entry. */
  countsDisks(keepers: (hash: string) => number): void {
    this.#keepers = keepers
  }

  /** I12, L4: what can be certified is on f + 1 honest disks, or on all that voted for it. */
  #bodies(place: Place): void {
    const honest = this.#members.quorum - this.#liars.size
    if (this.#keepers(place.hash) < honest)
      throw new Violation('I12', `entry ${place.index} can be certified, and lies on too few honest disks`, place)
  }

  /** An honest member applies. `height`: the index of the last entry it applied before. */
  applied(who: string, entry: Entry, height: Index): void {
    const { index } = entry.header
    this.checks++
    if (index !== height + 1) throw new Violation('I10', `${who} applies entry ${index} behind ${height}`)
    const hash = this.learn(entry)
    const first = this.#agreed[index] === undefined
    this.#agreed[index] ??= hash
    if (this.#agreed[index] !== hash) {
      this.forks.add(`applied ${index}`)
      if (!this.#isOver) throw new Violation('I10', `${who} applies another entry ${index} than a member before it`)
      return
    }
    if (!first || this.#isOver || entry.header.kind !== 'data') return
    for (const item of entry.items) this.#executes(decodeRequest(item), item, index)
  }

  /** A member's machine has applied everything up to that entry, or fetched the state behind it. */
  reached(who: string, index: Index, state: number): void {
    const first = this.#states.get(index)
    if (first === undefined) this.#states.set(index, state)
    else if (first !== state && !this.#isOver)
      throw new Violation('I17', `${who} has another state behind entry ${index} than a member before it`)
  }

  #executes(request: Request, item: Uint8Array, index: Index): void {
    const claim = item.join()
    if (!this.#judged.has(claim)) {
      this.#judged.add(claim)
      if (!this.#isSigned(requestCheck(this.#digest, this.#members.genesis.hash, request)))
        throw new Violation('I15', `entry ${index} holds a request that its client did not sign`)
    }
    for (const [at] of request.operations.entries()) {
      const name = `${request.client.join()} ${request.session} ${request.seq + at}`
      const before = this.#executed.get(name)
      if (before !== undefined) throw new Violation('I13', `an operation is executed at ${before} and at ${index}`)
      this.#executed.set(name, index)
    }
  }

  /** An honest member votes in this term: what its leader showed (I8). */
  stands(who: string, place: Place, anchor: string | undefined): void {
    if (place.term === 0 || this.#isOver) return
    this.checks++
    if (anchor === undefined || !this.extends(anchor, place.hash))
      throw new Violation('I8', `${who} votes in term ${place.term} for what does not stand on the anchor`)
  }

  extends(older: string, newer: string): boolean {
    if (older === newer) return true
    // Nothing stands before the genesis, and it is no entry that anybody sends.
    if (older === this.#members.genesis.hash) return true
    const least = this.#entries.get(older)?.header.index ?? Number.POSITIVE_INFINITY
    for (let at = this.#entries.get(newer); at && at.header.index > least; at = this.#entries.get(at.header.parent))
      if (at.header.parent === older) return true
    return false
  }

  #isChain(a: Place, b: Place): boolean {
    return a.index <= b.index ? this.extends(a.hash, b.hash) : this.extends(b.hash, a.hash)
  }
}
