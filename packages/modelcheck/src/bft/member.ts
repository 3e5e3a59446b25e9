import { type Ballot, compareRank, firstBallot, type Place } from '@raftkit/bft'
import { PairTable } from '../explore/memo.ts'
import { Violation } from '../explore/model.ts'
import type { Claims } from './claims.ts'
import type { Setting } from './setting.ts'

/** What an honest member has promised, and every vote that it ever signed. */
export interface Member {
  /** The entry that its epoch begins with; -1: it is no member yet. */
  readonly era: number
  readonly ballot: Ballot
  /** Bits of claims. */
  readonly appended: number
  readonly committed: number
  /** Term votes, in order. */
  readonly asked: readonly { readonly era: number; readonly term: number; readonly lock: number }[]
}

/** What an honest member is made to do. */
export type Deed =
  | { readonly type: 'append'; readonly term: number; readonly anchor: number; readonly entry: number }
  | { readonly type: 'certified'; readonly claim: number }
  | { readonly type: 'ask'; readonly term: number }
  | { readonly type: 'begin'; readonly era: number }

/** All states that an honest member can be in, numbered; what it does is what the protocol's rules say, and is asked of them once. */
export class Members {
  readonly all: Member[] = []
  /** By number: claims that its signatures stand for, and, by epoch and term, locks of its term votes. */
  readonly appended: number[] = []
  readonly committed: number[] = []
  readonly asked: number[][] = []
  readonly deeds: readonly Deed[]
  /** Numbers of the deeds, by what they need. */
  readonly appends: readonly {
    readonly at: number
    readonly era: number
    readonly term: number
    readonly anchor: number
  }[]
  /** Epoch and term of each word of `asked`. */
  readonly turns: readonly { readonly era: number; readonly term: number }[]
  readonly #setting: Setting
  readonly #claims: Claims
  readonly #numbers: Map<string, number> = new Map()
  readonly #steps = new PairTable()

  constructor(setting: Setting, claims: Claims) {
    this.#setting = setting
    this.#claims = claims
    const { entries, terms } = setting
    this.turns = claims.eras().flatMap((era) => terms.map((term) => ({ era, term })))
    const deeds: Deed[] = [...claims.list.keys()].map((claim) => ({ type: 'certified', claim }))
    for (const era of claims.eras()) if (era > 0) deeds.push({ type: 'begin', era })
    for (const term of terms.slice(1)) deeds.push({ type: 'ask', term })
    const appends = []
    for (const { era, term } of this.turns)
      for (const anchor of entries.list.keys())
        for (const [entry, known] of entries.list.entries()) {
          if (entry === 0 || known.era !== era) continue
          appends.push({ at: deeds.length, era, term: terms.indexOf(term), anchor })
          deeds.push({ type: 'append', term, anchor, entry })
        }
    this.appends = appends
    this.deeds = deeds
  }

  first(who: number): number {
    const isFounder = this.#claims.votesIn(0, who)
    return this.#number({ era: isFounder ? 0 : -1, ballot: firstBallot, appended: 0, committed: 0, asked: [] })
  }

  /** The state after a deed; the same if the rules let nothing of it happen. Throws `Violation`. */
  after(state: number, deed: number): number {
    const known = this.#steps.get(state, deed)
    if (known >= 0) return known
    const next = this.#number(this.#after(this.all[state]!, this.deeds[deed]!))
    this.#steps.set(state, deed, next)
    return next
  }

