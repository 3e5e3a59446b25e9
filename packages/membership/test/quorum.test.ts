import type { Config, Member } from '@raftkit/contract'
import { jointConsensus, tolerates } from '@raftkit/membership'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { config } from './notation.ts'

fc.configureGlobal({ seed: 20_260_102 })

const { isQuorum } = jointConsensus()
const names = [...'abcdefghi']

/** By the book: more than half of the set, counted one by one. */
function majority(of: readonly string[], has: ReadonlySet<string>): boolean {
  return of.filter((id) => has.has(id)).length >= Math.floor(of.length / 2) + 1
}

const quorum = (of: Config, has: Iterable<string>): boolean => {
  const set = new Set(has)
  return isQuorum(of, ({ id }) => set.has(id))
}

function* subsets(of: readonly string[]): Generator<string[]> {
  for (let mask = 0; mask < 1 << of.length; mask++) yield of.filter((_, i) => mask & (1 << i))
}

describe('a quorum of a simple configuration', () => {
  // hashicorp/raft 163a55f: one off for even sizes.
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('of %d voters is any majority, and nothing else', (size) => {
    const voters = names.slice(0, size)
    const simple = config([...voters, 'x:learner', 'y:joining'].join(' '))
    for (const has of subsets(voters)) {
      const expected = majority(voters, new Set(has))
      if (quorum(simple, has) !== expected) expect.fail(`{${has}} of {${voters}}`)
      if (quorum(simple, [...has, 'x', 'y']) !== expected) expect.fail(`learners count with {${has}} of {${voters}}`)
    }
    expect(tolerates(simple)).toBe(Math.floor((size - 1) / 2))
  })

  test('counts voters that are to go, until they go', () => {
    const planned = config('a b c:leaving d:retiring x:joining')
    for (const has of subsets([...'abcdx'])) expect(quorum(planned, has)).toBe(majority([...'abcd'], new Set(has)))
    expect(tolerates(planned)).toBe(1)
  })

  test('without a voter there is none', () => {
    expect(quorum(config('a:learner b:joining'), ['a', 'b'])).toBe(false)
    expect(quorum({ format: 1, members: [] }, [])).toBe(false)
    expect(tolerates(config('a:learner'))).toBe(-1)
  })
})

describe('a quorum of a joint configuration', () => {
  test('is a majority of each half, for all pairs of sets of up to five', () => {
    const five = names.slice(0, 5)
    for (const before of subsets(five))
      for (const after of subsets(five)) {
        const members = five.flatMap((id): Member[] => {
          const was = before.includes(id)
          const is = after.includes(id)
          if (!was && !is) return []
          return [{ id, incarnation: '1', role: was ? (is ? 'voter' : 'outgoing') : 'incoming' }]
        })
        for (const has of subsets(five)) {
          const set = new Set(has)
          const expected = majority(before, set) && majority(after, set)
          if (quorum({ format: 1, members }, has) !== expected) expect.fail(`{${has}} of {${before}} -> {${after}}`)
        }
      }
  })

  test('one that is demoted votes in the old half only', () => {
    const joint = config('a b:demoted c:demoted')
    for (const has of subsets([...'abc'])) {
      const set = new Set(has)
      expect(quorum(joint, has)).toBe(majority([...'abc'], set) && set.has('a'))
    }
  })

  // CCF: counted on the union of both halves.
  test('a majority of the union is not enough', () => {
    const joint = config('a:outgoing b:outgoing c:outgoing d:incoming e:incoming f:incoming')
    expect(quorum(joint, 'adef')).toBe(false)
    expect(quorum(joint, 'abcd')).toBe(false)
    expect(quorum(joint, 'abde')).toBe(true)
  })

  test('tolerates as many failures as the weaker half', () => {
    expect(tolerates(config('a b c d:incoming'))).toBe(1)
    expect(tolerates(config('a b:outgoing c:outgoing'))).toBe(0)
    expect(tolerates(config('a b c d e:outgoing'))).toBe(1)
    expect(tolerates(config('a:outgoing'))).toBe(-1)
  })
})

describe('whose voice counts', () => {
  // openraft d000ee20, jgroups-raft #24: voices from outside the configuration, or counted twice.
  test('each listed member is asked once, and nobody else', () => {
    const asked: string[] = []
    isQuorum(config('a b:outgoing c:incoming d:learner'), ({ id }) => {
      asked.push(id)
      return true
    })
    expect(asked).toEqual(['a', 'b', 'c'])
  })

  // baidu/braft #292: a wiped disk under the same name.
  test('the same id under another incarnation is another member', () => {
    const acknowledged = new Set(['a@1', 'b@2'])
    const has = ({ id, incarnation }: Member): boolean => acknowledged.has(`${id}@${incarnation}`)
    expect(isQuorum(config('a b c'), has)).toBe(false)
    expect(isQuorum(config('a b@2 c'), has)).toBe(true)
    expect(isQuorum(config('a b:outgoing b@2:incoming c'), has)).toBe(false)
    acknowledged.add('c@1')
    expect(isQuorum(config('a b:outgoing b@2:incoming c'), has)).toBe(true)
  })
})

// openraft #1802: an index was called committed that no quorum held.
test('the largest index that a quorum holds is the smaller of both medians', () => {
  const role = fc.constantFrom('voter', 'incoming', 'outgoing', 'demoted', 'leaving', 'retiring', 'learner', 'joining')
  const member = fc.record({ role, match: fc.nat({ max: 12 }) })
  fc.assert(
    fc.property(fc.array(member, { maxLength: 9 }), (list) => {
      const members = list.map(({ role }, i) => ({ id: names[i]!, incarnation: '1', role }) as Member)
      const match = new Map(list.map(({ match }, i) => [names[i]!, match]))
      const heldBy = (roles: string[]): number => {
        const matches = list.filter(({ role }) => roles.includes(role)).map(({ match }) => match)
        return matches.sort((a, b) => b - a)[Math.floor(matches.length / 2)] ?? -1
      }
      const expected = Math.min(
        heldBy(['voter', 'outgoing', 'demoted', 'leaving', 'retiring']),
        heldBy(['voter', 'incoming', 'leaving', 'retiring']),
      )
      let largest = -1
      for (let index = 0; index <= 12; index++)
        if (isQuorum({ format: 1, members }, ({ id }) => match.get(id)! >= index)) largest = index
      expect(largest).toBe(expected)
    }),
    { numRuns: 2000 },
  )
})
