import type { Json, KeyValueOperation } from '@raftkit/linearizability'

/**
 * The definition, word for word, and nothing else: some order of all the operations, those of unknown outcome left out
 * or not, in which none comes before one that had returned when it was called, and which the store, executed, agrees
 * with. No partition by key, no cache, no reduction; nothing of it is shared with the checker.
 */
export function bruteForce(history: readonly KeyValueOperation[]): boolean {
  const certain = history.filter(({ ok }) => ok === true)
  const maybe = history.filter(({ ok }) => ok === 'unknown')
  for (let chosen = 0; chosen < 1 << maybe.length; chosen++) {
    if (someOrder([...certain, ...maybe.filter((_, i) => chosen & (1 << i))], {})) return true
  }
  return false
}

function someOrder(left: readonly KeyValueOperation[], store: Readonly<Record<string, Json>>): boolean {
  if (left.length === 0) return true
  return left.some((operation) => {
    const mayBeFirst = left.every((other) => other.ok === 'unknown' || !(other.return! < operation.call))
    if (!mayBeFirst) return false
    const after = execute(operation, store)
    return (
      after !== undefined &&
      someOrder(
        left.filter((other) => other !== operation),
        after,
      )
    )
  })
}

function execute(
  { key, input, output, ok }: KeyValueOperation,
  store: Readonly<Record<string, Json>>,
): Readonly<Record<string, Json>> | undefined {
  const before = store[key] ?? null
  const agrees = (answer: Json): boolean => ok === 'unknown' || output === undefined || output === answer
  const { [key]: _, ...without } = store
  if (input.op === 'put') return { ...store, [key]: input.value }
  if (input.op === 'get') return agrees(before) ? store : undefined
  if (input.op === 'delete') return agrees(before !== null) ? without : undefined
  if (input.op === 'append') {
    const text = `${before ?? ''}${input.text}`
    return agrees(text) ? { ...store, [key]: text } : undefined
  }
  const swaps = before === input.from
  if (!agrees(swaps)) return undefined
  return swaps ? { ...store, [key]: input.to } : store
}

/**
 * The same, for histories that are too long for it, of one key: level by level, the set of all pairs of operations
 * done and value that they can lead to. No reduction, no choice of what comes first.
 */
export function bySets(history: readonly KeyValueOperation[]): boolean {
  const operations = history.filter(({ ok, input }) => ok === true || (ok === 'unknown' && input.op !== 'get'))
  const all = operations.reduce((set, { ok }, i) => (ok === true ? set | (1n << BigInt(i)) : set), 0n)
  let level = new Map<string, [bigint, Readonly<Record<string, Json>>]>([['', [0n, {}]]])
  while (level.size > 0) {
    const below: typeof level = new Map()
    for (const [done, store] of level.values()) {
      if ((done & all) === all) return true
      const left = operations.filter((_, i) => (done & (1n << BigInt(i))) === 0n)
      const bound = Math.min(...left.map((o) => (o.ok === true ? o.return! : Number.POSITIVE_INFINITY)))
      for (const operation of left) {
        if (operation.call > bound) continue
        const after = execute(operation, store)
        if (after === undefined) continue
        const set = done | (1n << BigInt(operations.indexOf(operation)))
        below.set(`${set} ${JSON.stringify(after)}`, [set, after])
      }
    }
    level = below
  }
  return false
}
