import { readFileSync } from 'node:fs'
import * as bft from '@raftkit/bft'
import { describe, expect, test, vi } from 'vitest'
import { Entries } from '../src/bft/entries.ts'
import { bftSubjects } from '../src/bft/index.ts'
import { exploreVotes } from '../src/bft/search.ts'
import { setting } from '../src/bft/setting.ts'
import { forkOf, traces, weakened } from '../src/bft/traces.ts'
import { run } from '../src/campaign.ts'

vi.setConfig({ testTimeout: 120_000 })

const oneSlot = new Entries(['a', 'b'])
const limits = { symmetry: true, reduce: true }

describe('the voting rules of certified Raft', () => {
  test('one slot, four members, two terms: everything that can happen, and nothing is wrong, whoever lies', () => {
    for (const liar of ['m0', 'm1', 'm2', 'm3']) {
      const { violation, ...found } = exploreVotes(setting(oneSlot, [0, 1], { liar }))
      expect(violation).toBeUndefined()
      expect(found).toMatchObject({ exhausted: true, depth: 15, distinctStates: 7586 })
      expect(found.withCommits).toBeGreaterThan(2000)
    }
  })

  test('names of members and of entries make no difference to what is found', () => {
    const all = exploreVotes(setting(oneSlot, [0, 1]), { symmetry: false })
    expect(all).toMatchObject({ exhausted: true, depth: 15 })
    expect(all.violation).toBeUndefined()
    expect(all.distinctStates).toBeGreaterThan(6 * 7586)
    expect(all.distinctStates).toBeLessThanOrEqual(12 * 7586)
  })

  test('an epoch ends with its configuration, and the next begins with it: everything that can happen in two terms each', async () => {
    const { violation, ...found } = await run('epoch', limits)
    expect(violation).toBeUndefined()
    expect(found).toMatchObject({ exhausted: true })
  })

  test.each(bftSubjects)('nothing is wrong in the first states of “$name”: $about', async ({ name }) => {
    const { violation, distinctStates } = await run(name, { ...limits, states: 20_000 })
    expect(violation, violation?.steps.join('\n')).toBeUndefined()
    expect(distinctStates).toBeGreaterThan(1000)
  })
})

describe('with a rule taken away', () => {
  test('commits at one phase fork in six steps, two phases without locks in ten: the page that shows it is what is found', () => {
    expect(weakened.map((each) => forkOf(each).length - 1)).toEqual([6, 10, 6])
    const page = new URL('../../../docs/guarantees/bft-forks.md', import.meta.url)
    expect(readFileSync(page, 'utf8')).toBe(`${traces()}\n`)
  })

  const broken: [string, Partial<typeof bft>, string][] = [
    [
      'a member votes for two entries in one place',
      { mayAppend: (b, ...r) => bft.mayAppend({ ...b, tip: undefined }, ...r) },
      'I1',
    ],
    ['a commit vote needs no lock', { lockOn: (b) => b, mayCommit: (b, place) => b.term === place.term }, 'I5'],
    [
      'a lower lock replaces a higher one',
      { lockOn: (b, place) => ({ ...bft.enterTerm(b, place.term), lock: place }) },
      'I4',
    ],
    [
      'terms that were given up get commit votes',
      { mayCommit: (b, place) => bft.compareRank(b.lock, place) >= 0 },
      'I6',
    ],
    [
      'a lock is taken over without its term',
      { lockOn: (b, place) => ({ ...bft.lockOn(b, place), term: b.term }) },
      'S5',
    ],
    [
      'any anchor will do',
      { mayAppend: (b, term, hash, _, tree) => term === b.term && (b.tip === undefined || tree.holds(b.tip, hash)) },
      'I8',
    ],
  ]
  test.each(broken)('%s, and it is told', (_, rules, invariant) => {
    const { violation } = exploreVotes(setting(oneSlot, [0, 1, 2], { rules: { ...bft, ...rules } }))
    expect(violation?.invariant.slice(0, 2)).toBe(invariant)
    expect(violation?.steps.join()).not.toContain('could not be told')
  })
})
