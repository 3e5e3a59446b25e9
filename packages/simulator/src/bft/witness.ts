import {
  type Check,
  configurationChecks,
  type Digest,
  decodeRequest,
  type Entry,
  flawOfConfiguration,
  type Members,
  type Message,
  nextMembers,
  type Place,
  type Request,
  requestCheck,
  type Step,
  type Voter,
} from '@raftkit/bft'
import type { Index } from '@raftkit/contract'
import { Violation } from '../watcher.ts'
import { Chain } from './chain.ts'
import { type Durable, Era } from './era.ts'

export interface WitnessOptions {
  readonly members: Members
  readonly digest: Digest
  /** Whoever has that key lies, or will, or did. */
  readonly isLiar: (voter: Voter) => boolean
  /** Safety is void: a fork is looked for, and is no violation. */
  readonly isOver: boolean
  readonly isSigned: (check: Check) => boolean
  /** How many honest disks hold the entry. */
  readonly keepers: (hash: string) => number
}

/** Knows every word that any honest member ever said (`Era`, one for each epoch), what everybody executed, and how the epochs went. */
export class Witness {
  readonly #options: WitnessOptions
  readonly #chain: Chain
  /** By the entry that each begins with. */
  readonly #eras: Map<string, Era> = new Map()
  /** By seat: those that it came through. */
  readonly #through: Map<number, readonly Era[]> = new Map()
  /** Hashes by index, as the first honest member applied them. */
  readonly #agreed: string[] = []
  readonly #states: Map<Index, number> = new Map()
  readonly #roots: Map<Index, string> = new Map()
  readonly #executed: Map<string, number> = new Map()
  readonly #judged: Set<string> = new Set()
  /** Places where two honest members, or two certificates, part. */
  readonly forks: Set<string> = new Set()
  /** The first that any honest member came to of its number, and no later one is known. */
  newest: Era
  #checks = 0

  constructor(options: WitnessOptions) {
    this.#options = options
    this.#chain = new Chain(options.digest, options.members.genesis.hash)
    this.newest = this.#begin(options.members)
  }

