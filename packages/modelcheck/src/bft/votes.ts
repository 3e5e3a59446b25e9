import { compareRank } from '@raftkit/bft'
import { PairTable, Pool } from '../explore/memo.ts'
import { Violation } from '../explore/model.ts'
import { type Beginnings, Claims } from './claims.ts'
import { Members } from './member.ts'
import type { Setting } from './setting.ts'

/** What everybody's signatures together allow: bits of claims, and for each epoch and term bits of entries that it may begin with. */
export interface View {
  readonly appendable: number
  readonly committable: number
  readonly beginnings: readonly number[]
}

/** Numbers, from 1 on, for pairs of numbers that are not below 0. */
class Names {
  readonly #pairs = new PairTable()
  #next = 1

  of(first: number, second: number): number {
    const known = this.#pairs.get(first, second)
    if (known >= 0) return known
    this.#pairs.set(first, second, this.#next)
    return this.#next++
  }
}

/**
 * The honest members, whatever the liar and the network do to them. A state is the number of each member's state and nothing else: messages are
 * not kept, since whatever was ever signed may arrive at any time, and what the liar says is always there.
 */
export class Votes {
  readonly setting: Setting
  readonly claims: Claims
  readonly members: Members
  readonly views: View[] = []
  /** Members of equal number may be exchanged for one another: they vote in the same epochs. */
  readonly kinds: readonly number[]
  readonly #views = new PairTable()
  readonly #names = new Names()
  readonly #asks = new Names()
  readonly #shown = new PairTable()
  readonly #showings: Beginnings[] = []
  readonly #begins: number[] = []
  readonly #steps = new PairTable()
  readonly #pool = new Pool()
  readonly #appended: number[]
  readonly #committed: number[]
  readonly #images: PairTable = new PairTable()

  constructor(setting: Setting) {
    this.setting = setting
    this.claims = new Claims(setting)
    this.members = new Members(setting, this.claims)
    const { honest } = this.claims
    this.kinds = honest.map((_, who) =>
      this.claims.eras().reduce((all, era, at) => (this.claims.votesIn(era, who) ? all | (1 << at) : all), 0),
    )
    this.#appended = honest.map(() => 0)
    this.#committed = honest.map(() => 0)
  }

  first(): number[] {
    return this.claims.honest.map((_, who) => this.members.first(who))
  }

