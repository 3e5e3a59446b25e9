import { describe, expect, test } from 'vitest'
import {
  append,
  askForTerm,
  type Ballot,
  enterTerm,
  firstBallot,
  lockOn,
  mayAppend,
  mayCommit,
  type Place,
} from '../src/index.ts'
import * as rules from '../src/rules.ts'
import { exhaust, type Setting, setting, walk } from './votes.ts'

const at = (term: number, hash: string): Place => ({ term, index: hash.length, hash })
const tree = { holds: (older: string, newer: string): boolean => newer.startsWith(older) }
const ballot = (more: Partial<Ballot>): Ballot => ({ ...firstBallot, ...more })

describe('one member', () => {
  test('votes in its term alone, and never goes back (S1)', () => {
    const third = enterTerm(ballot({ term: 2, tip: 'a' }), 3)
    expect(third).toEqual(ballot({ term: 3 }))
    expect(enterTerm(third, 2)).toBe(third)
    expect(mayAppend(third, 2, 'a', '', tree)).toBe(false)
    expect(mayAppend(third, 4, 'a', '', tree)).toBe(false)
    expect(mayAppend(third, 3, 'a', '', tree)).toBe(true)
    expect(mayCommit({ ...third, lock: at(2, 'a') }, at(2, 'a'))).toBe(false)
  })

  test('votes for nothing before it saw what binds the leader of the term, whatever the leader says (S2; Tangaroa, D2)', () => {
    expect(mayAppend(ballot({ term: 1 }), 1, 'a', undefined, tree)).toBe(false)
    expect(mayAppend(ballot({ term: 1 }), 1, 'ab', 'b', tree)).toBe(false)
    expect(mayAppend(ballot({ term: 1 }), 1, 'b', 'b', tree)).toBe(true)
  })

  test('follows an honest leader whatever its own lock says (S2)', () => {
    expect(mayAppend(ballot({ term: 3, lock: at(1, 'a') }), 3, 'b', '', tree)).toBe(true)
  })

  test('votes along one chain in a term, again only for the same (S3; cesmi, D15)', () => {
    const voted = append(ballot({ term: 1 }), 'ab')
    expect(mayAppend(voted, 1, 'ab', '', tree)).toBe(true)
    expect(mayAppend(voted, 1, 'aba', '', tree)).toBe(true)
    for (const hash of ['a', 'aa', 'b', 'bbb']) expect(mayAppend(voted, 1, hash, '', tree)).toBe(false)
  })

  test('locks before it votes to commit, and keeps the highest lock (S4; Tangaroa, D1)', () => {
    const free = ballot({ term: 2 })
    expect(mayCommit(free, at(2, 'a'))).toBe(false)
    const locked = lockOn(free, at(2, 'ab'))
    expect(locked.lock).toEqual(at(2, 'ab'))
    expect(mayCommit(locked, at(2, 'ab'))).toBe(true)
    expect(mayCommit(locked, at(2, 'a'))).toBe(true)
    expect(lockOn(locked, at(1, 'bbbb'))).toEqual(locked)
    expect(lockOn(locked, at(2, 'a'))).toEqual(locked)
  })

  test('enters the term of a lock that it takes over, so that it never asks for a term with a lock of it (S5)', () => {
    expect(lockOn(ballot({ term: 1, tip: 'b' }), at(3, 'a'))).toEqual(ballot({ term: 3, lock: at(3, 'a') }))
  })

  test('states its lock once when it asks for a term, and what comes later does not change it (S1; Prellblock, D13)', () => {
    const asked = askForTerm(ballot({ term: 1, lock: at(1, 'a') }), 2)
    expect(asked).toEqual(ballot({ term: 2, lock: at(1, 'a'), stated: at(1, 'a') }))
    const later = lockOn(asked, at(1, 'ab'))
    expect(later.stated).toEqual(at(1, 'a'))
    expect(askForTerm(later, 2)).toBe(later)
    expect(askForTerm(ballot({}), 1).stated).toBe('none')
    expect(enterTerm(asked, 3).stated).toBeUndefined()
  })
})