  get checks(): number {
    return [...this.#eras.values()].reduce((sum, era) => sum + era.checks, this.#checks)
  }

  get height(): Index {
    return this.#agreed.length - 1
  }

  learn(entry: Entry): string {
    return this.#chain.learn(entry)
  }

  #begin(members: Members): Era {
    const { isLiar, isOver, keepers } = this.#options
    const liars = new Set([...members.list.keys()].filter((signer) => isLiar(members.list[signer]!)))
    if (!isOver && liars.size > members.faults)
      throw new Violation('plan', `${liars.size} of ${members.list.length} members lie in epoch ${members.epoch}`)
    const forked = (where: string): void => void this.forks.add(where)
    const era = new Era({ members, chain: this.#chain, liars, isOver, keepers, forked })
    this.#eras.set(members.genesis.hash, era)
    return era
  }

  /** An honest member has come behind these steps, each the end of an epoch. */
  entered(who: string, seat: number, steps: readonly Step[]): void {
    let era = this.#eras.get(this.#options.members.genesis.hash)!
    const through = [era]
    for (const { entry } of steps) {
      era = this.#eras.get(this.#chain.learn(entry)) ?? this.#next(who, era, entry)
      through.push(era)
    }
    this.#through.set(seat, through)
  }

  /** I16: one configuration ends an epoch; a quorum committed it, and its operators signed it. */
  #next(who: string, { members, commits }: Era, entry: Entry): Era {
    const { digest, isOver, isSigned } = this.#options
    const hash = this.#chain.learn(entry)
    this.#checks++
    const item = entry.items[0]!
    if (flawOfConfiguration(digest, members, item) || !configurationChecks(digest, members, item).every(isSigned))
      throw new Violation('I16', `${who} leaves epoch ${members.epoch} for one that no operators signed`)
    const next = nextMembers(digest, members, entry)
    const rival = [...this.#eras.values()].find((era) => era.members.epoch === next.epoch)
    if (rival) this.forks.add(`epoch ${next.epoch}`)
    if (rival && !isOver) throw new Violation('I16', `two configurations end epoch ${members.epoch}`, { rival, next })
    if (!isOver && !commits.some((place) => place.hash === hash))
      throw new Violation('I16', `${who} leaves epoch ${members.epoch} by a configuration that nobody committed`)
    const beside = commits.find((place) => !this.#chain.extends(place.hash, hash))
    if (beside && !isOver) throw new Violation('I9', `epoch ${next.epoch} begins beside what is committed`, beside)
    const era = this.#begin(next)
    if (next.epoch > this.newest.members.epoch) this.newest = era
    return era
  }

  /** Undefined: it has not come through an epoch of that number. */
  eraOf(seat: number, epoch: number): Era | undefined {
    return (
      this.#through.get(seat)?.[epoch] ?? (epoch === 0 ? this.#eras.get(this.#options.members.genesis.hash) : undefined)
    )
  }

  /** Leaves an honest member for the first time. `durable`: what it has on its disk by now. */
  said(seat: number, voter: Voter, message: Message, durable: Durable): void {
    if (message.type === 'checkpoint') this.#stated(message.checkpoint)
    const epoch = signedIn(message)
    if (epoch === undefined) return
    const era = this.eraOf(seat, epoch)
    const signer = era?.members.signer(voter.id, voter.key)
    if (era === undefined || signer === undefined)
      throw new Violation('I16', `${voter.id} signs in epoch ${epoch}, of which it is no member`, message)
    era.said(signer, message, durable)
  }

  /** Whatever anybody sends, honest or not. */
  saw(message: Message): void {
    if (message.type === 'appendEntries' || message.type === 'fetched')
      for (const entry of message.entries) this.learn(entry)
    if (message.type === 'epochs') for (const { entry } of message.steps) this.learn(entry)
  }

  #stated({ index, root }: { readonly index: Index; readonly root: string }): void {
    const before = this.#roots.get(index)
    if (before !== undefined && before !== root && !this.#options.isOver)
      throw new Violation('I17', `two honest members state different roots behind entry ${index}`)
    this.#roots.set(index, root)
  }

  /** An honest member votes in this term: what its leader showed (I8). */
  stands(seat: number, who: string, epoch: number, place: Place, anchor: string | undefined): void {
    this.eraOf(seat, epoch)?.stands(who, place, anchor)
  }

  /** An honest member applies. `height`: the index of the last entry it applied before. */
  applied(who: string, entry: Entry, height: Index): void {
    const { isOver } = this.#options
    const { index } = entry.header
    this.#checks++
    if (index !== height + 1) throw new Violation('I10', `${who} applies entry ${index} behind ${height}`)
    const hash = this.learn(entry)
    const first = this.#agreed[index] === undefined
    this.#agreed[index] ??= hash
    if (this.#agreed[index] !== hash) {
      this.forks.add(`applied ${index}`)
      if (!isOver) throw new Violation('I10', `${who} applies another entry ${index} than a member before it`)
      return
    }
    if (!first || isOver || entry.header.kind !== 'data') return
    for (const item of entry.items) this.#executes(decodeRequest(item), item, index)
  }

  /** A member's machine has applied everything up to that entry, or fetched the state behind it. */
  reached(who: string, index: Index, state: number): void {
    const first = this.#states.get(index)
    if (first === undefined) this.#states.set(index, state)
    else if (first !== state && !this.#options.isOver)
      throw new Violation('I17', `${who} has another state behind entry ${index} than a member before it`)
  }

  #executes(request: Request, item: Uint8Array, index: Index): void {
    const { digest, members, isSigned } = this.#options
    const claim = item.join()
    if (!this.#judged.has(claim)) {
      this.#judged.add(claim)
      if (!isSigned(requestCheck(digest, members.genesis.hash, request)))
        throw new Violation('I15', `entry ${index} holds a request that its client did not sign`)
    }
    for (const [at] of request.operations.entries()) {
      const name = `${request.client.join()} ${request.session} ${request.seq + at}`
      const before = this.#executed.get(name)
      if (before !== undefined) throw new Violation('I13', `an operation is executed at ${before} and at ${index}`)
      this.#executed.set(name, index)
    }
  }
}

/** Undefined: nothing in it is signed in the name of an epoch. */
function signedIn(message: Message): number | undefined {
  switch (message.type) {
    case 'vote':
    case 'appendEntries':
    case 'requestVote':
      return message.epoch
    case 'checkpoint':
      return message.checkpoint.epoch
    default:
      return undefined
  }
}
