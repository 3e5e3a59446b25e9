import { describe, expect, test } from 'vitest'
import { Outbox, weightOf } from '../src/outbox.ts'

const bytes = (size: number) => [new Uint8Array(size)] as const

function fill(limit: number, sizes: readonly number[]): Outbox {
  const outbox = new Outbox(limit)
  for (const size of sizes) outbox.add(bytes(size), size)
  return outbox
}

describe('an outbox', () => {
  test('gives all that waits at once, in order, as the parts that it was given', () => {
    const outbox = new Outbox(10_000)
    const frames = [bytes(3), [], [new Uint8Array(1), new Uint8Array(2)]]
    for (const frame of frames) outbox.add(frame, 3)
    expect(outbox.take()).toEqual({ frames, bytes: 9 })
    expect([outbox.empty, outbox.bytes]).toEqual([true, 0])
  })

  test('cuts what is too much for one write between frames; one larger than that goes by itself', () => {
    const sizes = [100_000, 100_000, 100_000, 1_000_000, 5]
    const outbox = fill(2_000_000, sizes)
    const taken: number[][] = []
    while (!outbox.empty) taken.push(outbox.take().frames.map(([part]) => part!.length))
    expect(taken).toEqual([[100_000, 100_000], [100_000], [1_000_000], [5]])
    expect(outbox.bytes).toBe(0)
  })

  test('counts what a frame costs beyond its bytes, so that empty ones are bounded', () => {
    const outbox = new Outbox(1000)
    let count = 0
    for (; outbox.fits(0); count++) outbox.add([], 0)
    expect(count).toBeLessThan(20)
    expect(weightOf(outbox.take())).toBeGreaterThan(900)
  })

  test('drops its oldest, and keeps count over thousands that come and go', () => {
    const outbox = new Outbox(Number.MAX_SAFE_INTEGER)
    let [added, expected] = [0, 0]
    for (let round = 0; round < 50; round++) {
      for (let n = 0; n < 300; n++) outbox.add([new Uint8Array(4000), Uint8Array.of(added++ & 255)], 4001)
      outbox.dropOldest()
      expected++
      for (const parts of outbox.take().frames) expect(parts[1]![0]).toBe(expected++ & 255)
    }
    while (!outbox.empty) for (const parts of outbox.take().frames) expect(parts[1]![0]).toBe(expected++ & 255)
    expect([expected, outbox.bytes]).toEqual([added, 0])
  })
})
