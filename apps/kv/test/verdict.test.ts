import { describe, expect, test } from 'vitest'
import { judge } from '../src/local/verdict.ts'

const evidence = (acknowledged: string[], unknown: string[], found: Record<string, string[]>) =>
  judge({
    acknowledged: new Set(acknowledged),
    unknown: new Set(unknown),
    found: new Map(Object.entries(found)),
  })

describe("the demo's verdict", () => {
  test('is clean if all members hold every acknowledged item once, and the same unknown ones', () => {
    expect(evidence(['a', 'b'], ['c', 'd'], { n1: ['b', 'a', 'c'], n2: ['a', 'b', 'c'] })).toEqual({
      lost: 0,
      duplicated: 0,
      torn: 0,
      phantom: 0,
    })
  })

  test('counts an acknowledged item as lost if one member lacks it', () => {
    expect(evidence(['a', 'b'], [], { n1: ['a', 'b'], n2: ['a'] }).lost).toBe(1)
  })

  test('counts an item as duplicated if one member holds it twice, acknowledged or not', () => {
    expect(evidence(['a'], ['u'], { n1: ['a', 'a', 'u', 'u'], n2: ['a', 'u'] }).duplicated).toBe(2)
  })

  test('counts an unknown item as torn if only some members hold it', () => {
    expect(evidence([], ['u', 'v'], { n1: ['u'], n2: ['u', 'v'] }).torn).toBe(1)
  })

  test('counts what nobody wrote', () => {
    expect(evidence(['a'], [], { n1: ['a', 'x'] }).phantom).toBe(1)
  })
})