  /** The number of what `state` allows. Throws `Violation` if it is a broken promise. */
  view(state: ArrayLike<number>): number {
    const { members, claims, setting } = this
    for (let who = 0; who < state.length; who++) {
      this.#appended[who] = members.appended[state[who]!]!
      this.#committed[who] = members.committed[state[who]!]!
    }
    const appendable = claims.certified('append', this.#appended)
    const committable = setting.isOnePhase ? appendable : claims.certified('commit', this.#committed)
    let name = this.#names.of(appendable, committable)
    for (let turn = 0; turn < members.turns.length; turn++) {
      const { era, term } = members.turns[turn]!
      let votes = 0
      if (term > 0)
        for (let who = 0; who < state.length; who++) votes = this.#asks.of(votes, members.asked[state[who]!]![turn]!)
      this.#begins[turn] = term === 0 ? 1 << era : this.#beginnings(turn, votes, state, appendable)
      name = this.#names.of(name, this.#begins[turn]!)
    }
    const known = this.#views.get(name, 0)
    if (known >= 0) return known
    const fresh = { appendable, committable, beginnings: [...this.#begins] }
    this.#judge(fresh)
    this.#views.set(name, 0, this.views.length)
    return this.views.push(fresh) - 1
  }

  /** Bits of entries. `votes`: a number for the votes of `state` for this term. */
  #beginnings(turn: number, votes: number, state: ArrayLike<number>, appendable: number): number {
    const { era, term } = this.members.turns[turn]!
    let at = this.#shown.get(turn, votes)
    if (at < 0) {
      const asked = Array.from(state, (member) => this.members.asked[member]![turn]!)
      at = this.#showings.push(this.claims.beginnings(era, term, asked)) - 1
      this.#shown.set(turn, votes, at)
    }
    const { none, certified, free } = this.#showings[at]!
    let all = none ? 1 << era : 0
    const { list } = this.claims
    for (let locks = (certified & appendable) | free; locks !== 0; locks &= locks - 1)
      all |= 1 << list[31 - Math.clz32(locks & -locks)]!.entry
    return all
  }

  /** Where in `steps` the states are listed that a member can go to from `state`: their number, then each with a deed that leads there. */
  steps(state: number, view: number): number {
    const known = this.#steps.get(state, view)
    if (known >= 0) return known
    const { members } = this
    const { appendable, committable, beginnings } = this.views[view]!
    const { era, ballot } = members.all[state]!
    const to = new Map<number, number>()
    const go = (deed: number): void => {
      const next = members.after(state, deed)
      if (next !== state && !to.has(next)) to.set(next, deed)
    }
    const { terms, laterTerms } = this.setting
    for (const { at, era: of, term, anchor } of members.appends) {
      if (of !== era || terms[term]! < ballot.term) continue
      if ((beginnings[this.#turn(of, term)]! & (1 << anchor)) !== 0) go(at)
    }
    for (const [at, deed] of members.deeds.entries()) {
      if (deed.type === 'append') break
      if (deed.type === 'certified') {
        if ((appendable & (1 << deed.claim)) !== 0 && this.claims.list[deed.claim]!.era === era) go(at)
      } else if (deed.type === 'ask') {
        // In a term that nobody asks for nobody votes.
        if (era === 0 || (era > 0 && terms.indexOf(deed.term) < laterTerms)) go(at)
      } else if (era < deed.era && this.#ends(deed.era, appendable, committable)) go(at)
    }
    const place = this.#pool.add(to.size, ...[...to].flat())
    this.#steps.set(state, view, place)
    return place
  }

  get pool(): Int32Array {
    return this.#pool.words
  }

  renamed(state: number, symmetry: number): number {
    const known = this.#images.get(state, symmetry)
    if (known >= 0) return known
    const image = this.members.renamed(state, this.setting.entries.symmetries[symmetry]!)
    this.#images.set(state, symmetry, image)
    return image
  }

  #turn(era: number, term: number): number {
    return this.claims.eras().indexOf(era) * this.setting.terms.length + term
  }

  #ends(entry: number, appendable: number, committable: number): boolean {
    const { list, ends } = this.claims
    const shown = (appendable & ends.append) | (committable & ends.commit)
    return list.some((claim, at) => claim.entry === entry && (shown & (1 << at)) !== 0)
  }

  /** Over certificates that could be put together by anyone, not those that somebody has: what is broken shows many steps earlier. */
  #judge({ appendable, committable, beginnings }: View): void {
    const { entries, isForkOnly } = this.setting
    const { list } = this.claims
    const locks = list.filter((_, at) => (appendable & (1 << at)) !== 0)
    const commits = list.filter((_, at) => (committable & (1 << at)) !== 0)
    const name = (entry: number): string => entries.list[entry]!.word
    for (const a of commits)
      for (const b of commits)
        if (!entries.isOneChain(a.entry, b.entry))
          throw new Violation(
            'I9: what is committed is one chain',
            `${name(a.entry)} in term ${a.term}, ${name(b.entry)} in term ${b.term}`,
          )
    if (isForkOnly) return
    for (const a of locks)
      for (const b of locks)
        if (a.era === b.era && a.term === b.term && !entries.isOneChain(a.entry, b.entry))
          throw new Violation(
            'I3: a term certifies one chain',
            `term ${a.term} certifies ${name(a.entry)} and ${name(b.entry)}`,
          )
    for (const a of commits) {
      for (const b of locks)
        if (a.era === b.era && compareRank(b, a) >= 0 && !entries.has(a.entry, b.entry))
          throw new Violation(
            'L2: a later lock holds what is committed',
            `${name(b.entry)} of term ${b.term} does not hold ${name(a.entry)} of term ${a.term}`,
          )
      for (const [turn, { era, term }] of this.members.turns.entries())
        for (const at of entries.list.keys())
          if (era === a.era && term > a.term && (beginnings[turn]! & (1 << at)) !== 0 && !entries.has(a.entry, at))
            throw new Violation(
              'I11: every term to come begins with what is committed',
              `term ${term} may begin with ${name(at) || 'the founding'}, and ${name(a.entry)} of term ${a.term} is committed`,
            )
    }
  }
}
