import { compareRank, type Members, type Message, type Phase, type Place } from '@raftkit/bft'
import type { Term } from '@raftkit/contract'
import { Violation } from '../watcher.ts'
import type { Chain } from './chain.ts'

/** What a member has on its disk, as far as it binds what it says. */
export interface Durable {
  readonly epoch: number
  readonly term: Term
  readonly lock: Place | undefined
}

interface Word {
  readonly place: Place
  readonly signers: Set<number>
}

/** Of one honest member: what it promised in this epoch, across all of its lives. */
interface Promised {
  readonly append: Map<string, Place>
  /** Its highest append vote of each term. */
  readonly tips: Map<Term, Place>
  readonly commits: Place[]
  asked: Term
}

export interface EraOptions {
  readonly members: Members
  readonly chain: Chain
  /** Who lies, or ever did, by number: taken to have signed everything, also after they left. */
  readonly liars: ReadonlySet<number>
  /** Safety is void: a fork is looked for, and is no violation. */
  readonly isOver: boolean
  /** How many honest disks hold the entry. */
  readonly keepers: (hash: string) => number
  readonly forked: (where: string) => void
}

/**
 * One epoch: every word that any honest member said in it. Liars are taken to have signed everything: a certificate counts as soon as it *could*
 * be put together, whether or not anybody did (bft-raft §3.8).
 */
export class Era {
  readonly members: Members
  readonly #options: EraOptions
  readonly #words: Map<string, Word> = new Map()
  readonly #promised: Map<number, Promised> = new Map()
  readonly #locks: Place[] = []
  readonly #commits: Place[] = []
  readonly #asked: Map<Term, { readonly signer: number; readonly lock: Place | undefined }[]> = new Map()
  checks = 0

  constructor(options: EraOptions) {
    this.#options = options
    this.members = options.members
  }

  get commits(): readonly Place[] {
    return this.#commits
  }