  #after(member: Member, deed: Deed): Member {
    const { rules, entries } = this.#setting
    const { list } = this.#claims
    const { era, ballot } = member
    switch (deed.type) {
      case 'append': {
        const { term, anchor, entry } = deed
        const { hash, isLegal } = entries.list[entry]!
        const entered = term > ballot.term ? rules.enterTerm(ballot, term) : ballot
        if (!isLegal || !rules.mayAppend(entered, term, hash, entries.list[anchor]!.hash, entries))
          return { ...member, ballot: entered }
        const claim = this.#claims.at({ term, index: 0, hash })
        this.#voted(member, term, entered)
        if (!entries.has(anchor, entry))
          this.#broken('I8: a term goes on from what its certificate shows', 'it does not')
        return { ...member, ballot: rules.append(entered, hash), appended: member.appended | (1 << claim) }
      }
      case 'certified': {
        const { term, index, hash } = list[deed.claim]!
        const place: Place = { term, index, hash }
        const locked = rules.lockOn(ballot, place)
        if (compareRank(locked.lock, ballot.lock) < 0) this.#broken('I4: locks only rise', 'one fell')
        if (!rules.mayCommit(locked, place)) return { ...member, ballot: locked }
        this.#voted(member, term, locked)
        return { ...member, ballot: locked, committed: member.committed | (1 << deed.claim) }
      }
      case 'ask': {
        const { term } = deed
        if (term <= ballot.term) return member
        const asking = rules.askForTerm(ballot, term)
        const stated = asking.stated === 'none' || asking.stated === undefined ? undefined : asking.stated
        const lock = stated === undefined ? -1 : this.#claims.at(stated)
        return { ...member, ballot: asking, asked: [...member.asked, { era, term, lock }] }
      }
      case 'begin':
        return { ...member, era: deed.era, ballot: firstBallot }
    }
  }

  /** The same state with other entries in it. */
  renamed(state: number, image: readonly number[]): number {
    const { entries } = this.#setting
    const { list } = this.#claims
    const { era, ballot, appended, committed, asked } = this.all[state]!
    const name = (at: number): number => (at < 0 ? at : image[at]!)
    const hash = (of: string): string => entries.list[image[entries.at(of)]!]!.hash
    const claim = (at: number): number => (at < 0 ? at : this.#claims.at({ ...list[at]!, hash: hash(list[at]!.hash) }))
    const claims = (bits: number): number => {
      let all = 0
      for (let at = 0; at < list.length; at++) if ((bits & (1 << at)) !== 0) all |= 1 << claim(at)
      return all
    }
    const place = (of: Place | undefined): Place | undefined => of && { ...of, hash: hash(of.hash) }
    const { term, tip, lock, stated } = ballot
    return this.#number({
      era: name(era),
      ballot: {
        ...{ term, tip: tip === undefined ? undefined : hash(tip), lock: place(lock) },
        stated: stated === 'none' ? stated : place(stated),
      },
      appended: claims(appended),
      committed: claims(committed),
      asked: asked.map((vote) => ({ era: name(vote.era), term: vote.term, lock: claim(vote.lock) })),
    })
  }

  #number(member: Member): number {
    const { era, ballot, appended, committed, asked } = member
    const { term, tip, lock, stated } = ballot
    const place = (of: Place | undefined): string => (of === undefined ? '-' : String(this.#claims.at(of)))
    const key = [
      ...[era, term, tip === undefined ? '-' : this.#setting.entries.at(tip), place(lock)],
      ...[stated === 'none' ? 'none' : place(stated), appended, committed],
      ...asked.map((vote) => `${vote.era} ${vote.term} ${vote.lock}`),
    ].join()
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    if (!this.#setting.isForkOnly) this.#judge(member)
    const number = this.all.length
    this.#numbers.set(key, number)
    this.all.push(member)
    const votes = { append: appended, commit: committed }
    this.appended.push(this.#claims.signed('append', votes))
    this.committed.push(this.#claims.signed('commit', votes))
    this.asked.push(
      this.turns.map((turn) =>
        asked
          .filter((vote) => vote.era === turn.era)
          .reduce((all, vote) => all | this.#claims.asked(turn.era, vote.term, vote.lock, turn.term), 0),
      ),
    )
    return number
  }

  /** S1, as it signs: nothing of a term that it has given up, and nothing but of its own. */
  #voted({ asked, era }: Member, term: number, ballot: Ballot): void {
    if (asked.some((vote) => vote.era === era && vote.term > term))
      this.#broken('I6: a term vote ends all older terms', `a vote in term ${term} after it`)
    if (ballot.term !== term) this.#broken('S1: a member votes in its term alone', `in ${ballot.term}, for ${term}`)
  }

  #judge({ era, ballot, appended, committed, asked }: Member): void {
    const { entries } = this.#setting
    const { list } = this.#claims
    const votes = list.filter((_, at) => (appended & (1 << at)) !== 0)
    for (const a of votes) {
      if (entries.endsBefore(a.entry)) this.#broken('I16: an epoch ends with its configuration', 'a vote goes on')
      for (const b of votes) {
        if (a === b || a.era !== b.era || a.term !== b.term) continue
        if (a.index === b.index) this.#broken('I1: one append vote for each place', `two in term ${a.term}`)
        if (!entries.isOneChain(a.entry, b.entry))
          this.#broken("I2: a term's append votes are a chain", `term ${a.term} has two ends`)
      }
    }
    if (ballot.lock !== undefined && ballot.lock.term > ballot.term)
      this.#broken('S5: no lock is of a term to come', `term ${ballot.lock.term} in ${ballot.term}`)
    for (const place of list.filter((_, at) => (committed & (1 << at)) !== 0)) {
      if (place.era === era && compareRank(ballot.lock, place) < 0)
        this.#broken('I5: a commit vote is for no more than the lock', 'it is for more')
      for (const { term, lock, ...vote } of asked) {
        if (vote.era !== place.era || term <= place.term) continue
        if (compareRank(lock < 0 ? undefined : list[lock]!, place) < 0)
          this.#broken('I7: a term vote states every commit vote before it', `that for ${term} states less`)
      }
    }
  }

  #broken(invariant: string, what: string): void {
    if (!this.#setting.isForkOnly) throw new Violation(invariant, what)
  }
}
