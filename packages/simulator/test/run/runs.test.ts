import { describe, expect, test, vi } from 'vitest'
import { drawPlan, type Outcome, type Plan, readPlan, shrink, simulate, Violation } from '../../src/index.ts'
import { actKinds, networkKinds } from '../../src/run/acts/kinds.ts'
import { failed } from '../../src/run/campaign.ts'
import { Run } from '../../src/run/run.ts'
import { runPlan } from '../../src/run/simulate.ts'
import { leaveOut, planFor } from '../../src/run/wishes.ts'

// Whole runs: on a machine that has other things to do they take their time.
vi.setConfig({ testTimeout: 120_000 })

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

  test('hears every event of its nodes, and finds one that is not told', async () => {
    const plan = { ...drawPlan(3, 600), listen: { buffer: 8, pause: 10 } }
    const heard = await runPlan(plan)
    expect(heard.violation).toBeUndefined()
    expect(heard.counts.get('events heard')).toBeGreaterThan(100)
    expect(heard.counts.get('events missed')).toBeGreaterThan(0)

    const run = new Run(plan, [])
    run.start()
    await run.world.run({ when: () => run.servers[0]!.state === 'up' })
    await run.world.run({ until: run.world.now + plan.node.timing.electionTimeout! })
    run.listeners.told(run.servers[0]!, { type: 'ready', at: 0, node: 'n1', group: 'main' })
    await expect(run.world.run({ events: plan.events })).rejects.toMatchObject({ invariant: 'events are told' })
    run.world.close()
  })

  test('through blackouts loses nothing that was acknowledged', async () => {
    const plan = planFor(3, { events: 2000, blackouts: 8 })
    const outcome = await simulate(plan)
    expect(outcome.violation?.message).toBeUndefined()
    expect(outcome.faults.blackout).toBeGreaterThan(4)
    expect(outcome.acknowledged).toBeGreaterThan(0)
    expect(outcome.lost).toBe(0)
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

test('kinds of faults are left out by name or family; one that there is not is refused with those that there are', () => {
  const plan = leaveOut(drawPlan(8, 1000), ['network', 'kill', 'loss'])
  const kinds: readonly string[] = [...networkKinds, 'kill']
  expect(plan.acts.filter(({ kind }) => kinds.includes(kind))).toEqual([])
  expect(plan.acts.length).toBeGreaterThan(0)
  expect(plan.weather.loss).toBe(0)
  expect(() => leaveOut(plan, ['bad-luck'])).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION' }))
})

test('shrinking finds the one operation and the one act that it takes', async () => {
  const plan = drawPlan(3, 300)
  const outcome = await simulate(plan)
  const needed = plan.acts[1]!
  // Made up, and so without a run: it breaks as long as that act and that operation are in.
  const carry = async ({ acts, workload }: Plan): Promise<Outcome> => {
    const begun = Array.from({ length: workload.clients }, () => Math.min(8, workload.operations))
    const done = acts.includes(needed) && begun[0]! > 3 && !workload.without?.includes('c1:3')
    const violation = { invariant: 'made up', message: '', stack: '', details: '' }
    return { ...outcome, begun, ...(done && { violation }) }
  }
  const { plan: smallest, ...shrunk } = await shrink(plan, await carry(plan), 200, carry)
  expect(smallest.acts).toEqual([needed])
  expect(smallest.workload.clients).toBe(1)
  const left = Array.from({ length: shrunk.outcome.begun[0]! }, (_, number) => `c1:${number}`)
  expect(left.filter((name) => !smallest.workload.without!.includes(name))).toEqual(['c1:3'])
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
