import { checkHistory, checkOrder, type Json, type KeyValueOperation } from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'
import { bruteForce, bySets } from './brute-force.ts'
import { linearizable, random, type Shape } from './random-history.ts'

const histories = 10_000

/** A small history, and in most cases a lie or two in it. */
function drawn(seed: number): KeyValueOperation[] {
  const next = random(seed)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!
  const shape: Shape = {
    operations: 6 + Math.floor(next() * 7),
    clients: 3 + Math.floor(next() * 2),
    keys: pick([1, 1, 1, 2]),
    values: pick([2, 3, Number.POSITIVE_INFINITY]),
    unknown: pick([0.1, 0.2, 0.3]),
    ops: pick([
      ['get', 'put'],
      ['get', 'put', 'cas'],
      ['get', 'get', 'put', 'cas', 'delete'],
      ['get', 'append'],
      ['get', 'put', 'append', 'delete', 'cas'],
    ] as const),
  }
  let history = linearizable(next, shape)
  // At most three unknown: brute force tries every subset of them.
  let unknown = 0
  history = history.filter(({ ok }) => ok !== 'unknown' || ++unknown <= 3)
  for (let lies = pick([0, 0, 2, 3, 4, 5]); lies > 0; lies--) history = withLie(history, next)
  return history
}

function withLie(history: readonly KeyValueOperation[], next: () => number): KeyValueOperation[] {
  const at = Math.floor(next() * history.length)
  const said = history.flatMap(({ output }) => (output === undefined ? [] : [output]))
  const lie = (operation: KeyValueOperation): KeyValueOperation => {
    const { input, ok, output, call } = operation
    if (ok !== true) return operation
    const way = next()
    // It was over earlier than it was; or its answer is another one.
    if (way < 0.3) return { ...operation, return: call + (operation.return! - call) * next() * 0.3 }
    if (input.op === 'cas' || input.op === 'delete') return { ...operation, output: output !== true }
    if (input.op === 'get' || input.op === 'append') {
      const others = said.filter((other): other is Json => typeof other !== 'boolean' && other !== output)
      const chosen = others[Math.floor(next() * others.length)] ?? (input.op === 'get' ? null : 'x')
      return { ...operation, output: input.op === 'append' ? `${chosen}` : chosen }
    }
    return operation
  }
  return history.map((operation, i) => (i === at ? lie(operation) : operation))
}

/** The most operations that are open at one time. */
function concurrency(history: readonly KeyValueOperation[]): number {
  return Math.max(
    ...history.map(
      ({ call }) => history.filter((o) => o.call <= call && (o.return ?? Number.POSITIVE_INFINITY) >= call).length,
    ),
  )
}

describe('against brute force', () => {
  test(`${histories} random small histories get the verdict of the definition`, () => {
    const count = { illegal: 0, unknown: 0, clients: 0, concurrent: 0 }
    for (let seed = 1; seed <= histories; seed++) {
      const history = drawn(seed)
      const legal = bruteForce(history)
      const report = checkHistory(history)
      if (report.verdict !== (legal ? 'ok' : 'illegal')) {
        expect.fail(
          `seed ${seed}: the checker says ${report.verdict}, brute force ${legal}\n${JSON.stringify(history, null, 1)}`,
        )
      }
      if (!legal) count.illegal++
      if (report.unknown > 0) count.unknown++
      if (report.clients >= 3) count.clients++
      if (concurrency(history) >= 3) count.concurrent++
    }
    expect(count.illegal).toBeGreaterThan(histories * 0.3)
    expect(count.illegal).toBeLessThan(histories * 0.7)
    expect(count.unknown).toBeGreaterThan(histories * 0.5)
    expect(count.clients).toBe(histories)
    expect(count.concurrent).toBeGreaterThan(histories * 0.9)
  }, 120_000)

  test('longer histories with more unknown outcomes get the verdict of a search without any reduction', () => {
    let illegal = 0
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed)
      let history = linearizable(next, {
        operations: 32,
        clients: 3 + Math.floor(next() * 4),
        keys: 1,
        values: seed % 2 === 0 ? 3 : Number.POSITIVE_INFINITY,
        unknown: 0.15,
        ops: seed % 3 === 0 ? ['get', 'append', 'delete'] : ['get', 'get', 'put', 'cas', 'delete'],
      })
      for (let lies = seed % 4; lies > 0; lies--) history = withLie(history, next)
      const legal = bySets(history)
      if (!legal) illegal++
      expect(checkHistory(history).verdict, `seed ${seed}`).toBe(legal ? 'ok' : 'illegal')
    }
    expect(illegal).toBeGreaterThan(60)
  }, 120_000)

  test('the order of the log is a linearization, where the history says the truth', () => {
    for (let seed = 1; seed <= 2000; seed++) {
      const history = linearizable(random(seed), {
        operations: 30,
        clients: 4,
        keys: 3,
        values: 3,
        unknown: 0.1,
        ops: ['get', 'put', 'cas', 'append', 'delete'],
      })
      expect(checkOrder(history).verdict, `seed ${seed}`).toBe('ok')
      expect(checkHistory(history).verdict, `seed ${seed}`).toBe('ok')
    }
  })

  test('what the order of the log refuses on a small history, or accepts, agrees with the definition', () => {
    let illegal = 0
    for (let seed = 1; seed <= 2000; seed++) {
      const history = drawn(seed)
      const { verdict } = checkOrder(history)
      if (verdict === 'ok') expect(bruteForce(history), `seed ${seed}`).toBe(true)
      if (!bruteForce(history)) {
        illegal++
        expect(verdict, `seed ${seed}`).toBe('illegal')
      }
    }
    expect(illegal).toBeGreaterThan(600)
  })
})
