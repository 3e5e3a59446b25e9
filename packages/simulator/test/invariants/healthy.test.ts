import { describe, expect, test } from 'vitest'
import { allInvariants } from '../../src/index.ts'
import { runPlan } from '../../src/run/simulate.ts'
import { drawPlan } from '../../src/run/swarm.ts'

/** Drawn plans: crashes, wipes, damaged disks, cut and lossy networks, membership changes, transfers, snapshots. */
const seeds = [101, 102, 103, 104, 105, 106]

describe('with all invariants watching', () => {
  test.each(seeds)('seed %i, whatever befalls it, breaks none', { timeout: 60_000 }, async (seed) => {
    const { violation, events } = await runPlan(drawPlan(seed, 3000), allInvariants())
    expect(violation).toBeUndefined()
    expect(events).toBeGreaterThan(2000)
  })
})
