import { expect, test } from 'vitest'
import { type Family, families, schedule } from '../src/faults/schedule.ts'
import { joined, overlapping } from '../src/faults/tracks.ts'

function take(seed: string, family: Family, count: number) {
  const faults = schedule(seed, family)
  return Array.from({ length: count }, () => {
    const { kind, rest, lasts, draws } = faults.next().value!
    return { kind, rest, lasts, draw: draws.next() }
  })
}

test('the same seed gives the same faults, another seed others', () => {
  expect(take('7', 'processes', 50)).toEqual(take('7', 'processes', 50))
  expect(take('7', 'processes', 50)).not.toEqual(take('8', 'processes', 50))
})

test('every kind of a family comes before any comes again', () => {
  for (const family of Object.keys(families) as Family[]) {
    const kinds = take('1', family, families[family].length).map(({ kind }) => kind)
    expect(new Set(kinds)).toEqual(new Set(families[family]))
  }
})

test('an operation overlaps a fault if they share an instant', () => {
  const spans = joined([
    { begin: 10, end: 20 },
    { begin: 15, end: 30 },
    { begin: 50, end: 60 },
  ])
  expect(spans).toEqual([
    [10, 30],
    [50, 60],
  ])
  const operation = (call: number, end: number) => ({ call, return: end })
  expect(overlapping([operation(0, 9), operation(0, 10), operation(31, 49), operation(25, 55)], spans)).toBe(2)
})