  /** Leaves an honest member of the epoch for the first time. `durable`: what it has on its disk by now. */
  said(signer: number, message: Message, durable: Durable): void {
    switch (message.type) {
      case 'vote':
        return this.#voted(signer, message.phase, message.place, durable)
      case 'appendEntries': {
        const hash = this.#options.chain.learn(message.entries.at(-1)!)
        const { index } = message.entries.at(-1)!.header
        return this.#voted(signer, 'append', { term: message.term, index, hash }, durable)
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

  /** Whether that is on the disk: whoever has come to a later epoch promised more than any word of this one. */
  #holds({ epoch, term }: Durable, said: Term): boolean {
    return epoch > this.members.epoch || (epoch === this.members.epoch && term >= said)
  }

  #voted(signer: number, phase: Phase, place: Place, durable: Durable): void {
    this.checks++
    const { chain } = this.#options
    const { epoch, genesis, list } = this.members
    const who = list[signer]!.id
    const promised = this.#of(signer)
    const { term, index, hash } = place
    if (term < promised.asked)
      throw new Violation('I6', `${who} votes in term ${term}, which it gave up for ${promised.asked}`)
    if (!this.#holds(durable, term))
      throw new Violation('I6', `${who} votes in term ${term}, and its disk says ${durable.term}`)
    const key = `${phase} ${term} ${index} ${hash}`
    const word = this.#words.get(key)
    if (word?.signers.has(signer)) return
    const ends = chain.configurationBelow(hash, genesis.index)
    if (ends !== undefined || index <= genesis.index)
      throw new Violation('I16', `${who} votes in epoch ${epoch} for entry ${index}, which is of another`)
    if (phase === 'append') {
      const slot = `${term} ${index}`
      const before = promised.append.get(slot)
      if (before && before.hash !== hash)
        throw new Violation('I1', `${who} votes twice for index ${index} in term ${term}`)
      promised.append.set(slot, place)
      const tip = promised.tips.get(term)
      if (tip && !chain.isOne(tip, place)) throw new Violation('I2', `${who} votes for two branches in term ${term}`)
      if (!tip || index > tip.index) promised.tips.set(term, place)
    } else {
      if (durable.epoch === epoch && compareRank(durable.lock, place) < 0)
        throw new Violation('I5', `${who} gives a commit vote for ${index} in term ${term} above the lock on its disk`)
      promised.commits.push(place)
    }
    const said = word ?? { place, signers: new Set<number>() }
    this.#words.set(key, said)
    said.signers.add(signer)
    const due = this.members.quorum - this.#options.liars.size
    if (said.signers.size !== Math.max(1, due)) return
    if (phase === 'append') this.#locked(place)
    else this.#committed(place)
  }

  #asks(signer: number, term: Term, lock: Place | undefined, durable: Durable): void {
    const who = this.members.list[signer]!.id
    const promised = this.#of(signer)
    this.checks++
    if (!this.#holds(durable, term))
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
    const { isOver, chain } = this.#options
    if (isOver) return
    for (const other of this.#locks)
      if (other.term === place.term && !chain.isOne(other, place))
        throw new Violation('I3', `two append certificates of term ${place.term} are not on one branch`, {
          other,
          place,
        })
    for (const commit of this.#commits)
      if (compareRank(place, commit) >= 0 && !chain.extends(commit.hash, place.hash))
        throw new Violation('I9', 'a later append certificate stands beside what is committed', { commit, place })
    this.#locks.push(place)
    this.#bodies(place)
  }

  #committed(place: Place): void {
    const { isOver, chain } = this.#options
    for (const other of this.#commits)
      if (!chain.isOne(other, place)) {
        this.#options.forked(`certificates at ${Math.min(other.index, place.index)}`)
        if (!isOver) throw new Violation('I9', 'two commit certificates are not on one branch', { other, place })
      }
    this.#commits.push(place)
    if (isOver) return
    for (const lock of this.#locks)
      if (compareRank(lock, place) >= 0 && !chain.extends(place.hash, lock.hash))
        throw new Violation('I9', 'a commit certificate stands beside a later append certificate', { lock, place })
    for (const term of this.#asked.keys()) if (term > place.term) this.#anchored(term)
  }

  /** I11: whatever certificate of that term can be put together binds to what is committed below it. */
  #anchored(term: Term): void {
    const { isOver, chain, liars } = this.#options
    if (isOver) return
    const honest = this.#asked.get(term) ?? []
    const due = Math.max(0, this.members.quorum - liars.size)
    const commit = this.#commits.reduce<Place | undefined>(
      (best, one) => (one.term < term && compareRank(one, best) > 0 ? one : best),
      undefined,
    )
    if (honest.length < due || commit === undefined) return
    this.checks++
    const inOrder = honest.map(({ lock }) => ({ lock })).sort((a, b) => compareRank(a.lock, b.lock))
    const least = inOrder[due - 1]?.lock
    const claims = liars.size > 0 ? this.#locks.filter((lock) => lock.term < term) : []
    const candidates = [least, ...honest.map(({ lock }) => lock), ...claims]
    for (const anchor of candidates)
      if (compareRank(anchor, least) >= 0 && (anchor === undefined || !chain.extends(commit.hash, anchor.hash)))
        throw new Violation('I11', `term ${term} may begin beside what is committed`, { anchor, commit })
  }

  /** I12, L4: what can be certified is on f + 1 honest disks, or on all that voted for it. */
  #bodies(place: Place): void {
    const honest = this.members.quorum - this.#options.liars.size
    if (this.#options.keepers(place.hash) < honest)
      throw new Violation('I12', `entry ${place.index} can be certified, and lies on too few honest disks`, place)
  }

  /** An honest member votes in this term: what its leader showed (I8). */
  stands(who: string, place: Place, anchor: string | undefined): void {
    const { isOver, chain } = this.#options
    if (place.term === 0 || isOver) return
    this.checks++
    if (anchor === undefined || !chain.extends(anchor, place.hash))
      throw new Violation('I8', `${who} votes in term ${place.term} for what does not stand on the anchor`)
  }
}
