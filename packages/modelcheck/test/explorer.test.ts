import { describe, expect, test, vi } from 'vitest'
import { explore } from '../src/explore/explore.ts'
import { type Model, Violation, type Words } from '../src/explore/model.ts'

// Much to compute, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 })

/** `count` counters that go up to `top`, each on its own; every step of one sends a message to the next, whose delivery does nothing. */
function counters(
  count: number,
  top: number,
  check: (values: readonly number[]) => void = () => {},
  sends = false,
): Model {
  const hash = (size: number, seed: number): Words => ({
    words: Int32Array.from({ length: 2 * size }, (_, at) => {
      const mixed = Math.imul((at + 1) ^ seed, 0x9e3779b1)
      return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) ^ (mixed >>> 7)
    }),
  })
  const size = count * (top + 1)
  const of = (id: number): { readonly slot: number; readonly value: number } => ({
    slot: Math.floor(id / (top + 1)),
    value: id % (top + 1),
  })
  return {
    processes: count,
    initial: { processes: Array.from({ length: count }, (_, slot) => slot * (top + 1)), watcher: 0, messages: [] },
    budgets: [{ name: 'up', limit: 15 }],
    duplicates: -1,
    losses: -1,
    keepsMessages: false,
    permutations: 1,
    hashes: { process: hash(size, 0x51), message: hash(100, 0x7f3a), watcher: hash(1, 0x1357) },
    ways: { words: Int32Array.from({ length: 200 }, (_, at) => (at >> 1) % count) },
    capacity: Number.POSITIVE_INFINITY,
    actions: (id) => (of(id).value < top ? [{ action: 0, budget: -1, when: -1 }] : []),
    act: (id) => ({ next: id + 1, sends: sends ? [(of(id).slot + 1) % count] : [], news: [] }),
    deliver: (id) => ({ next: id, sends: [], news: [] }),
    isDead: () => true,
    watch: (watcher) => watcher,
    check: (state) => check([...state.subarray(0, count)].map((id) => of(id).value)),
    describeAction: (id) => `${of(id).slot} goes up`,
    describeMessage: (message) => `message ${message}`,
    describeProcess: (id) => `${of(id).value}`,
  }
}

describe('the explorer', () => {
  test('sees every state once, and knows when there are no more', () => {
    expect(explore(counters(3, 4))).toEqual({
      distinctStates: 125,
      transitions: 3 * 4 * 25,
      depth: 12,
      deepest: 12,
      exhausted: true,
    })
    expect(explore(counters(2, 99))).toMatchObject({ distinctStates: 10_000, depth: 198 })
  })

  test('tells a shortest run to a state that breaks an invariant', () => {
    const { violation, exhausted } = explore(
      counters(2, 5, ([a, b]) => {
        if (a === 3 && b === 1) throw new Violation('not so', 'three and one')
      }),
    )
    expect(exhausted).toBe(false)
    expect(violation).toMatchObject({ invariant: 'not so', what: 'three and one' })
    expect(violation!.steps).toHaveLength(4)
    expect(violation!.steps.filter((step) => step.startsWith('0 goes up'))).toHaveLength(3)
  })

  test('drops messages that cannot matter, unless it shall not', () => {
    expect(explore(counters(2, 2, undefined, true))).toMatchObject({ distinctStates: 9, exhausted: true })
    const all = explore(counters(2, 2, undefined, true), { reduce: false })
    // To the other one as many messages are under way as steps were made, at most: (1 + 2 + 3)² states.
    expect(all).toMatchObject({ distinctStates: 36, exhausted: true })
  })

  test('stops where it is told to, having followed some runs far', () => {
    const cut = explore(counters(3, 60), { states: 10_000 })
    expect(cut.exhausted).toBe(false)
    expect(cut.deepest).toBeGreaterThan(cut.depth)
    expect(cut.distinctStates).toBeLessThan(10_100)
  })
})
