import { describe, expect, test } from 'vitest'
import { drawPlan, readPlan, shrink, simulate, Violation } from '../../src/index.ts'
import { actKinds } from '../../src/run/acts/kinds.ts'
import { failed } from '../../src/run/campaign.ts'
import { runPlan } from '../../src/run/simulate.ts'

describe('a plan', () => {
  test('is decided by its seed, and survives being written down', () => {
    for (let seed = 0; seed < 50; seed++) {
      const plan = drawPlan(seed, 1000)
      expect(drawPlan(seed, 1000)).toEqual(plan)
      expect(readPlan(JSON.stringify(plan))).toEqual(plan)
    }
    expect(drawPlan(1, 1000)).not.toEqual(drawPlan(2, 1000))
  })

  test('among many seeds, draws every kind of act and every size of cluster', () => {
    const plans = Array.from({ length: 400 }, (_, seed) => drawPlan(seed, 1000))
    const kinds = new Set(plans.flatMap(({ acts }) => acts.map(({ kind }) => kind)))
    expect([...actKinds].filter((kind) => !kinds.has(kind))).toEqual([])
    expect(new Set(plans.map(({ founders }) => founders))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7]))
  })

  test('that is none is refused with what is wrong', () => {
    const plan = drawPlan(1, 100)
    for (const bad of [
      '',
      '{}',
      'null',
      JSON.stringify({ ...plan, founders: 70 }),
      JSON.stringify({ ...plan, acts: [{ kind: 'x' }] }),
    ])
      expect(() => readPlan(bad)).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})

describe('a run', () => {
  test('of one seed is the same each time, to the last line of its trace', async () => {
    const lines: string[] = []
    const one = await simulate(drawPlan(12, 1500), (line) => void lines.push(line))
    const other = await simulate(drawPlan(12, 1500))
    expect(one.violation).toBeUndefined()
    expect(other.traceHash).toBe(one.traceHash)
    expect(other.events).toBe(one.events)
    expect(lines.length).toBeGreaterThan(1500)
  })

  test('keeps every invariant, exercises what it drew, converges and serves', async () => {
    for (const seed of [2, 3, 7, 21]) {
      const outcome = await simulate(drawPlan(seed, 1200))
      expect(outcome.violation?.message, `seed ${seed}`).toBeUndefined()
      expect(outcome.convergence, `seed ${seed}`).toBeGreaterThanOrEqual(0)
      expect(outcome.checked, `seed ${seed}`).toBeGreaterThan(0)
    }
  })

  test('that could not do what it drew has failed', async () => {
    const plan = drawPlan(2, 300)
    const act = { at: 1, kind: 'isolate-leader', pick: 1, lasts: 10 } as const
    const outcome = await simulate({ ...plan, founders: 1, spares: 0, acts: [act] })
    expect(outcome.uncovered).toContain('isolate-leader')
    expect(failed(outcome)).toBe(true)
  })

  test('ends with the violation that a watcher throws', async () => {
    const kill = { at: 1, kind: 'kill', pick: 1, lasts: 10 } as const
    const { violation } = await runPlan({ ...drawPlan(3, 500), acts: [kill] }, [
      {
        crashed: () => {
          throw new Violation('nobody dies', 'somebody did')
        },
      },
    ])
    expect(violation?.invariant).toBe('nobody dies')
  })
})

test('shrinking keeps what breaks and drops the rest', async () => {
  const plan = drawPlan(5, 400)
  const wrong = { at: 1, kind: 'isolate-leader', pick: 1, lasts: 10 } as const
  const outcome = await simulate(plan)
  // A made-up violation that no run has: then nothing smaller breaks it, and the plan stays what it was.
  const broken = { ...outcome, violation: { invariant: 'made up', message: '', stack: '', details: '' } }
  const shrunk = await shrink({ ...plan, acts: [wrong] }, broken, 3)
  expect(shrunk.plan.acts).toEqual([wrong])
  expect(shrunk.runs).toBeLessThanOrEqual(3)
})
