import { Fingerprints } from './fingerprints.ts'
import { Frontier } from './frontier.ts'
import { PairTable, Pool } from './memo.ts'
import { type Model, Violation } from './model.ts'

export interface ExploreOptions {
  /**
   * Stop after so many distinct states. When more than half of them would be found with no end in sight, levels are thinned out from then on: of each,
   * an arbitrary part is followed, so that the rest goes into long runs. Default: none.
   */
  readonly states?: number
  /** Take at most so many steps. Default: any number. */
  readonly depth?: number
  /** Asked now and then: whether to stop. */
  readonly isOver?: () => boolean
  /** Told now and then how far it is. */
  readonly progress?: (so: Progress) => void
  /** Keep no message that can have no effect any more, and take no step that has none. Default true. */
  readonly reduce?: boolean
}

export interface Progress {
  readonly distinctStates: number
  readonly transitions: number
  readonly depth: number
  readonly waiting: number
}

export interface Exploration {
  readonly distinctStates: number
  readonly transitions: number
  /** All that can happen in so many steps was looked at, if nothing was violated. */
  readonly depth: number
  /** Steps of the longest runs that were looked at. */
  readonly deepest: number
  /** Every state within the scope's bounds was looked at. */
  readonly exhausted: boolean
  readonly violation?: { readonly invariant: string; readonly what: string; readonly steps: readonly string[] }
}

/** Looks at every state that `model` can reach, breadth first, so that what breaks an invariant is found by a shortest run. */
export function explore(model: Model, options: ExploreOptions = {}): Exploration {
  return new Explorer(model, options).run()
}

/** `code`: twice the local action, or twice the message and one; -1: a message is lost. `consumed`: where the message stood that is no more; -1: none. */
interface Step {
  readonly slot: number
  readonly code: number
  readonly consumed: number
  readonly budget: number
}

interface Fingerprint {
  readonly high: number
  readonly low: number
}

/** Words of a state: processes, watcher, two words of budgets (four bits each), messages in ascending order. */
class Explorer {
  readonly #model: Model
  readonly #options: ExploreOptions
  readonly #reduce: boolean
  readonly #seen = new Fingerprints()
  readonly #frontier = new Frontier()
  readonly #steps = new PairTable()
  readonly #pool = new Pool()
  readonly #watched = new PairTable()
  readonly #dead = new PairTable()
  readonly #messagesAt: number
  readonly #watcherAt: number
  #transitions = 0
  #depth = 0
  #deepest = 0
  /** Of fingerprints' scrambled words, those below are followed. */
  #kept = 0x1_0000_0000
  #isThinned = false
  #levelSize = 1

  readonly #from = new Int32Array(4096)
  #fromLength = 0
  readonly #to = new Int32Array(4096)
  #toLength = 0
  #high = 0
  #low = 0
  #parent = -1
  /** Whether the invariants of `#to` are being looked at; what is thrown otherwise is thrown by a step. */
  #isChecking = false
  /** While a run is told again: where steps are listed instead of taken, the fingerprint to come next, and whether it came. */
  #listing: Step[] | undefined
  #sought: Fingerprint | undefined
  #isFound = false

  constructor(model: Model, options: ExploreOptions) {
    this.#model = model
    this.#options = options
    this.#reduce = options.reduce !== false
    this.#watcherAt = model.processes
    this.#messagesAt = model.processes + 3
  }

