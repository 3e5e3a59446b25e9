import type { Json } from './canonical.ts'
import { Clients, checkShape, HistoryError, type Operation, quote } from './history.ts'
import { type Command, keyValue, type Stored } from './key-value.ts'
import type { Model } from './model.ts'
import { type Budget, search } from './search.ts'

export interface Limits {
  /** Steps of the search per key, after which it is undecided. 20 million by default: a few seconds. */
  readonly steps?: number | undefined
  /** Bytes that the search of a key may take, approximately. 256 MiB by default. */
  readonly memory?: number | undefined
  /** Asked now and then; once it answers true, what is not decided yet is undecided. For a limit in seconds. */
  readonly expired?: (() => boolean) | undefined
}

/** What is wrong with one key. */
export interface Offence<State, Input, Output> {
  readonly key: string
  readonly verdict: 'illegal' | 'undecided'
  /**
   * The operation that cannot be placed: some order has all that returned before it did, none (of those tried) has it,
   * too. Operations that were open then may take part with the answers that they got later.
   */
  readonly operation: Operation<Input, Output>
  /** The longest order that was found. Each operation took effect after those before it. */
  readonly placed: readonly Operation<Input, Output>[]
  /** What the object can be when `operation` has to take its turn, at most 8. */
  readonly states: readonly State[]
  /** Every operation of the key that was checked, in the order of the calls. */
  readonly history: readonly Operation<Input, Output>[]
}

export interface Report<State, Input, Output> {
  /** Undecided is no success: the budget ended before there was an answer. */
  readonly verdict: 'ok' | 'illegal' | 'undecided'
  /** Operations of the history; those that were judged, and those that were left out: failed ones and unknown reads. */
  readonly operations: number
  readonly checked: number
  readonly dropped: number
  /** Operations of unknown outcome, judged or not. */
  readonly unknown: number
  readonly clients: number
  readonly keys: number
  /** Keys by verdict; the others are ok. */
  readonly illegal: number
  readonly undecided: number
  readonly steps: number
  /** The first 20 illegal keys, then undecided ones. */
  readonly offending: readonly Offence<State, Input, Output>[]
}

export type Verdict = Report<unknown, unknown, unknown>['verdict']

/** Takes a history piece by piece, for those that are too big for one array. */
export interface Checker<State, Input, Output> {
  /** In any order. Throws HistoryError if the operation is malformed, or comes after its key was settled. */
  add(operation: Operation<Input, Output>): void
  /** Judges a key whose operations have all been added, and forgets them. */
  settle(key: string): Verdict
  /** Judges what is left. Throws HistoryError if a client's operations overlap, or if there are none at all. */
  finish(): Report<State, Input, Output>
}

const defaults = { steps: 20_000_000, memory: 256 * 1024 * 1024 }
const offencesKept = 20

export function createChecker(limits?: Limits): Checker<Stored, Command, Json>
export function createChecker<State, Input, Output>(
  options: Limits & { readonly model: Model<State, Input, Output> },
): Checker<State, Input, Output>
export function createChecker(
  options: Limits & { readonly model?: Model<unknown, unknown, unknown> } = {},
): Checker<unknown, unknown, unknown> {
  return new KeyedChecker(options.model ?? (keyValue as Model<unknown, unknown, unknown>), budgetOf(options))
}

/**
 * Whether the history is linearizable: whether every operation can have taken effect at one instant between its call
 * and its return. Synchronous, and without clock or randomness of its own: the same history gives the same report.
 *
 * Throws HistoryError if it cannot be judged: a malformed operation, clients with overlapping operations, nothing.
 */
