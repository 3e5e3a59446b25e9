import type { Config, Standing } from '@raftkit/contract'
import { jointConsensus, type MembershipRequest } from '@raftkit/membership'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { allWell, config, expectRefusal, text, without } from './notation.ts'

fc.configureGlobal({ seed: 20_260_103 })

const policy = jointConsensus()

/** All configurations from `of` on: the one that is begun, and what follows by itself until nothing does. */
function path(of: string | Config, request: MembershipRequest, standing: Standing = allWell): string[] {
  const all = [policy.begin(typeof of === 'string' ? config(of) : of, request, standing)]
  for (;;) {
    const next = policy.next(all.at(-1)!, standing)
    if (next === undefined) return all.map(text)
    if (all.length > 5) expect.fail('does not settle')
    all.push(next)
  }
}

const refuses = (of: string, request: MembershipRequest, standing: Standing = allWell) => ({
  with: (...expected: [code: Parameters<typeof expectRefusal>[1], message?: RegExp]) =>
    expectRefusal(() => policy.begin(config(of), request, standing), ...expected),
})

const d = { id: 'd', incarnation: '1' }

describe('a voter is added', () => {
  test('as a learner that joins; promoted through a joint configuration once it has caught up', () => {
    expect(path('a b c', { type: 'addVoter', ...d })).toEqual(['a b c d:joining', 'a b c d:incoming', 'a b c d'])
  })

  test('not before it has caught up, however long that takes', () => {
    expect(path('a b c', { type: 'addVoter', ...d }, without('d'))).toEqual(['a b c d:joining'])
    const reachable: Standing = { reachable: () => true, caughtUp: ({ id }) => id !== 'd' }
    expect(path('a b c', { type: 'addVoter', ...d }, reachable)).toEqual(['a b c d:joining'])
  })

  test('several in one step, if they are ready together; one alone if not', () => {
    const both = config('a b c d:joining e:joining')
    expect(text(policy.next(both, allWell)!)).toBe('a b c d:incoming e:incoming')
    expect(text(policy.next(both, without('e'))!)).toBe('a b c d:incoming e:joining')
    expect(text(policy.next(config('a b c d:incoming e:joining'), without('e'))!)).toBe('a b c d e:joining')
  })

  test('while another is joining, and while a voter is removed', () => {
    expect(path('a b c d:joining', { type: 'addVoter', id: 'e', incarnation: '1' }, without('d', 'e'))).toEqual([
      'a b c d:joining e:joining',
    ])
    expect(path('a b c d:joining', { type: 'remove', id: 'c' }, without('d'))).toEqual([
      'a b c:outgoing d:joining',
      'a b d:joining',
    ])
  })

  test('with its address; a learner that is promoted keeps the one it has', () => {
    const { members } = policy.begin(config('a'), { type: 'addVoter', ...d, address: 'host:1' }, allWell)
    expect(members[1]).toEqual({ id: 'd', address: 'host:1', incarnation: '1', role: 'joining' })
    expect(
      policy.begin(
        policy.begin({ format: 1, members }, { type: 'demote', id: 'd' }, allWell),
        { type: 'promote', id: 'd' },
        allWell,
      ).members[1],
    ).toEqual(members[1])
  })

  test('from a learner, as promote does', () => {
    expect(path('a d:learner', { type: 'addVoter', ...d })).toEqual(['a d:joining', 'a d:incoming', 'a d'])
    expect(path('a d:learner', { type: 'promote', id: 'd' })).toEqual(['a d:joining', 'a d:incoming', 'a d'])
  })

  test('but not twice', () => {
    refuses('a d', { type: 'addVoter', ...d }).with('REFUSED', /d is listed as voter already/)
    refuses('a d:joining', { type: 'addVoter', ...d }).with('REFUSED', /d is listed as joining already/)
    refuses('a d', { type: 'promote', id: 'd' }).with('REFUSED')
    refuses('a d:joining', { type: 'promote', id: 'd' }).with('REFUSED')
    refuses('a', { type: 'promote', id: 'd' }).with('NOT_A_MEMBER', /d is not listed; the members are a/)
  })

  // baidu/braft #292, M13: its votes may be counted already, so it must not come in beside itself.
  test('but not under another incarnation, whatever the listed one is', () => {
    for (const role of ['voter', 'learner', 'joining']) {
      refuses(`a d@2:${role}`, { type: 'addVoter', ...d }).with(
        'REFUSED',
        /another incarnation.*use \{ type: 'replace', id: 'd'/,
      )
      refuses(`a d@2:${role}`, { type: 'addLearner', ...d }).with('REFUSED', /type: 'replace'/)
    }
  })
})

describe('a learner is', () => {
  test('added and removed in one step', () => {
    expect(path('a b', { type: 'addLearner', ...d })).toEqual(['a b d:learner'])
    expect(path('a b d:learner', { type: 'remove', id: 'd' })).toEqual(['a b'])
  })

  test('added and removed even while a replacement waits, whoever can be reached', () => {
    expect(path('a b:leaving c:joining d:learner', { type: 'remove', id: 'd' }, without('a', 'b', 'c'))).toHaveLength(1)
    expect(path('a:leaving b:joining', { type: 'addLearner', ...d }, without('b'))).toEqual([
      'a:leaving b:joining d:learner',
    ])
  })

  test('not made of a voter by adding it', () => {
    refuses('a d', { type: 'addLearner', ...d }).with('REFUSED', /demote/)
    refuses('a d:joining', { type: 'addLearner', ...d }).with('REFUSED', /demote/)
    refuses('a d:learner', { type: 'addLearner', ...d }).with('REFUSED', /already/)
  })
})

describe('a voter is removed', () => {
  test('through a joint configuration, by either name', () => {
    for (const type of ['remove', 'removeVoter'] as const)
      expect(path('a b c', { type, id: 'c' })).toEqual(['a b c:outgoing', 'a b'])
  })

  test('the leader itself too, which still leads to the end of the step', () => {
    expect(path('a b', { type: 'remove', id: 'a' })).toEqual(['a:outgoing b', 'b'])
  })

  test('not if it is none, and not if it is the last', () => {
    refuses('a b', { type: 'remove', id: 'x' }).with('NOT_A_MEMBER')
    refuses('a b:learner', { type: 'removeVoter', id: 'b' }).with(
      'REFUSED',
      /b is listed as learner already; .*'remove'/,
    )
    refuses('a', { type: 'remove', id: 'a' }).with('REFUSED', /no voter would be left/)
    refuses('a', { type: 'remove', id: 'a', force: true }).with('REFUSED', /no voter would be left/)
    refuses('a d:joining', { type: 'remove', id: 'a', force: true }).with('REFUSED', /no voter would be left/)
    refuses('a d:learner', { type: 'demote', id: 'a' }).with('REFUSED', /no voter would be left/)
  })

  test('or demoted, and then is a learner', () => {
    expect(path('a b c', { type: 'demote', id: 'c' })).toEqual(['a b c:demoted', 'a b c:learner'])
    refuses('a b c:learner', { type: 'demote', id: 'c' }).with('REFUSED', /c is listed as learner already/)
  })

  test('while it is still joining, at once', () => {
    expect(path('a b d:joining', { type: 'remove', id: 'd' })).toEqual(['a b'])
    expect(path('a b d:joining', { type: 'demote', id: 'd' })).toEqual(['a b d:learner'])
    expect(path('a b d:joining e:joining', { type: 'remove', id: 'd' }, without('e'))).toEqual(['a b e:joining'])
  })
})

describe('a voter is replaced', () => {
  test('in one joint step, once the new one has caught up', () => {
    const request: MembershipRequest = { type: 'replace', id: 'c', with: d }
    expect(path('a b c', request)).toEqual(['a b c:leaving d:joining', 'a b c:outgoing d:incoming', 'a b d'])
    expect(path('a b c', request, without('d'))).toEqual(['a b c:leaving d:joining'])
    expect(path('a b c d:learner', request)[0]).toBe('a b c:leaving d:joining')
  })

  // M7, M13: all that is left to do stands in the configuration; the leader that began it may be gone.
  test('by itself under a new incarnation, both listed until the joint step is left', () => {
    const request: MembershipRequest = { type: 'replace', id: 'c', with: { id: 'c', incarnation: '2' } }
    expect(path('a b c', request)).toEqual(['a b c:leaving c@2:joining', 'a b c:outgoing c@2:incoming', 'a b c@2'])
  })

  test('dead or alive, as long as the others suffice', () => {
    const request: MembershipRequest = { type: 'replace', id: 'c', with: { id: 'c', incarnation: '2' } }
    expect(path('a b c', request, without('c@1')).at(-1)).toBe('a b c@2')
    refuses('a b c', request, without('b', 'c@1')).with('WOULD_LOSE_QUORUM', /b, c cannot be reached/)
  })

  test('keeps the address of the id, unless a new one is given', () => {
    const members = config('a b').members.map((member) => ({ ...member, address: `${member.id}:1` }))
    const begun = (address?: string) =>
      policy.begin(
        { format: 1, members },
        { type: 'replace', id: 'b', with: { id: 'b', incarnation: '2', address } },
        allWell,
      )
    expect(begun().members.map(({ address }) => address)).toEqual(['a:1', 'b:1', 'b:1'])
    expect(begun('b:2').members.map(({ address }) => address)).toEqual(['a:1', 'b:1', 'b:2'])
  })

  test('a learner, or one that is joining, at once', () => {
    expect(path('a c:learner', { type: 'replace', id: 'c', with: { id: 'c', incarnation: '2' } })).toEqual([
      'a c@2:learner',
    ])
    expect(path('a c:joining', { type: 'replace', id: 'c', with: d }, without('d'))).toEqual(['a d:joining'])
  })

  test('is called off by removing who was to come, and nobody leaves', () => {
    expect(path('a b c:leaving d:joining', { type: 'remove', id: 'd' })).toEqual(['a b c'])
    expect(path('a b c:leaving d:joining', { type: 'demote', id: 'd' })).toEqual(['a b c d:learner'])
    expect(path('a b c:leaving c@2:joining', { type: 'remove', id: 'c' })).toEqual(['a b c'])
    expect(path('a b:retiring c:leaving c@2:joining d:joining', { type: 'remove', id: 'd' })).toEqual(['a b c'])
    expect(path('a b:retiring c:leaving d:joining e:joining', { type: 'remove', id: 'd' })).toEqual(['a b c e:learner'])
    refuses('a b c:leaving c@2:joining', { type: 'demote', id: 'c' }).with('REFUSED', /joining in its own place/)
  })

  test('not by one that is there already', () => {
    refuses('a b c', { type: 'replace', id: 'c', with: { id: 'c', incarnation: '1' } }).with('REFUSED')
    refuses('a b c', { type: 'replace', id: 'c', with: { id: 'b', incarnation: '1' } }).with(
      'REFUSED',
      /b is listed as voter already/,
    )
    refuses('a b c', { type: 'replace', id: 'c', with: { id: 'b', incarnation: '2' } }).with(
      'REFUSED',
      /another incarnation/,
    )
    refuses('a b:learner c:learner', { type: 'replace', id: 'c', with: { id: 'b', incarnation: '1' } }).with(
      'REFUSED',
      /'remove' \} removes c/,
    )
    refuses('a b', { type: 'replace', id: 'c', with: d }).with('NOT_A_MEMBER')
  })
})

