import type { Membership } from '@raftkit/contract'
import { describe, expect, test, vi } from 'vitest'
import { type Exploration, explore } from '../src/explore/explore.ts'
import type { Scope } from '../src/system/scope.ts'
import { System, type SystemOptions } from '../src/system/system.ts'

// Much to compute, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 })

const small: Scope = {
  name: 'small',
  about: 'one leader, one rival',
  servers: ['n1', 'n2', 'n3'],
  budgets: { campaign: 2 },
  term: 2,
  impatient: true,
  flushesAtOnce: true,
  channel: 1,
}

/** A single vote is a quorum. */
const broken: Membership<never> = {
  isQuorum: (config, has) => config.members.some(has),
  begin: (config) => config,
  next: () => undefined,
}

const ways: readonly (SystemOptions & { readonly reduce: boolean })[] = [
  { symmetry: true, reduce: true },
  { symmetry: false, reduce: true },
  { symmetry: true, reduce: false },
  { symmetry: false, reduce: false },
]

const all = (scope: Scope): Exploration[] => ways.map((way) => explore(new System(scope, way), way))

describe('the reductions', () => {
  test('leave out states, not verdicts: a protocol that keeps its promises', () => {
    const verdicts = all(small)
    for (const { exhausted, violation } of verdicts) {
      expect(violation).toBeUndefined()
      expect(exhausted).toBe(true)
    }
    const [both, por, symmetry, none] = verdicts.map(({ distinctStates }) => distinctStates)
    console.info(`distinct states: ${none} in full, ${por} by partial order, ${symmetry} by symmetry, ${both} by both`)
    expect(both).toBeLessThan(Math.min(por!, symmetry!))
    expect(Math.max(por!, symmetry!)).toBeLessThan(none!)
    // Six ways to name three servers: no more than that is gained.
    expect(por).toBeLessThanOrEqual(6 * both!)
    expect(none).toBeLessThanOrEqual(6 * symmetry!)
  })

  test('leave out states, not verdicts: one that does not', () => {
    const verdicts = all({ ...small, membership: broken })
    console.info(
      `states until one vote was too few: ${verdicts.map(({ distinctStates }) => distinctStates).join(', ')}`,
    )
    expect(new Set(verdicts.map(({ violation }) => violation?.invariant)).size).toBe(1)
    // All of them are shortest runs.
    expect(new Set(verdicts.map(({ violation }) => violation!.steps.length)).size).toBe(1)
  })
})

describe('the digest', () => {
  // If it left out anything that matters, what is reached would depend on which of two servers with one digest is asked.
  const scopes: readonly [depth: number, scope: Scope][] = [
    [9, { ...small, budgets: { timeout: 2, crash: 1 }, impatient: false, flushesAtOnce: false }],
    [6, { ...small, budgets: { propose: 2, campaign: 1, retry: 2, heartbeat: 1, duplicate: 1 }, term: 3, isLed: true }],
    [
      9,
      {
        ...small,
        budgets: { propose: 1, snapshot: 1, crash: 1, retry: 1 },
        limits: { trailingEntries: 0 },
        term: 3,
        isLed: true,
      },
    ],
    [
      6,
      { ...small, budgets: { propose: 1, read: 2, campaign: 1, transfer: 1 }, clientsAt: 'all', term: 3, isLed: true },
    ],
  ]
  test.each(scopes)(
    'servers with equal digests do the same from then on, %d steps far',
    (depth, scope) => {
      const [first, newest] = [false, true].map((keepsNewest) => {
        const system = new System(scope, { keepsNewest })
        const { violation, ...figures } = explore(system, { depth })
        return { violation, ...figures, local: system.localStates, messages: system.messages }
      })
      expect(first!.violation).toBeUndefined()
      expect(newest).toEqual(first)
    },
    60_000,
  )
})
