import type { Exploration, ExploreOptions } from '../explore/explore.ts'
import { Fingerprints } from '../explore/fingerprints.ts'
import { Frontier } from '../explore/frontier.ts'
import { Violation } from '../explore/model.ts'
import type { Setting } from './setting.ts'
import { tell } from './story.ts'
import { Votes } from './votes.ts'

export interface VoteExploration extends Exploration {
  /** Of the states, those in which something is committed: without them nothing would be shown. */
  readonly withCommits: number
}

/** Three members' numbers of 21 bits fit into a fingerprint as they are: then no two states are ever taken for one. */
const exactBits = 21

/** Every state that the honest members can be brought into, breadth first, up to the names of members and of entries. */
export function exploreVotes(
  setting: Setting,
  options: ExploreOptions & { readonly symmetry?: boolean } = {},
): VoteExploration {
  return new Search(setting, options).run()
}

class Search {
  readonly #votes: Votes
  readonly #options: ExploreOptions
  readonly #seen = new Fingerprints(20)
  readonly #frontier = new Frontier()
  readonly #symmetries: number
  readonly #width: number
  readonly #state: Int32Array
  readonly #image: Int32Array
  readonly #least: Int32Array
  #high = 0
  #low = 0
  #transitions = 0
  #depth = 0
  #deepest = 0
  #withCommits = 0
  /** Of each thousand states, so many are followed. */
  #kept = 1000
  #isThinned = false

  constructor(setting: Setting, options: ExploreOptions & { readonly symmetry?: boolean }) {
    this.#votes = new Votes(setting)
    this.#options = options
    this.#symmetries = options.symmetry === false ? 0 : setting.entries.symmetries.length
    this.#width = this.#votes.claims.honest.length
    this.#state = new Int32Array(this.#width + 2)
    this.#image = new Int32Array(this.#width)
    this.#least = new Int32Array(this.#width + 2)
  }

  run(): VoteExploration {
    let parent = -1
    try {
      return this.#explore((slot) => {
        parent = slot
      })
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      const { invariant, message } = error
      if (parent < 0)
        return { ...this.#figures(false), violation: { invariant, what: message, steps: ['before anything happened'] } }
      const path = this.#seen.path(parent)
      const { steps, what = message } = tell(this.#votes, path.slice(1), invariant, (state) => {
        this.#canonical(state)
        return { high: this.#high, low: this.#low }
      })
      return { ...this.#figures(false), violation: { invariant, what, steps } }
    }
  }

  #explore(from: (slot: number) => void): VoteExploration {
    const votes = this.#votes
    const { states = Number.POSITIVE_INFINITY, depth = Number.POSITIVE_INFINITY, isOver, progress } = this.#options
    const state = this.#state
    const next = new Int32Array(this.#width)
    this.#canonical(votes.first())
    this.#seen.add(this.#high, this.#low, -1)
    votes.view(votes.first())
    this.#push()
    let before = 1
    for (let level = 1, looked = 0; this.#frontier.size > 0; level--, looked++) {
      if (level === 0) {
        level = this.#beginLevel(states, before)
        before = level
      }
      if (this.#seen.size >= states || this.#deepest >= depth) return this.#figures(false)
      if ((looked & 0x3ff) === 0x3ff) {
        progress?.({ ...this.#figures(false), waiting: this.#frontier.size })
        if (isOver?.() === true) return this.#figures(false)
      }
      this.#frontier.pop(state)
      const high = state[this.#width]!
      const low = state[this.#width + 1]!
      if (this.#isThinned && (Math.imul(high ^ (low >>> 7), 0x2c1b3c6d) >>> 8) % 1000 >= this.#kept) continue
      this.#seen.reserve(4096)
      const slot = this.#seen.slotOf(high, low)
      from(slot)
      const view = votes.view(state.subarray(0, this.#width))
      if (votes.views[view]!.committable !== 0) this.#withCommits++
      for (let who = 0; who < this.#width; who++) {
        const at = votes.steps(state[who]!, view)
        const { pool } = votes
        for (let step = 0; step < pool[at]!; step++) {
          next.set(state.subarray(0, this.#width))
          next[who] = pool[at + 1 + 2 * step]!
          this.#transitions++
          this.#canonical(next)
          if (!this.#seen.add(this.#high, this.#low, slot)) continue
          votes.view(this.#least.subarray(0, this.#width))
          this.#push()
        }
      }
    }
    return this.#figures(!this.#isThinned)
  }

  /** As the explorer of the other protocol: once all levels cannot be looked at, a part of each is, so that long runs are. */
  #beginLevel(states: number, before: number): number {
    const { size } = this.#frontier
    this.#deepest++
    if (!this.#isThinned) this.#depth = this.#deepest
    const width = Math.ceil(states / 60)
    if (size > width && this.#seen.size + (size * size) / before > states * 0.6) this.#isThinned = true
    if (this.#isThinned) this.#kept = Math.min(1000, Math.ceil((width / size) * 1000))
    return size
  }

  #push(): void {
    this.#least[this.#width] = this.#high
    this.#least[this.#width + 1] = this.#low
    this.#frontier.push(this.#least, this.#width + 2)
  }

  /** The least of all that differ from it by names alone, into `#least`, and its fingerprint. */
  #canonical(state: ArrayLike<number>): void {
    const { kinds } = this.#votes
    const width = this.#width
    const image = this.#image
    const least = this.#least
    for (let symmetry = 0; symmetry === 0 || symmetry < this.#symmetries; symmetry++) {
      for (let who = 0; who < width; who++)
        image[who] = symmetry === 0 ? state[who]! : this.#votes.renamed(state[who]!, symmetry)
      if (this.#symmetries > 0)
        for (let who = 1; who < width; who++)
          for (let at = who; at > 0; at--) {
            let other = at - 1
            while (other >= 0 && kinds[other] !== kinds[at]) other--
            if (other < 0 || image[other]! <= image[at]!) continue
            const swapped = image[at]!
            image[at] = image[other]!
            image[other] = swapped
          }
      let order = symmetry === 0 ? -1 : 0
      for (let who = 0; who < width && order === 0; who++) order = image[who]! - least[who]!
      if (order < 0) for (let who = 0; who < width; who++) least[who] = image[who]!
    }
    this.#fingerprint()
  }

  #fingerprint(): void {
    const least = this.#least
    if (this.#width === 3) {
      if (this.#votes.members.all.length > 1 << exactBits)
        throw new Error('more states of a member than can be told apart')
      this.#high = (least[0]! << 11) | (least[1]! >>> 10)
      this.#low = ((least[1]! & 0x3ff) << 22) | (least[2]! << 1) | 1
      return
    }
    let high = 0x243f6a88
    let low = 0x13198a2e
    for (let who = 0; who < this.#width; who++) {
      high = mix(high ^ least[who]!, 0x85ebca6b)
      low = mix((low + least[who]!) | 0, 0xc2b2ae35)
    }
    this.#high = high
    this.#low = low | 1
  }

  #figures(exhausted: boolean): VoteExploration {
    const depth = this.#depth
    const deepest = Math.max(depth, this.#deepest)
    const distinctStates = this.#seen.size
    return { distinctStates, transitions: this.#transitions, depth, deepest, exhausted, withCommits: this.#withCommits }
  }
}

function mix(word: number, by: number): number {
  const mixed = Math.imul(word ^ (word >>> 16), by)
  return Math.imul(mixed ^ (mixed >>> 13), 0x27d4eb2f) ^ (mixed >>> 15)
}