export function checkHistory(
  operations: Iterable<Operation<Command, Json>>,
  limits?: Limits,
): Report<Stored, Command, Json>
export function checkHistory<State, Input, Output>(
  operations: Iterable<Operation<Input, Output>>,
  options: Limits & { readonly model: Model<State, Input, Output> },
): Report<State, Input, Output>
export function checkHistory(
  operations: Iterable<Operation<unknown, unknown>>,
  options: Limits & { readonly model?: Model<unknown, unknown, unknown> } = {},
): Report<unknown, unknown, unknown> {
  const checker = createChecker({ ...options, model: options.model ?? (keyValue as Model<unknown, unknown, unknown>) })
  for (const operation of operations) checker.add(operation)
  return checker.finish()
}

function budgetOf({ steps = defaults.steps, memory = defaults.memory, expired }: Limits): Budget {
  for (const [name, value] of Object.entries({ steps, memory })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${name} must be an integer from 1, not ${value}`)
  }
  return { steps, memory, expired }
}

class KeyedChecker<State, Input, Output> implements Checker<State, Input, Output> {
  readonly #model: Model<State, Input, Output>
  readonly #budget: Budget
  readonly #clients = new Clients()
  /** The operations to judge, by key; undefined once it is settled. */
  readonly #keys = new Map<string, Operation<Input, Output>[] | undefined>()
  readonly #illegal: Offence<State, Input, Output>[] = []
  readonly #undecided: Offence<State, Input, Output>[] = []
  readonly #count = { operations: 0, checked: 0, dropped: 0, unknown: 0, illegal: 0, undecided: 0, steps: 0 }

  constructor(model: Model<State, Input, Output>, budget: Budget) {
    this.#model = model
    this.#budget = budget
  }

  add(operation: Operation<Input, Output>): void {
    const line = ++this.#count.operations
    checkOperation(this.#model, operation, line)
    this.#clients.add(operation, line)
    const { key, input, ok } = operation
    let ofKey = this.#keys.get(key)
    if (ofKey === undefined) {
      if (this.#keys.has(key)) throw new HistoryError(`operation ${line}: key ${quote(key)} was settled before`, line)
      ofKey = []
      this.#keys.set(key, ofKey)
    }
    if (ok === 'unknown') this.#count.unknown++
    // What failed did nothing, and a read that nobody got an answer to says nothing.
    if (ok === false || (ok === 'unknown' && this.#model.reads?.(input, undefined) === true)) this.#count.dropped++
    else {
      this.#count.checked++
      ofKey.push(operation)
    }
  }

  settle(key: string): Verdict {
    const operations = this.#keys.get(key)
    if (operations === undefined) return 'ok'
    this.#keys.set(key, undefined)
    const { verdict, steps, stuck, placed, states } = search(this.#model, operations, this.#budget)
    this.#count.steps += steps
    if (verdict === 'ok') return verdict
    this.#count[verdict]++
    const offences = verdict === 'illegal' ? this.#illegal : this.#undecided
    if (offences.length < offencesKept) {
      offences.push({
        key,
        verdict,
        operation: operations[stuck!]!,
        placed: placed.map((i) => operations[i]!),
        states,
        history: operations.slice().sort((a, b) => a.call - b.call),
      })
    }
    return verdict
  }

  finish(): Report<State, Input, Output> {
    if (this.#count.operations === 0) {
      throw new HistoryError('the history is empty: nothing was tested, which must not look like success')
    }
    this.#clients.verify()
    for (const key of this.#keys.keys()) this.settle(key)
    const { illegal, undecided } = this.#count
    return {
      verdict: illegal > 0 ? 'illegal' : undecided > 0 ? 'undecided' : 'ok',
      ...this.#count,
      clients: this.#clients.size,
      keys: this.#keys.size,
      offending: [...this.#illegal, ...this.#undecided].slice(0, offencesKept),
    }
  }
}

/** Throws HistoryError if nobody can have made this operation. */
export function checkOperation<State, Input, Output>(
  model: Model<State, Input, Output>,
  operation: Operation<Input, Output>,
  line: number,
): void {
  checkShape(operation, line)
  const objection = model.objection?.(operation.input, operation.output, operation.ok)
  if (objection !== undefined) throw new HistoryError(`operation ${line}: ${objection}`, line)
}
