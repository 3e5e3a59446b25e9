import { isRaftkitError } from '@raftkit/contract'
import { describe, expect, it } from 'vitest'
import { clientSession } from '../src/client-session.ts'
import { readEntry } from '../src/entry.ts'
import type { Refusal } from '../src/refusal.ts'
import { type ReplicatedMachine, replicate } from '../src/replicate.ts'
import { calm, Sequencer } from './sequencer.ts'
import { type Ending, hex, itemsOf, list, watch } from './session-world.ts'
import { VirtualWorld } from './virtual-world.ts'

describe('exactly once, on thousands of schedules', () => {
  /** Clients that share a small session table, over a network that does its worst; then calm, until nothing is under way. */
  async function schedule(seed: number, tally: Record<string, number>): Promise<void> {
    const world = new VirtualWorld(seed)
    const pick = (choices: readonly number[]): number => choices[Math.floor(world.next() * choices.length)]!
    const sequencer = new Sequencer(world, list)
    sequencer.weather = {
      refused: pick([0, 0.2, 0.5]),
      lost: pick([0, 0.1, 0.4]),
      duplicated: pick([0, 0.3, 0.9]),
      replyLost: pick([0, 0.2, 0.5]),
      error: pick([0, 0.1, 0.4]),
      delay: pick([1, 30, 300]),
    }
    const clients = 1 + Math.floor(world.next() * 4)
    const maxSessions = pick([1, 2, 3, 100])
    const sessions = Array.from({ length: clients }, () => {
      // Each client knows a replica of its own, which may be behind.
      let known = 0
      return clientSession({
        propose: sequencer.propose,
        environment: world,
        applied: () => {
          if (world.next() < 0.7) known = sequencer.machine.applied
          return known
        },
        timeout: pick([400, 2_000, 20_000]),
        attemptTimeout: pick([40, 150, 500]),
        maxSessions,
      })
    })
    const calls: { item: string; ending: Ending }[] = []
    const count = 5 + Math.floor(world.next() * 25)
    for (let i = 0; i < count; i++)
      world.after(world.next() * 600, () => {
        const item = `item ${i}`
        const controller = new AbortController()
        const session = sessions[Math.floor(world.next() * clients)]!
        const call = session.call(world.next() < 0.2 ? 'appendOrRefuse' : 'append', item, {
          signal: controller.signal,
          retry: world.next() < 0.9,
        })
        calls.push({ item, ending: watch(call) })
        if (world.next() < 0.1) world.after(world.next() * 200, () => controller.abort())
      })
    let restored: ReplicatedMachine | undefined
    let restoredAt = 0
    world.after(300, () => {
      const replica = replicate(list)
      const at = sequencer.log.length
      void replica.restore(sequencer.machine.snapshot()).then(() => {
        restored = replica
        restoredAt = at
      })
    })
    if (world.next() < 0.3) world.after(world.next() * 600, () => void sessions[0]!.close())
    world.after(1_000, () => {
      sequencer.weather = calm
    })
    await world.run()

    const executed = new Map<string, number>()
    for (const item of itemsOf(sequencer.machine)) executed.set(item, (executed.get(item) ?? 0) + 1)
    for (const { item, ending } of calls) {
      const times = executed.get(item) ?? 0
      const { error } = ending
      const kind =
        error === undefined || !isRaftkitError(error)
          ? 'acknowledged'
          : error.outcome === 'refused'
            ? 'refused'
            : 'unknown'
      tally[kind] = (tally[kind] ?? 0) + 1
      if (isRaftkitError(error)) tally[error.code] = (tally[error.code] ?? 0) + 1
      const where = `seed ${seed}, ${item}: ${kind} (${String(error)}) executed ${times} times`
      expect(Object.keys(ending), `${where}: never settled`).toHaveLength(1)
      if (kind === 'acknowledged') expect(times, where).toBe(1)
      else if (kind === 'unknown') expect(times, where).toBeLessThanOrEqual(1)
      else expect(times, where).toBe(0)
      // The answer is the one of the execution: the place of the item at that time.
      const answer = error === undefined ? ending.value : (error as Refusal).details
      if (kind === 'acknowledged') expect(itemsOf(sequencer.machine)[(answer as number) - 1], where).toBe(item)
    }
    const replayed = replicate(list)
    replayed.apply(sequencer.log)
    expect(hex(replayed.encode())).toBe(hex(sequencer.machine.encode()))
    restored!.apply(sequencer.log.slice(restoredAt))
    expect(hex(restored!.encode())).toBe(hex(sequencer.machine.encode()))
    expect(world.pending).toBe(0)
    tally.reopened =
      (tally.reopened ?? 0) + sequencer.log.filter((entry) => readEntry(entry.data).type === 'open').length
    tally.entries = (tally.entries ?? 0) + sequencer.log.length
  }

  it('acknowledged is executed once, refused never, unknown at most once; replicas agree', async () => {
    const tally: Record<string, number> = {}
    for (let seed = 1; seed <= 2_000; seed++) await schedule(seed, tally)
    // A run that did not meet its faults proves nothing.
    for (const [what, least] of Object.entries({
      acknowledged: 15_000,
      unknown: 2_000,
      refused: 2_000,
      SESSION_EXPIRED: 500,
      TIMEOUT: 1_000,
      ABORTED: 1_000,
      CLOSED: 1_000,
    }))
      expect(tally[what], JSON.stringify(tally)).toBeGreaterThanOrEqual(least)
  }, 120_000)
})
