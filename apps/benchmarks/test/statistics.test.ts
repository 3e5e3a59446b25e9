import { describe, expect, it } from 'vitest'
import { compare, interleave, label, row } from '../src/harness/pairs.ts'
import { median, medians, quantile, ratio, spread } from '../src/harness/statistics.ts'
import { timed } from '../src/harness/timed.ts'

describe('quantiles', () => {
  it('lie between neighbours in proportion, whatever the order', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(quantile([10, 20, 30, 40, 50], 0.25)).toBe(20)
    expect(quantile([0, 10], 0.975)).toBeCloseTo(9.75)
    expect(quantile([7], 0.9)).toBe(7)
  })

  it('of nothing are no number, so that a part which measured nothing fails', () => {
    expect(median([])).toBeNaN()
  })

  it('tell the spread: quartiles apart, as a share of the median', () => {
    expect(spread([10, 20, 30, 40, 50])).toBeCloseTo(20 / 30)
    expect(spread([5, 5, 5])).toBe(0)
    expect(spread([0, 0, 0])).toBe(0)
  })

  it('are taken field by field; a field that a sample lacks is no number', () => {
    expect(
      medians([
        { a: 1, b: 10 },
        { a: 3, b: 30 },
        { a: 2, b: 20 },
      ]),
    ).toEqual({ a: 2, b: 20 })
    expect(medians([{ a: 1 }, {}])).toEqual({ a: Number.NaN })
  })
})

describe('a ratio of medians', () => {
  it('has an interval around it that is narrow when the pairs agree', () => {
    const machine = [1, 0.5, 1, 0.9, 0.4, 1, 0.8]
    const a = machine.map((speed) => 300 * speed)
    const b = machine.map((speed) => 100 * speed)
    const { value, low, high, pairs } = ratio(a, b)
    expect(pairs).toBe(7)
    for (const end of [value, low, high]) expect(end).toBeCloseTo(3)
  })

  it('is wide when they do not, and contains the ratio', () => {
    const { value, low, high } = ratio([100, 300, 200, 500, 50], [100, 100, 100, 100, 100])
    expect(value).toBe(2)
    expect(low).toBeLessThan(value)
    expect(high).toBeGreaterThan(value)
    expect(low).toBeGreaterThanOrEqual(0.5)
    expect(high).toBeLessThanOrEqual(5)
  })

  it('is the same every time', () => {
    const [a, b] = [
      [1, 5, 2, 8],
      [2, 3, 9, 4],
    ]
    expect(ratio(a, b)).toEqual(ratio(a, b))
  })

  it('wants pairs', () => {
    expect(() => ratio([1, 2], [1])).toThrow('no pairs')
    expect(() => ratio([], [])).toThrow('no pairs')
  })
})

describe('interleaving', () => {
  it('runs A B A B, and hands each its samples in the order of rounds', async () => {
    const ran: string[] = []
    const subjects = ['a', 'b'].map((side) => ({ key: { side }, case: 'x', input: null }))
    const [a, b] = await interleave(subjects, 3, async ({ key }, round) => {
      ran.push(`${key.side}${round}`)
      return { perSecond: (key.side === 'a' ? 100 : 50) * round }
    })
    expect(ran).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3'])
    expect(row(a!)).toEqual({ side: 'a', perSecond: 200, samples: 3, spread: { perSecond: 0.5 } })
    expect(compare(a!, b!, 'perSecond')).toMatchObject({ value: 2, low: 2, high: 2, pairs: 3 })
    expect(label({ storage: 'wal', batch: 128 })).toBe('storage wal, batch 128')
  })
})

describe('a timed loop', () => {
  it('counts what is done after the warm-up only, and at least one step', async () => {
    let steps = 0
    let before = 0
    const { operations, seconds } = await timed(
      { seconds: 0.001, warmUp: 0.001 },
      async () => ++steps && 10,
      () => {
        before = steps
      },
    )
    expect(before).toBeGreaterThan(0)
    expect(operations).toBe((steps - before) * 10)
    expect(seconds).toBeGreaterThan(0)
  })
})
