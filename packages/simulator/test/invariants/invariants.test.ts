import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { invariantNames, invariants } from '../../src/invariants/index.ts'
import './clients.ts'
import './commits.ts'
import './elections.ts'
import './logs.ts'
import './machines.ts'
import { between } from '../page.ts'
import { fired } from './lie.ts'

const page = fileURLToPath(new URL('../../../../docs/internals/invariants.md', import.meta.url))

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

  test('the page lists them', () => {
    const rows = invariants().map(({ name, says, source }) => `| ${name} | ${says} | ${source} |`)
    const table = ['| Invariant | What it says | From |', '|---|---|---|', ...rows].join('\n')
    const text = readFileSync(page, 'utf8')
    const filled = between(text, 'invariants', table)
    if (process.env.RAFTKIT_WRITE_DOCS !== undefined) writeFileSync(page, filled)
    else expect(text).toBe(filled)
  })
})
