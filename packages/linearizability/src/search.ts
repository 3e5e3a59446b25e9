import { identity } from './canonical.ts'
import { type Events, eventsOf } from './events.ts'
import type { Operation } from './history.ts'
import { illegal, type Model } from './model.ts'
import { Seen } from './seen.ts'

export interface Budget {
  /** Steps of the model and comparisons of configurations, per key. */
  readonly steps: number
  /** Bytes, approximately, per key: half for the configurations, half for the states. */
  readonly memory: number
  /** Asked now and then; true ends the search undecided. */
  readonly expired?: (() => boolean) | undefined
}

export interface Outcome<State> {
  readonly verdict: 'ok' | 'illegal' | 'undecided'
  readonly steps: number
  /** Unless ok: the operation whose return no order got past, of those tried. All that returned earlier can be placed. */
  readonly stuck?: number
  /** Operations in a legal order, as far as one was found: if ok, all but the unknown ones that nobody noticed. */
  readonly placed: readonly number[]
  /** Unless ok: states in which orders that got this far have left the object, at most 8. */
  readonly states: readonly State[]
}

/** Whether the operations of one object have a linearization. Wing and Gong's search, in the form of Lowe. */
export function search<State, Input, Output>(
  general: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  budget: Budget,
): Outcome<State> {
  const model = general.focus?.(operations) ?? general
  const events = eventsOf(operations)
  const first = new Search(model, operations, events, budget)
  if (first.run()) return { verdict: 'ok', steps: first.steps, placed: first.placed(), states: [] }
  // The same search once more, now that it is known how far it gets: so the first one need not copy what it passes.
  const limits = { ...budget, steps: budget.expired?.() === true ? 0 : first.steps, expired: undefined }
  const again = new Search(model, operations, eventsOf(operations), limits, first.deepest)
  again.run()
  return {
    verdict: first.ended ? 'undecided' : 'illegal',
    steps: first.steps,
    stuck: ~events.at[first.deepest]!,
    placed: again.best,
    states: again.states,
  }
}

const statesShown = 8

class Search<State, Input, Output> {
  steps = 0
  /** The budget ended it. */
  ended = false
  /** The latest event that was the first pending return of a configuration. */
  deepest = 0
  best: number[] = []
  readonly states: State[] = []

  readonly #model: Model<State, Input, Output>
  readonly #operations: readonly Operation<Input, Output>[]
  readonly #events: Events
  readonly #budget: Budget
  /** Where to look around, in the second run. */
  readonly #look: number

  readonly #seen: Seen
  /** Per unknown operation, by its place in `events.unknown`: whether it was used up. */
  readonly #used: Uint8Array

  /** States by number; a number per state that was met. */
  readonly #values: State[] = []
  readonly #numbers = new Map<unknown, number>()
  #stateBytes = 0
  #state = 0
  /** The last operation was an unknown one that overwrites: another one that overwrites would make it pointless. */
  #unnoticed = false

  /** The way to where the search is: operations, and what was so before each. */
  readonly #path: number[] = []
  readonly #stateBefore: number[] = []
  readonly #unnoticedBefore: boolean[] = []
  /** The first pending return when the operation was chosen; 0 if there was no choice. */
  readonly #returnBefore: number[] = []

  /** What steps came to, by state and operation; direct-mapped, the older one gives way. */
  readonly #memo: Int32Array

  constructor(
    model: Model<State, Input, Output>,
    operations: readonly Operation<Input, Output>[],
    events: Events,
    budget: Budget,
    look = 0,
  ) {
    this.#model = model
    this.#operations = operations
    this.#events = events
    this.#budget = budget
    this.#look = look
    this.#used = new Uint8Array(events.unknown.length)
    this.#seen = new Seen((events.slots + 31) >>> 5, (events.unknown.length + 31) >>> 5, budget.memory / 2)
    // Three words a result: state + 1, operation, what it came to.
    const results = Math.min(1 << 14, 1 << (32 - Math.clz32(operations.length * 4)))
    this.#memo = new Int32Array(results * 3)
    this.#state = this.#number(model.initial)
  }

  placed(): number[] {
    return this.#path.map((choice) => this.#operation(choice))
  }

