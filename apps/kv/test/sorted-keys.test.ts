import { describe, expect, test } from 'vitest'
import { SortedKeys } from '../src/machine/sorted-keys.ts'

/** A small generator of its own, so that the same keys come every time. */
function series(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state
  }
}

describe('sorted keys', () => {
  test('walk in order from any key, whatever was added and removed before', () => {
    const next = series(7)
    const keys = new SortedKeys()
    const model = new Set<string>()
    for (let step = 0; step < 20_000; step++) {
      const key = (next() % 5_000).toString(36)
      if (model.delete(key)) keys.remove(key)
      else {
        model.add(key)
        keys.add(key)
      }
    }
    const sorted = [...model].sort((a, b) => (a < b ? -1 : 1))
    expect([...keys.walk('')]).toEqual(sorted)
    for (let step = 0; step < 200; step++) {
      const from = (next() % 5_000).toString(36)
      expect(keys.walk(from).next().value).toBe(sorted.find((key) => key >= from))
    }
  })

  test('built at once or one by one, they are the same', () => {
    const all = Array.from({ length: 3_000 }, (_, n) => `k${(n * 7919) % 3_000}`)
    const added = new SortedKeys()
    for (const key of all) added.add(key)
    expect([...new SortedKeys(all).walk('')]).toEqual([...added.walk('')])
  })

  test('removing a key that is not there, or the last one, leaves nothing behind', () => {
    const keys = new SortedKeys(['a'])
    keys.remove('b')
    keys.remove('a')
    keys.remove('a')
    expect([...keys.walk('')]).toEqual([])
    keys.add('c')
    expect([...keys.walk('')]).toEqual(['c'])
  })
})