  run(): Exploration {
    try {
      return this.#explore()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      const { invariant, message: what } = error
      return { ...this.#figures(false), violation: { invariant, what, steps: this.#tell(invariant) } }
    }
  }

  #explore(): Exploration {
    const { states = Number.POSITIVE_INFINITY, depth = Number.POSITIVE_INFINITY, isOver, progress } = this.#options
    this.#begin()
    this.#seen.add(this.#high, this.#low, -1)
    this.#check()
    this.#push()
    for (let level = 1, looked = 0; this.#frontier.size > 0; level--, looked++) {
      if (level === 0) level = this.#beginLevel(states)
      if (this.#seen.size >= states || this.#deepest >= depth) return this.#figures(false)
      if ((looked & 0xfff) === 0xfff) {
        progress?.({ ...this.#figures(false), waiting: this.#frontier.size })
        if (isOver?.() === true) return this.#figures(false)
      }
      this.#fromLength = this.#frontier.pop(this.#from) - 2
      const high = this.#from[this.#fromLength]!
      const low = this.#from[this.#fromLength + 1]!
      if (this.#isThinned && scramble(high, low) >>> 0 >= this.#kept) continue
      this.#seen.reserve(4096)
      this.#parent = this.#seen.slotOf(high, low)
      this.#expand()
    }
    return this.#figures(!this.#isThinned)
  }

  #beginLevel(states: number): number {
    const { size } = this.#frontier
    this.#deepest++
    if (!this.#isThinned) this.#depth = this.#deepest
    const width = Math.ceil(states / 80)
    // If levels go on growing as they do, the next one would use up most of what is left.
    const expected = this.#seen.size + (size * size) / this.#levelSize
    this.#levelSize = size
    if (size > width && expected > states * 0.6) this.#isThinned = true
    if (this.#isThinned) this.#kept = Math.min(1, width / size) * 0x1_0000_0000
    return size
  }

  #figures(exhausted: boolean): Exploration {
    const depth = this.#depth
    const deepest = Math.max(depth, this.#deepest)
    return { distinctStates: this.#seen.size, transitions: this.#transitions, depth, deepest, exhausted }
  }

  #begin(): void {
    const { initial, processes } = this.#model
    initial.processes.forEach((state, slot) => {
      this.#to[slot] = state
    })
    this.#to[this.#watcherAt] = initial.watcher
    this.#to[processes + 1] = 0
    this.#to[processes + 2] = 0
    this.#toLength = this.#messagesAt
    for (const message of initial.messages) this.#insert(message)
    this.#fingerprint()
  }

  #push(): void {
    this.#to[this.#toLength] = this.#high
    this.#to[this.#toLength + 1] = this.#low
    this.#frontier.push(this.#to, this.#toLength + 2)
  }

  /** Every step from `#from`. */
  #expand(): void {
    const model = this.#model
    const from = this.#from
    for (let slot = 0; slot < model.processes; slot++) {
      for (const { action, budget, when } of model.actions(from[slot]!)) {
        if (budget >= 0) {
          const used = this.#used(budget)
          if (when >= 0 ? used !== when : used >= model.budgets[budget]!.limit) continue
        }
        this.#fire(slot, action * 2, -1, budget)
      }
    }
    const { duplicates, losses } = model
    const mayLose = losses >= 0 && this.#used(losses) < model.budgets[losses]!.limit
    const ways = model.ways.words
    const mayDuplicate = duplicates >= 0 && this.#used(duplicates) < model.budgets[duplicates]!.limit
    for (let at = this.#messagesAt; at < this.#fromLength; at++) {
      const message = from[at]!
      if (at > this.#messagesAt && message === from[at - 1]!) continue
      const slot = ways[2 * message]!
      this.#fire(slot, message * 2 + 1, model.keepsMessages ? -1 : at, -1)
      if (mayDuplicate) this.#fire(slot, message * 2 + 1, -1, duplicates)
      if (mayLose) this.#fire(slot, -1, at, losses)
    }
  }

  #used(budget: number): number {
    return (this.#from[this.#watcherAt + 1 + (budget >> 3)]! >>> ((budget & 7) * 4)) & 15
  }

  /** One step, into `#to`. */
  #fire(slot: number, code: number, consumed: number, budget: number): void {
    if (this.#listing !== undefined) {
      this.#listing.push({ slot, code, consumed, budget })
      return
    }
    const from = this.#from
    const to = this.#to
    const isLoss = code < 0
    const at = isLoss ? 0 : this.#transition(from[slot]!, code)
    const { words } = this.#pool
    const ways = this.#model.ways.words
    const next = isLoss ? from[slot]! : words[at]!
    const sends = isLoss ? 0 : words[at + 1]!
    const news = isLoss ? 0 : words[at + 2]!
    this.#transitions++
    if (next < 0) return
    // Nothing has happened but that a message is gone: whatever comes of it comes of the state where it is never delivered, too.
    if (next === from[slot]! && sends === 0 && news === 0 && !isLoss && (this.#reduce || consumed < 0)) return

    for (let word = 0; word < this.#messagesAt; word++) to[word] = from[word]!
    to[slot] = next
    if (budget >= 0) to[this.#watcherAt + 1 + (budget >> 3)]! += 1 << ((budget & 7) * 4)
    for (let told = 0; told < news; told++)
      to[this.#watcherAt] = this.#watch(to[this.#watcherAt]!, words[at + 3 + sends + told]!)
    const isNew = next !== from[slot]!
    let length = this.#messagesAt
    for (let word = this.#messagesAt; word < this.#fromLength; word++) {
      if (word === consumed) continue
      const message = from[word]!
      if (this.#reduce && isNew && ways[2 * message]! === slot && this.#isDead(next, message)) continue
      to[length++] = message
    }
    this.#toLength = length
    for (let sent = 0; sent < sends; sent++) {
      const message = words[at + 3 + sent]!
      if (this.#reduce && this.#isDead(to[this.#model.ways.words[2 * message]!]!, message)) continue
      this.#insert(message)
    }
    this.#fingerprint()
    if (this.#sought !== undefined) {
      if (this.#high === this.#sought.high && this.#low === this.#sought.low) this.#isFound = true
      return
    }
    if (!this.#seen.add(this.#high, this.#low, this.#parent)) return
    this.#check()
    this.#push()
  }

  #check(): void {
    this.#isChecking = true
    this.#model.check(this.#to, 0)
    this.#isChecking = false
  }

  #insert(message: number): void {
    const to = this.#to
    let at = this.#toLength
    const { keepsMessages, capacity } = this.#model
    if (keepsMessages) for (let word = this.#messagesAt; word < at; word++) if (to[word]! === message) return
    if (capacity < 4000) {
      const ways = this.#model.ways.words
      const channel = ways[2 * message + 1]!
      let held = 0
      for (let word = this.#messagesAt; word < at; word++) if (ways[2 * to[word]! + 1]! === channel) held++
      if (held >= capacity) return
    }
    for (; at > this.#messagesAt && to[at - 1]! > message; at--) to[at] = to[at - 1]!
    to[at] = message
    if (++this.#toLength > 4000) throw new Error('more messages under way than a state has room for')
  }

  #transition(process: number, code: number): number {
    const known = this.#steps.get(process, code)
    if (known >= 0) return known
    const subject = code >>> 1
    const { next, sends, news } =
      (code & 1) === 0 ? this.#model.act(process, subject) : this.#model.deliver(process, subject)
    const at = this.#pool.add(next, sends.length, news.length, ...sends, ...news)
    this.#steps.set(process, code, at)
    return at
  }

  #watch(watcher: number, news: number): number {
    const known = this.#watched.get(watcher, news)
    if (known >= 0) return known
    const next = this.#model.watch(watcher, news)
    this.#watched.set(watcher, news, next)
    return next
  }

  #isDead(process: number, message: number): boolean {
    const known = this.#dead.get(process, message)
    if (known >= 0) return known === 1
    let isDead = this.#model.isDead(process, message)
    if (isDead) {
      // What is said to have no effect must have none now, at least.
      const at = this.#transition(process, message * 2 + 1)
      const { words } = this.#pool
      isDead = words[at] === process && words[at + 1] === 0 && words[at + 2] === 0
    }
    this.#dead.set(process, message, isDead ? 1 : 0)
    return isDead
  }

  /** The least of the sums of the hashes of the parts, over all permutations. A sum does not depend on the order of what is added. */
  #fingerprint(): void {
    const { permutations, hashes } = this.#model
    const to = this.#to
    const process = hashes.process.words
    const message = hashes.message.words
    const watcher = hashes.watcher.words
    const low0 = scramble(to[this.#watcherAt + 1]!, 0x243f6a88) + scramble(to[this.#watcherAt + 2]!, 0x85a308d3)
    const high0 = scramble(to[this.#watcherAt + 1]!, 0x13198a2e) + scramble(to[this.#watcherAt + 2]!, 0x03707344)
    for (let permutation = 0; permutation < permutations; permutation++) {
      let at = 2 * (to[this.#watcherAt]! * permutations + permutation)
      let high = (high0 + watcher[at]!) | 0
      let low = (low0 + watcher[at + 1]!) | 0
      for (let word = 0; word < this.#watcherAt; word++) {
        at = 2 * (to[word]! * permutations + permutation)
        high = (high + process[at]!) | 0
        low = (low + process[at + 1]!) | 0
      }
      for (let word = this.#messagesAt; word < this.#toLength; word++) {
        at = 2 * (to[word]! * permutations + permutation)
        high = (high + message[at]!) | 0
        low = (low + message[at + 1]!) | 0
      }
      if ((high | low) === 0) low = 1
      if (permutation === 0 || high < this.#high || (high === this.#high && low < this.#low)) {
        this.#high = high
        this.#low = low
      }
    }
  }

  /** The run to what was violated, told step by step: found again by following the fingerprints. */
  #tell(invariant: string): string[] {
    const isState = this.#isChecking
    const slot = isState ? this.#seen.slotOf(this.#high, this.#low) : this.#parent
    const path = slot < 0 ? [] : this.#seen.path(slot)
    const lines: string[] = []
    this.#isChecking = false
    this.#begin()
    for (const sought of path.slice(1))
      if (!this.#follow(sought, undefined, lines)) return [...lines, 'the rest of this run could not be told again']
    if (!isState) this.#follow({ high: 0, low: 0 }, invariant, lines)
    return lines
  }

  /** Goes from `#to` on by the step that leads to `sought`, or else by the one that breaks `invariant`. */
  #follow(sought: Fingerprint, invariant: string | undefined, lines: string[]): boolean {
    const model = this.#model
    this.#from.set(this.#to.subarray(0, this.#toLength))
    this.#fromLength = this.#toLength
    const steps: Step[] = []
    this.#listing = steps
    this.#expand()
    this.#listing = undefined
    for (const { slot, code, consumed, budget } of steps) {
      const before = this.#from[slot]!
      const line =
        code < 0
          ? `lost: ${model.describeMessage(this.#from[consumed]!)}`
          : (code & 1) === 0
            ? model.describeAction(before, code >>> 1)
            : model.describeMessage(code >>> 1)
      this.#sought = sought
      this.#isFound = false
      try {
        this.#fire(slot, code, consumed, budget)
      } catch (error) {
        if (!(error instanceof Violation) || error.invariant !== invariant) continue
        lines.push(`${line}   => ${error.message}`)
        return true
      }
      if (!this.#isFound) continue
      lines.push(`${line}   => ${model.describeProcess(this.#to[slot]!)}`)
      return true
    }
    return false
  }
}

function scramble(word: number, seed: number): number {
  let mixed = Math.imul(word ^ seed, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