function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** How many schedules until something is wrong, and what. */
function hunt(
  of: Setting,
  walks: number,
): { readonly walks: number; readonly violation: string | undefined; readonly commits: number } {
  let commits = 0
  for (let seed = 1; seed <= walks; seed++) {
    const world = walk(of, 60, mulberry(seed))
    const violation = world.violation()
    if (violation) return { walks: seed, violation, commits }
    if (world.hasCommitted) commits++
  }
  return { walks, violation: undefined, commits }
}

describe('members that keep the rules, with every leader and f members against them', { timeout: 120_000 }, () => {
  test('one place, four members, two terms: all that can happen, and nothing is wrong', () => {
    const { states, commits, violation } = exhaust(setting(4, 2, 1))
    expect(violation).toBeUndefined()
    expect(states).toBeGreaterThan(1000)
    expect(commits).toBeGreaterThan(100)
  })

  test.each([
    [4, 3],
    [4, 4],
    [6, 3],
    [7, 3],
  ])('two places, %i members, %i terms: no schedule goes wrong, and many commit', (n, terms) => {
    const { violation, commits } = hunt(setting(n, terms, 2), 150)
    expect(violation).toBeUndefined()
    expect(commits).toBeGreaterThan(20)
  })
})

describe('the same, with one rule broken, goes wrong', { timeout: 120_000 }, () => {
  const four = setting(4, 3, 2)
  const broken = (more: Partial<Setting['rules']>): Setting => ({ ...four, rules: { ...rules, ...more } })
  const planted: [string, Setting][] = [
    ['what is certified once counts as committed (Tangaroa, D1)', { ...four, onePhase: true }],
    [
      'term votes state no lock (Prellblock, D13)',
      broken({ askForTerm: (b, term) => ({ ...askForTerm(b, term), stated: 'none' }) }),
    ],
    ['the leader names its own anchor (D2)', { ...four, claimedAnchor: true }],
    ['any lock of a term certificate will do', { ...four, anyLock: true }],
    [
      'a commit vote for a term that was given up',
      broken({ mayCommit: (b, place) => rules.mayCommit({ ...b, term: place.term }, place) }),
    ],
    ['the term of a certificate is not bound to its votes (cesmi, D14; D17)', { ...four, relabels: true }],
    ['a restart forgets the lock (Tangaroa, D9; D18)', { ...four, forgets: true }],
    ['a commit vote without a lock', broken({ lockOn: (b) => b, mayCommit: (b, place) => b.term === place.term })],
    [
      'two votes for one place (cesmi, D15)',
      broken({ mayAppend: (b, ...rest) => mayAppend({ ...b, tip: undefined }, ...rest) }),
    ],
    [
      'the next vote need not follow from the last (D6)',
      broken({
        mayAppend: (b, term, hash, ...rest) =>
          (b.tip === undefined || hash === b.tip || hash.length > b.tip.length) &&
          mayAppend({ ...b, tip: undefined }, term, hash, ...rest),
      }),
    ],
    ['a signer counts twice (Tangaroa, D3, D4)', { ...four, counted: 2 }],
    ['a majority is a quorum (Juno, D11)', { ...setting(7, 3, 2), quorum: 4 }],
    [
      'a lower lock replaces a higher one',
      broken({ lockOn: (b, place) => ({ ...enterTerm(b, place.term), lock: place }) }),
    ],
    [
      'terms go back',
      broken({ enterTerm: (b, term) => (term === b.term ? b : { ...enterTerm(b, Number.MAX_VALUE), term }) }),
    ],
    [
      'a lock is taken over without its term',
      broken({ lockOn: (b, place) => ({ ...lockOn({ ...b, term: place.term }, place), term: b.term }) }),
    ],
  ]

  test.each(planted)('%s', (_, of) => {
    const { violation, walks } = hunt(of, 3000)
    expect(violation, `${walks} schedules`).toBeDefined()
  })
})
