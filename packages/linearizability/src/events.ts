import { canonical } from './canonical.ts'
import type { Operation } from './history.ts'

/**
 * The operations of one key as the search wants them: the known ones as a doubly linked list of call and return
 * events in the order of time, the unknown ones, which never return, as an array in the order of their calls.
 *
 * Events are numbered from 1; 0 is the head of the list and `end` lies behind its last event. Intervals are closed:
 * of events at one instant the calls come first, so that operations which touch count as concurrent.
 */
export interface Events {
  readonly end: number
  readonly next: Int32Array
  readonly previous: Int32Array
  /** The operation whose call the event is, or the complement (~) of the one whose return it is. */
  readonly at: Int32Array
  readonly callOf: Int32Array
  readonly returnOf: Int32Array
  /** A number below `slots` for each known operation, which no other one has while it is open. */
  readonly slot: Int32Array
  readonly slots: number
  /** Unknown operations, by call. */
  readonly unknown: Int32Array
  /** Per operation: equal numbers for the same input and output; 0 if it has no twin. */
  readonly twins: Int32Array
}

export function eventsOf(operations: readonly Operation<unknown, unknown>[]): Events {
  const known: number[] = []
  const unknown: number[] = []
  for (let i = 0; i < operations.length; i++) (operations[i]!.ok === 'unknown' ? unknown : known).push(i)
  const byCall = (a: number, b: number) => operations[a]!.call - operations[b]!.call || a - b
  const byReturn = (a: number, b: number) => operations[a]!.return! - operations[b]!.return! || a - b
  known.sort(byCall)
  unknown.sort(byCall)
  const returning = known.slice().sort(byReturn)

  const end = known.length * 2 + 1
  const at = new Int32Array(end + 1)
  const callOf = new Int32Array(operations.length)
  const returnOf = new Int32Array(operations.length)
  const slot = new Int32Array(operations.length)
  const free: number[] = []
  let slots = 0
  for (let event = 1, calls = 0, returns = 0; event < end; event++) {
    const call = known[calls]
    const back = returning[returns]!
    if (call !== undefined && operations[call]!.call <= operations[back]!.return!) {
      at[event] = call
      callOf[call] = event
      slot[call] = free.pop() ?? slots++
      calls++
    } else {
      at[event] = ~back
      returnOf[back] = event
      free.push(slot[back]!)
      returns++
    }
  }

  const next = Int32Array.from({ length: end + 1 }, (_, event) => event + 1)
  const previous = Int32Array.from({ length: end + 1 }, (_, event) => event - 1)
  return {
    end,
    next,
    previous,
    at,
    callOf,
    returnOf,
    slot,
    slots,
    unknown: Int32Array.from(unknown),
    twins: twinsOf(operations),
  }
}

function twinsOf(operations: readonly Operation<unknown, unknown>[]): Int32Array {
  const twins = new Int32Array(operations.length)
  const first = new Map<string, number>()
  operations.forEach(({ input, output, ok }, i) => {
    const text = canonical([input, ok === true && output !== undefined ? [output] : []])
    const other = first.get(text)
    if (other === undefined) first.set(text, i)
    else {
      twins[other] = other + 1
      twins[i] = other + 1
    }
  })
  return twins
}