describe('any members are changed to any others', () => {
  test('all voters at once', () => {
    const request: MembershipRequest = {
      type: 'change',
      voters: [d, { id: 'e', incarnation: '1' }, { id: 'f', incarnation: '1' }],
    }
    expect(path('a b c', request)).toEqual([
      'a:leaving b:leaving c:leaving d:joining e:joining f:joining',
      'a:outgoing b:outgoing c:outgoing d:incoming e:incoming f:incoming',
      'd e f',
    ])
    expect(path('a b c', request, without('e'))).toHaveLength(1)
  })

  test('voters to learners and learners to voters', () => {
    expect(path('a b c d:learner e:learner', { type: 'change', voters: ['a', 'd'], learners: ['b'] })).toEqual([
      'a b:retiring c:leaving d:joining',
      'a b:demoted c:outgoing d:incoming',
      'a b:learner d',
    ])
  })

  test('at once, if there is nobody to wait for', () => {
    expect(
      path('a b c d', { type: 'change', voters: ['a', 'b'], learners: ['c', { id: 'x', incarnation: '1' }] }),
    ).toEqual(['a b c:demoted d:outgoing x:learner', 'a b c:learner x:learner'])
    expect(path('a b:learner', { type: 'change', voters: ['a'] })).toEqual(['a'])
  })

  test('to another mind, while a replacement waits', () => {
    const waiting = 'a b c:leaving d:joining'
    expect(path(waiting, { type: 'change', voters: ['a', 'b', 'c'] })).toEqual(['a b c'])
    expect(path(waiting, { type: 'change', voters: ['a', 'b'] })).toEqual(['a b c:outgoing', 'a b'])
    expect(path(waiting, { type: 'change', voters: ['a', 'd'], learners: ['c'] }).at(-1)).toBe('a c:learner d')
    const own = 'a b:leaving b@2:joining'
    expect(path(own, { type: 'change', voters: ['a', { id: 'b', incarnation: '1' }] })).toEqual(['a b'])
    expect(path(own, { type: 'change', voters: ['a', { id: 'b', incarnation: '3' }] })[0]).toBe(
      'a b:leaving b@3:joining',
    )
    refuses(own, { type: 'change', voters: ['a', 'b'] }).with('REFUSED', /two incarnations/)
  })

  test('not to what they are, to nobody, or to a stranger by name only', () => {
    refuses('a b c:learner', { type: 'change', voters: ['b', 'a'], learners: ['c'] }).with('REFUSED', /already/)
    refuses('a b', { type: 'change', voters: [], learners: ['a'] }).with('REFUSED', /no voter/)
    refuses('a b', { type: 'change', voters: ['a', 'd'] }).with('NOT_A_MEMBER', /d is not listed/)
  })

  test('whatever they are, in at most three steps, and exactly to what was asked', () => {
    const part = fc.constantFrom('voter', 'learner', 'absent')
    const all = [...'abcdefg']
    const parts = fc.tuple(fc.constantFrom('voter' as const), ...all.slice(1).map(() => part))
    const ofParts = (of: readonly string[]) =>
      all
        .map((id, i) => `${id}:${of[i]}`)
        .filter((word) => !word.endsWith('absent'))
        .join(' ')
    const pick = (of: readonly string[], wanted: string) =>
      all.filter((_, i) => of[i] === wanted).map((id) => ({ id, incarnation: '1' }))
    fc.assert(
      fc.property(parts, fc.array(part, { minLength: 7, maxLength: 7 }), (from, to) => {
        const voters = pick(to, 'voter')
        fc.pre(voters.length > 0 && ofParts(from) !== ofParts(to))
        const steps = path(ofParts(from), { type: 'change', voters, learners: pick(to, 'learner') })
        expect(steps.at(-1)).toBe(text(config(ofParts(to))))
        expect(steps.length).toBeLessThanOrEqual(3)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('an address', () => {
  test('is changed for whichever incarnation answers there, and no role or quorum with it', () => {
    const before = config('a b:leaving b@2:joining')
    // Most needed where nobody can be reached.
    const after = policy.begin(before, { type: 'setAddress', id: 'b', address: 'new:1' }, without('b'))
    expect(text(after)).toBe(text(before))
    expect(after.members.map(({ address }) => address)).toEqual([undefined, 'new:1', 'new:1'])
    const none = policy.begin(after, { type: 'setAddress', id: 'b' }, allWell)
    expect(none).toEqual(before)
    expectRefusal(() => policy.begin(none, { type: 'setAddress', id: 'b' }, allWell), 'REFUSED', /already/)
    refuses('a', { type: 'setAddress', id: 'b', address: 'x' }).with('NOT_A_MEMBER')
  })
})

describe('one change at a time', () => {
  const requests: MembershipRequest[] = [
    { type: 'addVoter', ...d },
    { type: 'addLearner', ...d },
    { type: 'promote', id: 'l' },
    { type: 'demote', id: 'b', force: true },
    { type: 'remove', id: 'b', force: true },
    { type: 'removeVoter', id: 'b', force: true },
    { type: 'replace', id: 'b', with: d, force: true },
    { type: 'setAddress', id: 'b', address: 'x:1' },
    { type: 'change', voters: ['a'], force: true },
  ]
  // M14.
  test.each(requests)('nothing is begun in a joint configuration: $type', (request) => {
    for (const joint of ['a b c:outgoing l:learner', 'a b c:demoted l:learner', 'a b c:incoming l:learner'])
      refuses(joint, request).with('CHANGE_IN_FLIGHT')
  })

  test('while a replacement waits, no other change of voters is begun', () => {
    const waiting = 'a b c:leaving e:joining l:learner'
    for (const request of requests) {
      if (['addLearner', 'setAddress', 'change'].includes(request.type)) policy.begin(config(waiting), request, allWell)
      else refuses(waiting, request).with('CHANGE_IN_FLIGHT', /until e caught up/)
    }
    refuses(waiting, { type: 'remove', id: 'c' }).with('CHANGE_IN_FLIGHT')
    refuses('a b e:joining', { type: 'replace', id: 'b', with: d }).with('CHANGE_IN_FLIGHT', /e is still joining/)
  })

  test('the same call may succeed later, and says so', () => {
    try {
      policy.begin(config('a b:outgoing'), { type: 'addLearner', ...d }, allWell)
      expect.fail('nothing was refused')
    } catch (error) {
      expect(error).toMatchObject({ code: 'CHANGE_IN_FLIGHT', retryable: true, outcome: 'refused' })
    }
  })
})

describe('what would lose the quorum', () => {
  // M8, raft-rs #192.
  test('is refused: too few of those that stay can be reached', () => {
    refuses('a b c', { type: 'remove', id: 'b' }, without('c')).with(
      'WOULD_LOSE_QUORUM',
      /^WOULD_LOSE_QUORUM: c cannot be reached/,
    )
    refuses('a b c', { type: 'demote', id: 'b' }, without('c')).with('WOULD_LOSE_QUORUM')
    refuses('a b c', { type: 'change', voters: ['a', 'c'] }, without('c')).with('WOULD_LOSE_QUORUM')
    refuses(
      'a b c d e',
      { type: 'change', voters: ['a', 'd', 'e'], learners: [{ id: 'x', incarnation: '1' }] },
      without('d', 'e'),
    ).with('WOULD_LOSE_QUORUM')
  })

  test('is not refused for the one that goes', () => {
    expect(path('a b c', { type: 'remove', id: 'c' }, without('c')).at(-1)).toBe('a b')
    expect(path('a b c', { type: 'demote', id: 'c' }, without('c')).at(-1)).toBe('a b c:learner')
    expect(path('a b c', { type: 'change', voters: ['a', 'b', d] }, without('c')).at(-1)).toBe('a b d')
  })

  test('is done if it is forced', () => {
    expect(path('a b c', { type: 'remove', id: 'b', force: true }, without('c'))).toEqual(['a b:outgoing c', 'a c'])
    refuses('a b c', { type: 'remove', id: 'b', force: false }, without('c')).with('WOULD_LOSE_QUORUM')
  })

  test('is not done by itself either: members may fail while the newcomer catches up', () => {
    const waiting = config('a b c:leaving d:joining')
    expect(policy.next(waiting, without('b', 'c'))).toBeUndefined()
    expect(text(policy.next(waiting, without('c'))!)).toBe('a b c:outgoing d:incoming')
  })

  test('a newcomer that cannot be reached is waited for, forced or not', () => {
    for (const force of [true, false]) {
      expect(path('a b c', { type: 'change', voters: [d], force }, without('d'))).toEqual([
        'a:leaving b:leaving c:leaving d:joining',
      ])
      expect(
        path('a', { type: 'change', voters: ['a', d, { id: 'e', incarnation: '1' }], force }, without('d', 'e')),
      ).toEqual(['a d:joining e:joining'])
    }
  })
})

describe('what follows by itself', () => {
  // M7, etcd #12136 and bd3c759: never left after a change of leader, or left twice.
  test('a joint configuration is left once, whoever can be reached', () => {
    const joint = config('a b:outgoing c:demoted d:incoming e:joining')
    const left = policy.next(joint, without('a', 'b', 'c', 'd', 'e'))!
    expect(text(left)).toBe('a c:learner d e:joining')
    expect(policy.next(left, without('e'))).toBeUndefined()
  })

  test('nothing follows a configuration that is finished', () => {
    expect(policy.next(config('a b c:learner'), allWell)).toBeUndefined()
  })

  test('a replacement is not done by halves', () => {
    const waiting = config('a:leaving b:leaving c:joining d:joining')
    expect(policy.next(waiting, without('d'))).toBeUndefined()
    expect(text(policy.next(waiting, allWell)!)).toBe('a:outgoing b:outgoing c:incoming d:incoming')
  })

  test('the format of the configuration is carried on', () => {
    const begun = policy.begin({ ...config('a b'), format: 7 }, { type: 'remove', id: 'b' }, allWell)
    expect([begun.format, policy.next(begun, allWell)!.format]).toEqual([7, 7])
  })

  test('nothing is changed in place', () => {
    const of = config('a b c')
    for (const member of of.members) Object.freeze(member)
    Object.freeze(of.members)
    expect(path(Object.freeze(of), { type: 'change', voters: [d], learners: ['a'] })).toHaveLength(3)
    expect(text(of)).toBe('a b c')
  })
})
