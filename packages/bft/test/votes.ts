import { type Ballot, compareRank, faults, type Place, quorum } from '../src/index.ts'
import * as theRules from '../src/rules.ts'

/*
 * The voting rules against everybody at once: an adversary that leads every term, delivers what it likes to whom it likes, and signs with f
 * keys whatever it likes. Only what honest members sign is state; what is not their word is assumed to be said. A naive reference
 * judges: certificates that *could* be put together by anyone, not those that somebody has.
 *
 * An entry is named by the way to it: '' is the genesis, 'ab' the child of 'a'. So the tree is the beginnings of words.
 */

export interface Rules {
  readonly enterTerm: typeof theRules.enterTerm
  readonly askForTerm: typeof theRules.askForTerm
  readonly mayAppend: typeof theRules.mayAppend
  readonly append: typeof theRules.append
  readonly lockOn: typeof theRules.lockOn
  readonly mayCommit: typeof theRules.mayCommit
}

/** What surrounds the rules; a planted bug changes one thing of it. */
export interface Setting {
  readonly n: number
  readonly terms: number
  readonly depth: number
  readonly rules: Rules
  /** Of certificates of either phase and of terms. */
  readonly quorum: number
  /** How often each Byzantine member is counted. */
  readonly counted: number
  /** Any of the locks that a term certificate claims will do as its anchor. */
  readonly anyLock: boolean
  /** The leader names its anchor itself. */
  readonly claimedAnchor: boolean
  /** Certificates can be passed off as of a later term. */
  readonly relabels: boolean
  readonly onePhase: boolean
  /** A restart forgets the lock. */
  readonly forgets: boolean
}

export const setting = (n: number, terms: number, depth: number): Setting => ({
  ...{ n, terms, depth, rules: theRules, quorum: quorum(n), counted: 1 },
  ...{ anyLock: false, claimedAnchor: false, relabels: false, onePhase: false, forgets: false },
})

interface Honest {
  readonly ballot: Ballot
  /** What it signed, in order. */
  readonly appended: readonly Place[]
  readonly committed: readonly Place[]
  readonly asked: readonly { readonly term: number; readonly lock: Place | undefined }[]
}

export type Move =
  | {
      readonly type: 'append'
      readonly who: number
      readonly term: number
      readonly hash: string
      readonly anchor: string
    }
  | { readonly type: 'certified'; readonly who: number; readonly place: Place }
  | { readonly type: 'ask'; readonly who: number; readonly term: number }
  | { readonly type: 'restart'; readonly who: number }

const tree: theRules.Tree = { holds: (older, newer) => newer.startsWith(older) }
const oneChain = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a)

export class World {
  readonly honest: readonly Honest[]
  readonly #setting: Setting

  constructor(setting: Setting, honest?: readonly Honest[]) {
    this.#setting = setting
    const begin = { ballot: theRules.firstBallot, appended: [], committed: [], asked: [] }
    this.honest = honest ?? Array.from({ length: setting.n - faults(setting.n) }, () => begin)
  }

  /** What the adversary may do next. */
  moves(): Move[] {
    const { terms, depth, claimedAnchor, forgets } = this.#setting
    const locks = this.#shown(this.#assemblable('appended'))
    const moves: Move[] = []
    const entries = words(depth)
    for (let term = 0; term < terms; term++) {
      const anchors = claimedAnchor ? [''] : this.#anchors(term, locks)
      for (const [who, { ballot }] of this.honest.entries()) {
        if (term > ballot.term) moves.push({ type: 'ask', who, term })
        for (const anchor of anchors)
          for (const hash of entries) moves.push({ type: 'append', who, term, hash, anchor })
      }
    }
    for (const who of this.honest.keys()) {
      for (const place of locks) moves.push({ type: 'certified', who, place })
      if (forgets) moves.push({ type: 'restart', who })
    }
    return moves
  }

  /** Undefined: the rules let nothing of it happen. */
  after(move: Move): World | undefined {
    const { rules } = this.#setting
    const before = this.honest[move.who]!
    let { ballot, appended, committed, asked } = before
    switch (move.type) {
      case 'append': {
        const { term, hash, anchor } = move
        ballot = rules.enterTerm(ballot, term)
        if (rules.mayAppend(ballot, term, hash, anchor, tree)) {
          ballot = rules.append(ballot, hash)
          appended = signed(appended, { term, index: hash.length, hash })
        }
        break
      }
      case 'certified':
        ballot = rules.lockOn(ballot, move.place)
        if (rules.mayCommit(ballot, move.place)) committed = signed(committed, move.place)
        break
      case 'ask':
        ballot = rules.askForTerm(ballot, move.term)
        asked = [...asked, { term: move.term, lock: ballot.stated === 'none' ? undefined : ballot.stated }]
        break
      case 'restart':
        ballot = { ...ballot, lock: undefined }
        break
    }
    const after: Honest = { ballot, appended, committed, asked }
    if (JSON.stringify(after) === JSON.stringify(before)) return undefined
    return new World(
      this.#setting,
      this.honest.map((one, at) => (at === move.who ? after : one)),
    )
  }

  /** Equal for worlds that differ in the names of members alone. */
  key(): string {
    return this.honest
      .map(({ ballot, appended, committed, asked }) =>
        JSON.stringify([ballot, texts(appended), texts(committed), texts(asked)]),
      )
      .sort()
      .join()
  }

  get hasCommitted(): boolean {
    return this.#assemblable('committed').length > 0
  }

