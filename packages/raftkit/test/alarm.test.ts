import { expect, test } from 'vitest'
import { Alarm } from '../src/alarm.ts'
import { VirtualWorld } from './virtual-world.ts'

/** What waits: each until its deadline; and when each was ended. */
function setUp(deadlines: readonly number[]): {
  world: VirtualWorld
  ended: number[][]
  looks: () => number
  alarm: Alarm
} {
  const world = new VirtualWorld(1)
  const waiting = new Set(deadlines)
  const ended: number[][] = []
  let looks = 0
  const alarm = new Alarm(world, (now) => {
    looks++
    for (const deadline of waiting) if (deadline <= now && waiting.delete(deadline)) ended.push([deadline, now])
    return Math.min(...waiting)
  })
  for (const deadline of deadlines) alarm.set(deadline)
  return { world, ended, looks: () => looks, alarm }
}

test('every deadline is noticed when it comes, in whatever order they were set', async () => {
  const { world, ended } = setUp([300, 100, 200])
  await world.run()
  expect(ended).toEqual([
    [100, 100],
    [200, 200],
    [300, 300],
  ])
})

test('many that come one by one are noticed together, none of them early, and late by a moment at most', async () => {
  const deadlines = Array.from({ length: 1000 }, (_, i) => 100 + i / 10)
  const { world, ended, looks } = setUp(deadlines)
  await world.run()
  expect(ended.map(([deadline]) => deadline)).toEqual(deadlines)
  for (const [deadline, now] of ended) {
    expect(now).toBeGreaterThanOrEqual(deadline!)
    expect(now! - deadline!).toBeLessThanOrEqual(10)
  }
  expect(looks()).toBeLessThanOrEqual(12)
})

test('what never ends sets no timer, and one that is off leaves none', () => {
  const { world, alarm } = setUp([Number.POSITIVE_INFINITY])
  expect(world.pending).toBe(0)
  alarm.set(100)
  expect(world.pending).toBe(1)
  alarm.off()
  expect(world.pending).toBe(0)
  alarm.set(200)
  expect(world.pending).toBe(1)
})
