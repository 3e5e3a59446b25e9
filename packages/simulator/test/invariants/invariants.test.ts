import { describe, expect, test } from 'vitest'
import { invariantNames, invariants } from '../../src/invariants/index.ts'
import './clients.ts'
import './commits.ts'
import './elections.ts'
import './logs.ts'
import './machines.ts'
import { fired } from './lie.ts'

describe('all of them', () => {
  test('each was seen to fire', () => {
    expect([...fired].sort()).toEqual([...invariantNames].sort())
  })

  test('each has its own name, and says what it says and where it comes from', () => {
    const all = invariants()
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
    expect(all.length).toBeGreaterThanOrEqual(25)
    for (const { says, source } of all) {
      expect(says).toMatch(/^[A-Z].*\.$/)
      expect(source.length).toBeGreaterThan(5)
    }
  })
})