  /** True: there is a linearization. False: there is none, or the budget ended. */
  run(): boolean {
    let checkedAt = 0
    for (;;) {
      const back = this.#settle()
      if (back === this.#events.end) return true
      if (back > this.deepest) this.deepest = back
      if (back === this.#look) this.#lookAround()

      const seen = this.#isSeen(back)
      if (seen === 'full' || this.steps + this.#seen.probes > this.#budget.steps) this.ended = true
      if (this.#stateBytes > this.#budget.memory / 2) this.ended = true
      if (this.steps - checkedAt > 4096) {
        checkedAt = this.steps
        if (this.#budget.expired?.() === true) this.ended = true
      }
      if (this.ended) break
      if (!seen && this.#choose(back, undefined)) continue
      if (!this.#backtrack()) break
    }
    this.steps += this.#seen.probes
    return false
  }

  /**
   * Places every read that is legal here: whoever can place it later can place it now, for it changes nothing, and
   * nothing waits for it. Returns the first return that is pending then.
   */
  #settle(): number {
    const { next, at, end } = this.#events
    let event = next[0]!
    for (; event !== end; event = next[event]!) {
      const operation = at[event]!
      if (operation < 0) break
      const { input, output } = this.#operations[operation]!
      if (this.#model.reads?.(input, output) !== true) continue
      if (this.#step(operation) < 0) continue
      this.#take(operation, this.#state, 0)
    }
    return event
  }

  #isSeen(back: number): boolean | 'full' {
    const { next, at, slot, slots, unknown } = this.#events
    const asked = this.#seen.asked
    asked.fill(0)
    asked[0] = back * 2 + (this.#unnoticed ? 1 : 0)
    asked[1] = this.#state
    for (let event = next[0]!; event !== back; event = next[event]!) {
      const place = slot[at[event]!]!
      asked[2 + (place >>> 5)]! |= 1 << (place & 31)
    }
    const left = 2 + ((slots + 31) >>> 5)
    for (let i = 0; i < unknown.length; i++) if (this.#used[i] === 0) asked[left + (i >>> 5)]! |= 1 << (i & 31)
    return this.#seen.has()
  }

  /**
   * Takes the next operation that can be placed here, after the one named, which was tried. The one whose return
   * waits comes first, so that others are placed only when there is a reason; the unknown ones come last.
   */
  #choose(back: number, tried: number | undefined): boolean {
    const { next, at, callOf, unknown } = this.#events
    const due = ~at[back]!
    if (tried === undefined && this.#try(due, back)) return true
    if (tried === undefined || tried >= 0) {
      const start = tried === undefined || tried === due ? 0 : callOf[tried]!
      for (let event = next[start]!; event !== back; event = next[event]!) {
        if (at[event] !== due && this.#try(at[event]!, back)) return true
      }
    }
    const time = this.#operations[due]!.return!
    for (let i = tried === undefined || tried >= 0 ? 0 : ~tried + 1; i < unknown.length; i++) {
      if (this.#operations[unknown[i]!]!.call > time) break
      if (this.#used[i] === 0 && this.#try(~i, back)) return true
    }
    return false
  }

  /** Places the operation if it is legal here and of use. An unknown one is named by the complement of its place. */
  #try(choice: number, back: number): boolean {
    const operation = this.#operation(choice)
    const { input, output } = this.#operations[operation]!
    const overwrites = this.#model.overwrites?.(input, choice < 0 ? undefined : output) === true
    if (this.#unnoticed && overwrites) return false
    if (this.#events.twins[operation] !== 0 && this.#hasEarlierTwin(choice, back)) return false
    const state = this.#step(operation)
    // An unknown operation need not be placed at all, least of all where it does nothing.
    if (state < 0 || (choice < 0 && state === this.#state)) return false
    this.#take(choice, state, back)
    this.#unnoticed = choice < 0 && overwrites
    return true
  }

  /** Of operations that are the same and could both be placed here, the one that returns first goes first. */
  #hasEarlierTwin(choice: number, back: number): boolean {
    const { next, at, twins, returnOf, unknown } = this.#events
    const twin = twins[this.#operation(choice)]
    const until = choice < 0 ? this.#events.end : returnOf[choice]!
    for (let event = next[0]!; event !== back; event = next[event]!) {
      const other = at[event]!
      if (twins[other] === twin && returnOf[other]! < until) return true
    }
    for (let i = 0; i < ~choice; i++) if (this.#used[i] === 0 && twins[unknown[i]!] === twin) return true
    return false
  }

  #take(choice: number, state: number, back: number): void {
    this.#path.push(choice)
    this.#stateBefore.push(this.#state)
    this.#unnoticedBefore.push(this.#unnoticed)
    this.#returnBefore.push(back)
    this.#state = state
    this.#unnoticed = false
    if (choice < 0) {
      this.#used[~choice] = 1
      return
    }
    const { next, previous, callOf, returnOf } = this.#events
    // The return before the call: so the call's `next` stays right for who stands on it.
    for (const event of [returnOf[choice]!, callOf[choice]!]) {
      next[previous[event]!] = next[event]!
      previous[next[event]!] = previous[event]!
    }
  }

  /** Undoes choices until another one can be made. False: there was none. */
  #backtrack(): boolean {
    const { next, previous, callOf, returnOf } = this.#events
    for (;;) {
      const choice = this.#path.pop()
      if (choice === undefined) return false
      this.#state = this.#stateBefore.pop()!
      this.#unnoticed = this.#unnoticedBefore.pop()!
      if (choice < 0) this.#used[~choice] = 0
      else {
        // In the reverse order of their removal: each event still knows its neighbours of then.
        for (const event of [callOf[choice]!, returnOf[choice]!]) {
          next[previous[event]!] = event
          previous[next[event]!] = event
        }
      }
      const back = this.#returnBefore.pop()!
      if (back > 0 && this.#choose(back, choice)) return true
    }
  }

  #operation(choice: number): number {
    return choice < 0 ? this.#events.unknown[~choice]! : choice
  }

  /** The number of the state after the operation, -1 if it is illegal here. */
  #step(operation: number): number {
    this.steps++
    const hash = (Math.imul(this.#state, 0x9e3779b1) ^ Math.imul(operation, 0x85ebca6b)) >>> 7
    const offset = (hash % (this.#memo.length / 3)) * 3
    const memo = this.#memo
    if (memo[offset] === this.#state + 1 && memo[offset + 1] === operation) return memo[offset + 2]!
    const { input, output, ok } = this.#operations[operation]!
    const after = this.#model.step(this.#values[this.#state]!, input, ok === true ? output : undefined)
    const state = after === illegal ? -1 : this.#number(after)
    memo[offset] = this.#state + 1
    memo[offset + 1] = operation
    memo[offset + 2] = state
    return state
  }

  #number(value: State): number {
    const id = identity(value)
    const known = this.#numbers.get(id)
    if (known !== undefined) return known
    const number = this.#values.push(value) - 1
    this.#numbers.set(id, number)
    this.#stateBytes += 100 + (typeof id === 'string' ? id.length : 0)
    return number
  }

  #lookAround(): void {
    if (this.#path.length > this.best.length) this.best = this.placed()
    const state = this.#values[this.#state]!
    if (this.states.length < statesShown && !this.states.includes(state)) this.states.push(state)
  }
}
