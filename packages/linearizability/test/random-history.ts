import type { Command, Json, KeyValueOperation } from '@raftkit/linearizability'

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Shape {
  readonly operations: number
  readonly clients: number
  readonly keys: number
  /** How many different values are written; few make histories ambiguous, Infinity makes every value its own. */
  readonly values: number
  /** Chance that an outcome is unknown. */
  readonly unknown: number
  readonly ops: readonly Command['op'][]
}

/**
 * A history that is linearizable, for a real object executed every operation at one instant of its interval. An unknown
 * write was executed at any later instant, or never. Every operation has the index of its execution.
 */
export function linearizable(next: () => number, shape: Shape): KeyValueOperation[] {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!
  let values = 0
  const value = (): Json =>
    shape.values === Number.POSITIVE_INFINITY ? ++values : Math.floor(next() * shape.values) + 1
  const clock = Array.from({ length: shape.clients }, () => next() * 10)
  const names = clock.map((_, i) => i)
  let fresh = shape.clients
  const planned = Array.from({ length: shape.operations }, () => {
    const client = clock.indexOf(Math.min(...clock))
    const call = clock[client]! + next()
    const end = call + next() * 20
    const unknown = next() < shape.unknown
    const at = unknown ? (next() < 0.4 ? Number.POSITIVE_INFINITY : call + next() * 60) : call + next() * (end - call)
    clock[client] = end + next() * 3
    const name = names[client]!
    if (unknown) names[client] = fresh++
    return { client: name, call, end, at, unknown, key: `k${Math.floor(next() * shape.keys)}`, op: pick(shape.ops) }
  })
  const store = new Map<string, Json>()
  const found: KeyValueOperation[] = []
  let index = 0
  for (const { client, call, end, at, unknown, key, op } of planned.sort((a, b) => a.at - b.at)) {
    const before = store.get(key) ?? null
    const input = commandOf(op, value(), next() < 0.6 ? before : value())
    const never = at === Number.POSITIVE_INFINITY
    const output = never ? undefined : execute(store, key, input)
    found.push({
      client,
      key,
      input,
      call,
      ...(unknown ? { ok: 'unknown' } : { ok: true, return: end }),
      ...(!unknown && output !== undefined && { output }),
      ...(!never && { index: op === 'get' ? index : ++index }),
    } as KeyValueOperation)
  }
  return found.sort((a, b) => a.call - b.call)
}

function commandOf(op: Command['op'], value: Json, from: Json): Command {
  if (op === 'put') return { op, value: `${value}` }
  if (op === 'cas') return { op, from, to: `${value}` }
  if (op === 'append') return { op, text: `${value}.` }
  return { op }
}

function execute(store: Map<string, Json>, key: string, input: Command): Json | undefined {
  const before = store.get(key) ?? null
  if (input.op === 'get') return before
  if (input.op === 'put') store.set(key, input.value)
  if (input.op === 'cas' && before === input.from) store.set(key, input.to)
  if (input.op === 'cas') return before === input.from
  if (input.op === 'append') {
    store.set(key, `${before ?? ''}${input.text}`)
    return store.get(key)!
  }
  if (input.op === 'delete') return store.delete(key)
  return undefined
}
