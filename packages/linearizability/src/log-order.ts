import type { Json } from './canonical.ts'
import { checkOperation } from './check.ts'
import { HistoryError, type Operation } from './history.ts'
import { type Command, keyValue, type Stored } from './key-value.ts'
import { illegal, type Model } from './model.ts'

export interface OrderOffence<State, Input, Output> {
  /**
   * `time`: `operation` began after `other` had ended, and stands before it in the log. `output`: replayed in the
   * order of the log, the object was in `state`, where `operation` cannot have given its output. `index`: two that
   * are no reads, `other` and `operation`, have one index.
   */
  readonly reason: 'time' | 'output' | 'index'
  readonly operation: Operation<Input, Output>
  readonly other?: Operation<Input, Output>
  readonly state?: State
}

export interface OrderReport<State, Input, Output> {
  readonly verdict: 'ok' | 'illegal'
  readonly operations: number
  readonly checked: number
  readonly dropped: number
  /** The first of each kind and key. At most 20. */
  readonly offending: readonly OrderOffence<State, Input, Output>[]
}

const offencesKept = 20

/**
 * Whether the order of the log is a linearization. It knows more than `checkHistory` is told, and so takes n·log n
 * steps and is never undecided. Operations that succeeded need an `index`; a read's is the last entry that it saw.
 * Unknown ones that have none never got into the log, and are left out.
 *
 * It relies on the indexes: they must come from the log, not from whom is tested. Ok means linearizable; illegal means
 * that this order is wrong, which `checkHistory` may see otherwise.
 */
export function checkOrder(operations: Iterable<Operation<Command, Json>>): OrderReport<Stored, Command, Json>
export function checkOrder<State, Input, Output>(
  operations: Iterable<Operation<Input, Output>>,
  options: { readonly model: Model<State, Input, Output> },
): OrderReport<State, Input, Output>
export function checkOrder(
  operations: Iterable<Operation<unknown, unknown>>,
  { model = keyValue as Model<unknown, unknown, unknown> }: { readonly model?: Model<unknown, unknown, unknown> } = {},
): OrderReport<unknown, unknown, unknown> {
  let count = 0
  const placed: Placed[] = []
  for (const operation of operations) {
    count++
    checkOperation(model, operation, count)
    const { input, output, ok, index } = operation
    if (ok === false || (ok === 'unknown' && index === undefined)) continue
    if (index === undefined) {
      throw new HistoryError(`operation ${count}: it succeeded and has no index, so the log cannot order it`, count)
    }
    const reads = model.reads?.(input, ok === true ? output : undefined) === true
    // An answer that never came is in no order with anything.
    placed.push({ operation, index, reads, end: ok === true ? operation.return! : Number.POSITIVE_INFINITY })
  }
  if (count === 0) {
    throw new HistoryError('the history is empty: nothing was tested, which must not look like success')
  }

  // A read comes behind the entry that it saw.
  placed.sort((a, b) => a.index - b.index || Number(a.reads) - Number(b.reads) || a.operation.call - b.operation.call)
  const offending = [...sharedIndexes(placed), ...againstTime(placed), ...againstModel(placed, model)]
  return {
    verdict: offending.length === 0 ? 'ok' : 'illegal',
    operations: count,
    checked: placed.length,
    dropped: count - placed.length,
    offending: offending.slice(0, offencesKept),
  }
}

interface Placed {
  readonly operation: Operation<unknown, unknown>
  readonly index: number
  readonly reads: boolean
  readonly end: number
}

type Found = OrderOffence<unknown, unknown, unknown>[]

function sharedIndexes(placed: readonly Placed[]): Found {
  const found: Found = []
  const writes = placed.filter(({ reads }) => !reads)
  for (let i = 1; i < writes.length && found.length < offencesKept; i++) {
    const [other, here] = [writes[i - 1]!, writes[i]!]
    if (other.index === here.index) found.push({ reason: 'index', operation: here.operation, other: other.operation })
  }
  return found
}

/** Who began after another had ended must stand behind it. */
function againstTime(placed: readonly Placed[]): Found {
  const found: Found = []
  const byCall = placed.slice().sort((a, b) => a.operation.call - b.operation.call)
  const byEnd = placed.slice().sort((a, b) => (a.end === b.end ? 0 : a.end - b.end))
  let ended = 0
  let last: Placed | undefined
  for (const here of byCall) {
    for (; byEnd[ended]!.end < here.operation.call; ended++) {
      if (last === undefined || byEnd[ended]!.index > last.index) last = byEnd[ended]
    }
    if (last === undefined || last.index < here.index || (last.index === here.index && here.reads)) continue
    found.push({ reason: 'time', operation: here.operation, other: last.operation })
    if (found.length === offencesKept) break
  }
  return found
}

/** Replay: one that is illegal is reported, and its key no longer, for all that follows from it is wrong too. */
function againstModel(placed: readonly Placed[], model: Model<unknown, unknown, unknown>): Found {
  const found: Found = []
  const states = new Map<string, unknown>()
  for (const { operation } of placed) {
    const { key, input, output, ok } = operation
    const state = states.has(key) ? states.get(key) : model.initial
    if (state === illegal) continue
    const after = model.step(state, input, ok === true ? output : undefined)
    states.set(key, after)
    if (after === illegal) found.push({ reason: 'output', operation, state })
    if (found.length === offencesKept) break
  }
  return found
}