  /** The first invariant that is broken. */
  violation(): string | undefined {
    for (const { ballot, appended, committed, asked } of this.honest) {
      for (const a of appended)
        for (const b of appended) {
          if (a.term === b.term && a.index === b.index && a.hash !== b.hash) return 'I1: two votes for one place'
          if (a.term === b.term && !oneChain(a.hash, b.hash)) return 'I2: the votes of a term are no chain'
        }
      if (ballot.lock !== undefined && ballot.lock.term > ballot.term) return 'S5: a lock of a term to come'
      for (const place of committed) {
        if (compareRank(ballot.lock, place) < 0) return 'I5: a commit vote above the lock'
        for (const { term, lock } of asked)
          if (term > place.term && compareRank(lock, place) < 0) return 'I7: a term vote states less than a commit vote'
      }
    }
    const locks = this.#assemblable('appended')
    for (const a of locks)
      for (const b of locks)
        if (a.term === b.term && !oneChain(a.hash, b.hash)) return 'I3: two append certificates of one term'
    const commits = this.#setting.onePhase ? locks : this.#assemblable('committed')
    for (const a of commits) {
      for (const b of commits) if (!oneChain(a.hash, b.hash)) return 'I9: a fork'
      for (const b of locks)
        if (compareRank(b, a) >= 0 && !b.hash.startsWith(a.hash)) return 'L2: a later lock on another branch'
      for (let term = a.term + 1; term < this.#setting.terms; term++)
        for (const anchor of this.#anchors(term, locks))
          if (!anchor.startsWith(a.hash)) return 'I11: a term may begin beside what is committed'
    }
    return undefined
  }

  #assemblable(phase: 'appended' | 'committed'): Place[] {
    const { n, counted } = this.#setting
    const votes = new Map<string, { place: Place; count: number }>()
    for (const one of this.honest)
      for (const place of one[phase]) {
        const key = `${place.term} ${place.hash}`
        const vote = votes.get(key) ?? { place, count: 0 }
        vote.count++
        votes.set(key, vote)
      }
    const due = this.#setting.quorum - faults(n) * counted
    return [...votes.values()].filter(({ count }) => count >= due).map(({ place }) => place)
  }

  /** As members can be made to see them. */
  #shown(locks: readonly Place[]): Place[] {
    if (!this.#setting.relabels) return [...locks]
    const { terms } = this.#setting
    return locks.flatMap((lock) =>
      Array.from({ length: terms - lock.term }, (_, more) => ({ ...lock, term: lock.term + more })),
    )
  }

  /** Where a term certificate can make `term` begin, with the worst choice of honest votes and any lock a Byzantine vote can show. */
  #anchors(term: number, locks: readonly Place[]): string[] {
    if (term === 0) return ['']
    const { n, counted, anyLock } = this.#setting
    const stated = this.honest.flatMap(({ asked }) =>
      asked.filter((vote) => vote.term === term).map(({ lock }) => lock),
    )
    const due = Math.max(0, this.#setting.quorum - faults(n) * counted)
    if (stated.length < due) return []
    // Boxed: `sort` puts what is undefined last, unasked.
    const inOrder = stated.map((lock) => ({ lock })).sort((a, b) => compareRank(a.lock, b.lock))
    const least = anyLock ? undefined : inOrder[due - 1]?.lock
    const candidates = [undefined, ...this.#shown(locks).filter((lock) => lock.term < term)]
    return [...new Set(candidates.filter((lock) => compareRank(lock, least) >= 0).map((lock) => lock?.hash ?? ''))]
  }
}

const texts = (things: readonly unknown[]): string[] => things.map((thing) => JSON.stringify(thing)).sort()

const signed = (places: readonly Place[], place: Place): readonly Place[] =>
  places.some(({ term, hash }) => term === place.term && hash === place.hash) ? places : [...places, place]

function words(depth: number): string[] {
  if (depth === 0) return []
  const shorter = words(depth - 1)
  return ['a', 'b', ...['a', 'b'].flatMap((first) => shorter.map((rest) => first + rest))].filter(
    (word, at, all) => all.indexOf(word) === at,
  )
}

/** Every state that can be reached, up to the names of members. */
export function exhaust(setting: Setting): {
  readonly states: number
  readonly commits: number
  readonly violation: string | undefined
} {
  const first = new World(setting)
  const seen = new Set([first.key()])
  let frontier = [first]
  let commits = 0
  while (frontier.length > 0) {
    const next: World[] = []
    for (const world of frontier)
      for (const move of world.moves()) {
        const after = world.after(move)
        if (after === undefined) continue
        const key = after.key()
        if (seen.has(key)) continue
        seen.add(key)
        const violation = after.violation()
        if (violation) return { states: seen.size, commits, violation }
        if (after.hasCommitted) commits++
        next.push(after)
      }
    frontier = next
  }
  return { states: seen.size, commits, violation: undefined }
}

/** One random schedule; ends where it goes wrong. */
export function walk(setting: Setting, steps: number, random: () => number): World {
  let world = new World(setting)
  for (let step = 0; step < steps; step++) {
    const moves = world.moves()
    // Locks and votes grow slowly among so many appends: choose the kind of move first.
    const kinds = [...new Set(moves.map(({ type }) => type))]
    const kind = kinds[Math.floor(random() * kinds.length)]
    const ofKind = moves.filter(({ type }) => type === kind)
    const after = world.after(ofKind[Math.floor(random() * ofKind.length)]!)
    if (after === undefined) continue
    world = after
    if (world.violation()) return world
  }
  return world
}
