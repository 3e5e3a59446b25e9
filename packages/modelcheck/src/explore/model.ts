/**
 * What the explorer explores: processes that change their states one at a time, and a network between them. States of processes, messages and
 * what a watcher knows are interned: small numbers, equal when what they stand for is equal. So a step of the real protocol is computed once for
 * each pair of a local state and an action, however many global states it occurs in.
 */
export interface Model {
  readonly processes: number
  readonly initial: {
    readonly processes: readonly number[]
    readonly watcher: number
    readonly messages: readonly number[]
  }
  /** How often each kind of action may happen in a run; at most 15, at most 16 kinds. */
  readonly budgets: readonly { readonly name: string; readonly limit: number }[]
  /** Index of the budget that delivering a message without removing it takes from; -1: none. */
  readonly duplicates: number
  /** Index of the budget that losing a message takes from; -1: none. It matters only where channels may be full. */
  readonly losses: number
  /** Messages stay for ever and may be delivered again and again: the network is a set that only grows. */
  readonly keepsMessages: boolean

  /** Number of permutations of the processes under which the model is the same; the identity is the first. 1: no symmetry. */
  readonly permutations: number
  readonly hashes: { readonly process: Words; readonly message: Words; readonly watcher: Words }

  /** To which process a message goes, and on which channel: two words for each message. */
  readonly ways: Words
  /** How many messages a channel holds; one that is sent into a full channel is lost. */
  readonly capacity: number

  /** What a process may do of itself. */
  actions(process: number): readonly LocalAction[]
  /** Throws `Violation`. */
  act(process: number, action: number): Transition
  deliver(process: number, message: number): Transition
  /** Delivering it now or ever after changes nothing at all, so that it need not be kept. */
  isDead(process: number, message: number): boolean
  /** What the watcher knows after it was told. Throws `Violation`. */
  watch(watcher: number, news: number): number
  /** Throws `Violation` if the state breaks an invariant. `state` from `at` on: the processes, then the watcher. */
  check(state: Int32Array, at: number): void

  describeAction(process: number, action: number): string
  describeMessage(message: number): string
  describeProcess(process: number): string
}

export interface LocalAction {
  readonly action: number
  /** -1: free. */
  readonly budget: number
  /** Enabled only when the budget has been used exactly so often; -1: whenever it is not used up. */
  readonly when: number
}

/** An array that is replaced as it grows. Of hashes: two words for each id and permutation, at 2 × (id × permutations + p). */
export interface Words {
  readonly words: Int32Array
}

export interface Transition {
  /** -1: outside the bounds of the scope; the state is not entered. */
  readonly next: number
  readonly sends: readonly number[]
  /** For the watcher. */
  readonly news: readonly number[]
}

/** A state that breaks an invariant, or a step that does. */
export class Violation extends Error {
  readonly invariant: string

  constructor(invariant: string, what: string, options?: ErrorOptions) {
    super(what, options)
    this.name = 'Violation'
    this.invariant = invariant
  }
}
