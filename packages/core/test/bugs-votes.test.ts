import type { Membership } from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import { describe, expect, test } from 'vitest'
import { decodeDurable } from '../src/durable.ts'
import { fixedMajority } from '../src/index.ts'
import type { Raft } from '../src/raft.ts'
import { Stage } from './stage.ts'
import { World } from './world.ts'

const joint = { membership: jointConsensus() as never }

describe('votes and what must be durable first', () => {
  test('B1: a vote request leaves once term and vote are durable, and a restart remembers it (sofastack/sofa-jraft#1245)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.autoFlush = false
    subject.do({ type: 'campaign' })
    expect(stage.heard('requestVote')).toEqual([])
    subject.restart()
    subject.flush()
    expect(subject.raft.state).toMatchObject({ term: 1, vote: undefined })
    subject.do({ type: 'campaign' })
    subject.flush()
    expect(stage.heard('requestVote').map(({ term }) => term)).toEqual([2, 2])
    subject.restart()
    subject.flush()
    stage.say('b', stage.requestVote(2, [9, 9]))
    subject.flush()
    expect(stage.heard('vote')).toMatchObject([{ to: 'b', granted: false }])
  })

  test('B1: a granted vote leaves once it is durable, and a restart grants the term to nobody else (sofastack/sofa-jraft#1245)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.autoFlush = false
    stage.say('b', stage.requestVote(2, [1, 1]))
    expect(stage.heard('vote')).toEqual([])
    subject.flush()
    expect(stage.heard('vote')).toMatchObject([{ to: 'b', granted: true }])
    subject.restart()
    subject.flush()
    stage.say('c', stage.requestVote(2, [9, 9]))
    subject.flush()
    expect(stage.heard('vote')).toMatchObject([{ to: 'c', granted: false }])
  })

  test('B2: a vote whose write never succeeds is never told, whatever else happens (sofastack/sofa-jraft#1241, #1243)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.autoFlush = false
    stage.say('b', stage.requestVote(2, [1, 1]))
    stage.say('b', stage.requestVote(2, [1, 1]))
    stage.say('c', stage.append(1, [1, 1], []))
    for (let n = 0; n < 20; n++) stage.pass(100)
    expect(stage.heard('vote')).toEqual([])
    // The one write failed and the server stopped; what it finds is the state before, which promised nothing.
    subject.restart()
    expect(subject.raft.state).toMatchObject({ term: 1, vote: undefined })
  })

  test('B2: the own vote does not count before it is durable (sofastack/sofa-jraft#1241, #1243)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.autoFlush = false
    subject.do({ type: 'campaign' })
    const { ballot } = subject.raft
    stage.say('b', { type: 'vote', term: 2, forTerm: 2, pre: false, ballot, granted: true })
    expect(subject.role).toBe('candidate')
    subject.flush()
    expect(subject.role).toBe('leader')
  })

  test('B3: after every write, term and vote on the disk are the old ones or the new ones (ClickHouse/ClickHouse#113654)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.autoFlush = false
    stage.say('b', stage.requestVote(2, [1, 1]))
    stage.say('c', stage.requestVote(4, [1, 1]))
    stage.say('c', stage.append(4, [1, 1], [4]))
    stage.say('b', stage.requestVote(7, [0, 0]))
    const seen: string[] = []
    for (let left = subject.disk.pending.length; left > 0; left--) {
      subject.flushOne()
      const { term, vote } = decodeDurable(subject.disk.durable.state!)
      seen.push(`${term} ${vote?.id ?? '-'}`)
    }
    expect([...new Set(seen)]).toEqual(['2 b', '4 c', '7 -'])
  })

  test('B10: a rejection with a higher term is no grant, and the vote of that term stays free (databendlabs/openraft b06cbb37)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.do({ type: 'campaign' })
    const { ballot } = subject.raft
    stage.say('b', { type: 'vote', term: 7, forTerm: 2, pre: false, ballot, granted: false })
    expect(subject.raft.state).toMatchObject({ term: 7, vote: undefined })
    expect(subject.role).toBe('follower')
    stage.say('c', stage.requestVote(7, [1, 1]))
    expect(stage.heard('vote')).toMatchObject([{ to: 'c', term: 7, granted: true }])
  })
})

describe('elections', () => {
  test('B11: pre-votes among servers of different terms elect a leader (etcd-io/raft d4471b2, openraft#1796, canonical/raft#279)', () => {
    const world = new World(['a', 'b', 'c', 'd'])
    const leader = world.elect()
    const [longest, ...others] = [...world.servers.values()].filter((server) => server !== leader)
    world.filter = (_from, to) => to === longest!.id || to === leader.id
    leader.propose('x')
    world.settle()
    leader.crash()
    longest!.crash()
    // Two of four cannot elect, but their terms rise.
    world.heal()
    for (let n = 0; n < 5; n++)
      for (const server of others) {
        server.do({ type: 'campaign' })
        world.settle()
      }
    expect(others[0]!.raft.state.term).toBeGreaterThan(longest!.raft.state.term + 3)
    longest!.restart()
    expect(longest!.raft.log.last).toBeGreaterThan(others[0]!.raft.log.last)
    expect(world.elect()).toBe(longest)
  })

  test('B12: a pre-vote counts for its own round only, and no pre-vote for a vote (tikv/raft-rs#83, #84)', () => {
    const stage = new Stage(['a', 'b', 'c', 'd', 'e'])
    const { subject } = stage
    const term = subject.raft.state.term
    stage.pass(5000)
    const first = stage.heard('requestVote')
    stage.grant('b', first)
    stage.pass(5000)
    const second = stage.heard('requestVote')
    stage.grant('c', second)
    stage.grant('d', first)
    expect(subject.role).toBe('preCandidate')
    // A real grant is none in a pre-vote.
    const { ballot } = subject.raft
    stage.say('e', { type: 'vote', term, forTerm: term + 1, pre: false, ballot, granted: true })
    expect(subject.role).toBe('preCandidate')
    stage.grant('b', second)
    expect(subject.role).toBe('candidate')
    for (const from of ['b', 'c', 'd', 'e']) {
      stage.grant(from, second)
      const { ballot } = subject.raft
      stage.say(from, { type: 'vote', term: term + 1, forTerm: term + 1, pre: true, ballot, granted: true })
    }
    expect(subject.role).toBe('candidate')
  })

  test('B12: a pre-candidate follows nobody, and so grants others their pre-votes (tikv/raft-rs#84)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2]))
    stage.pass(5000)
    expect(subject.role).toBe('preCandidate')
    expect(subject.raft.status().leader).toBeUndefined()
    stage.say('c', stage.requestVote(3, [2, 2], true))
    expect(stage.heard('vote')).toMatchObject([{ to: 'c', pre: true, granted: true }])
  })

  test('B12: a pre-vote leaves the real vote and the disk as they are (canonical/raft#196, rabbitmq/ra#608)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.requestVote(2, [1, 1]))
    const before = { state: subject.raft.state, issued: subject.raft.writes.issued }
    for (let n = 0; n < 100; n++) stage.say('c', stage.requestVote(3 + n, [1, 1], true))
    expect(stage.heard('vote').filter(({ pre, granted }) => pre && granted)).toHaveLength(100)
    expect({ state: subject.raft.state, issued: subject.raft.writes.issued }).toEqual(before)
    stage.say('c', stage.requestVote(2, [9, 9]))
    expect(stage.heard('vote')).toMatchObject([{ to: 'c', granted: false }])
  })

  test('B13: a restarted leader at a new address gets the votes of those who still follow it (hashicorp/raft#605)', () => {
    const world = new World(['a', 'b', 'c'], joint)
    const leader = world.elect()
    const [other, third] = [...world.servers.values()].filter((server) => server !== leader)
    leader.change({ type: 'setAddress', id: leader.id, address: 'elsewhere:1' })
    world.run(500)
    // Only the old leader can win: its log is the longest of the two that are left.
    third!.crash()
    world.filter = (_from, to) => to === leader.id
    leader.propose('x')
    world.settle()
    world.heal()
    leader.restart()
    expect(other!.raft.leader?.id).toBe(leader.id)
    expect(world.elect()).toBe(leader)
    expect([...other!.applied.values()]).toEqual(['x'])
  })

  test('B13: whose timer has not run out yet grants the restarted leader its pre-vote (hashicorp/raft#605)', () => {
    const stage = new Stage()
    stage.say('b', stage.append(2, [1, 1], [2]))
    stage.world.now += 1000
    stage.say('b', stage.requestVote(3, [2, 2], true))
    expect(stage.subject.role).toBe('follower')
    expect(stage.subject.raft.leader?.id).toBe('b')
    expect(stage.heard('vote')).toMatchObject([{ to: 'b', pre: true, granted: true }])
  })

  test('B14: pre-grants of an older round, delivered to a sitting leader, start no campaign (databendlabs/openraft 511f33c7)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.pass(5000)
    const first = stage.heard('requestVote')
    stage.pass(5000)
    const second = stage.heard('requestVote')
    stage.grant('b', second)
    stage.grant('b', stage.heard('requestVote'))
    expect(subject.role).toBe('leader')
    const { term } = subject.raft.state
    for (const round of [first, second]) for (const from of ['b', 'c']) stage.grant(from, round)
    expect(subject.role).toBe('leader')
    expect(subject.raft.state.term).toBe(term)
    expect(stage.heard('requestVote')).toEqual([])
  })

  test('B14: pre-grants do not make a follower of a new leader stand (databendlabs/openraft 511f33c7)', () => {
    const stage = new Stage()
    stage.pass(5000)
    const requests = stage.heard('requestVote')
    stage.say('b', stage.append(1, [1, 1], []))
    stage.grant('b', requests)
    stage.grant('c', requests)
    expect(stage.subject.role).toBe('follower')
    expect(stage.subject.raft.state.term).toBe(1)
  })

  test('B15: who was cut off and removed comes back as a learner and unseats nobody (hashicorp/raft#524, #526)', () => {
    const world = new World(['a', 'b', 'c'], joint)
    const leader = world.elect()
    const { term } = leader.raft.state
    const removed = [...world.servers.values()].find((server) => server !== leader)!
    const rest = [...world.servers.keys()].filter((id) => id !== removed.id)
    world.partition([removed.id], rest)
    world.run(30_000)
    leader.change({ type: 'remove', id: removed.id })
    world.run(10_000)
    world.heal()
    world.run(10_000)
    expect(removed.raft.status().removed).toBe(true)
    leader.change({ type: 'addLearner', id: removed.id, incarnation: removed.incarnation, address: removed.id })
    leader.propose('x')
    world.run(5000)
    expect(world.leader).toBe(leader)
    expect(leader.raft.state.term).toBe(term)
    expect([...removed.applied.values()]).toEqual(['x'])
    expect(removed.raft.state.term).toBe(term)
  })

  test('B15: even one that was made to raise its term costs one election at most, and leads nothing (hashicorp/raft#524)', () => {
    const world = new World(['a', 'b', 'c'], joint)
    const leader = world.elect()
    const removed = [...world.servers.values()].find((server) => server !== leader)!
    world.partition(
      [removed.id],
      [...world.servers.keys()].filter((id) => id !== removed.id),
    )
    leader.change({ type: 'remove', id: removed.id })
    world.run(2000)
    for (let n = 0; n < 9; n++) removed.do({ type: 'campaign' })
    const raised = removed.raft.state.term
    expect(raised).toBeGreaterThan(leader.raft.state.term + 5)
    world.heal()
    world.run(5000)
    expect(world.leader).toBe(leader)
    expect(removed.raft.status().removed).toBe(true)
    leader.change({ type: 'addLearner', id: removed.id, incarnation: removed.incarnation, address: removed.id })
    world.run(10_000)
    const now = world.leader!
    expect(now).not.toBe(removed)
    expect(now.raft.state.term).toBe(raised + 1)
    now.propose('x')
    world.run(1000)
    expect([...removed.applied.values()]).toEqual(['x'])
    const { term } = now.raft.state
    world.run(20_000)
    expect(now.raft.state.term).toBe(term)
  })

  test('B16: a learner never leads: told to stand, named as heir, or restarted (etcd-io/raft db54973, async-raft#114, hashicorp/raft#398)', () => {
    const world = new World(['a'], joint)
    const leader = world.elect()
    const learner = world.add('l')
    leader.change({ type: 'addLearner', id: 'l', incarnation: learner.incarnation, address: 'l' })
    world.run(1000)
    learner.do({ type: 'campaign' })
    leader.do({ type: 'transfer', id: 77, to: 'l' })
    world.run(1000)
    expect(leader.outcome(77)).toMatchObject({ type: 'refused', code: 'NOT_A_MEMBER' })
    leader.do({ type: 'transfer', id: 78 })
    expect(leader.outcome(78)).toMatchObject({ type: 'refused' })
    learner.do({
      type: 'message',
      from: { id: 'a', incarnation: leader.incarnation },
      genesis: leader.raft.state.genesis,
      message: { type: 'timeoutNow', term: leader.raft.state.term },
    })
    leader.crash()
    world.run(10_000)
    learner.restart()
    learner.do({ type: 'campaign' })
    world.run(10_000)
    expect(learner.happenings('role')).toEqual([])
    expect(learner.role).toBe('follower')
  })

  test.each([1, 2])('B17: with %i voters, no other member leads or makes a quorum (eBay/NuRaft#436)', (voters) => {
    const ids = ['a', 'b'].slice(0, voters)
    const world = new World(ids, joint)
    const leader = world.elect()
    for (const id of ['x', 'y']) {
      const learner = world.add(id)
      leader.change({ type: 'addLearner', id, incarnation: learner.incarnation, address: id })
      world.run(1000)
    }
    const voter = ids.find((id) => id !== leader.id)
    if (voter !== undefined) world.server(voter).crash()
    const id = leader.propose('p')
    world.run(500)
    expect(leader.outcome(id)?.type).toBe(voters === 1 ? 'committed' : undefined)
    leader.crash()
    for (const learner of ['x', 'y']) world.server(learner).do({ type: 'campaign' })
    world.run(10_000)
    for (const learner of ['x', 'y']) expect(world.server(learner).happenings('role')).toEqual([])
  })
})

describe('one owner of the state', () => {
  const orders = [
    ['append', 'vote b', 'vote c'],
    ['append', 'vote c', 'vote b'],
    ['vote b', 'append', 'vote c'],
    ['vote b', 'vote c', 'append'],
    ['vote c', 'append', 'vote b'],
    ['vote c', 'vote b', 'append'],
  ] as const

  test.each(orders)(
    'B18: %s, %s, %s in one turn or in three: one vote a term, and nothing acknowledged to a deposed leader (hashicorp/raft#695)',
    (...order) => {
      for (const taken of [false, true]) {
        const stage = new Stage(['a', 'b', 'c', 'd'])
        const { subject } = stage
        stage.say('d', stage.append(2, [1, 1], []))
        stage.heard('appended')
        const events = {
          append: stage.append(2, [1, 1], [2, 2]),
          'vote b': stage.requestVote(3, [9, 2]),
          'vote c': stage.requestVote(3, [9, 2]),
        }
        for (const what of order) {
          stage.arrive(what === 'vote b' ? 'b' : what === 'vote c' ? 'c' : 'd', events[what])
          if (taken) subject.take()
        }
        subject.take()
        expect(stage.heard('vote').filter(({ granted }) => granted)).toHaveLength(1)
        const acknowledged = stage.heard('appended').filter(({ term, match }) => term === 2 && match > 1)
        expect(acknowledged.length).toBe(taken && order[0] === 'append' ? 1 : 0)
        expect(subject.raft.log.last).toBe(order[0] === 'append' ? 3 : 1)
      }
    },
  )

  test('B19: seen from inside a step, nobody leads in a term that did not elect it (eBay/NuRaft#294)', () => {
    const seen = new Set<string>()
    const current: { raft?: Raft } = {}
    const look = (): void => {
      const { raft } = current
      if (raft?.role.type === 'leader') seen.add(`${raft.self.id} ${raft.state.term}`)
    }
    const watched: Membership = {
      isQuorum: (config, has) => {
        look()
        return fixedMajority.isQuorum(config, has)
      },
      begin: fixedMajority.begin,
      next: (config, standing) => {
        look()
        return fixedMajority.next(config, standing)
      },
    }
    const world = new World(['a', 'b', 'c'], { membership: watched as never })
    for (const server of world.servers.values()) {
      const { step } = server
      server.step = (event) => {
        current.raft = server.raft
        step.call(server, event)
        look()
      }
    }
    for (let n = 0; n < 12; n++) {
      const leader = world.elect()
      leader.propose(`${n}`)
      leader.read()
      const next = [...world.servers.values()].find((server) => server !== leader)!
      next.do({ type: 'campaign' })
      world.run(20)
    }
    const elected = [...world.servers.values()].flatMap((server) =>
      server.happenings('role').flatMap(({ role, term }) => (role === 'leader' ? [`${server.id} ${term}`] : [])),
    )
    expect(elected.length).toBeGreaterThan(5)
    expect([...seen].sort()).toEqual(elected.sort())
  })
})

describe('votes in JavaScript libraries', () => {
  test.each([
    [[9, 1], false],
    [[3, 2], false],
    [[4, 2], true],
    [[5, 2], true],
    [[2, 3], true],
    [[1, 1], false],
  ] as const)(
    'JS: liferaft, skiff and kanaka/raft.js compare half of (index, term): a log that ends at %j, against 4 of term 2, is granted: %s',
    (last, granted) => {
      const stage = new Stage()
      stage.say('b', stage.append(2, [1, 1], [2, 2, 2]))
      stage.world.now += 5000
      stage.say('c', stage.requestVote(5, last))
      expect(stage.heard('vote')).toMatchObject([{ to: 'c', granted }])
      stage.say('c', stage.requestVote(9, last, true))
      expect(stage.heard('vote')).toMatchObject([{ to: 'c', pre: true, granted }])
    },
  )

  test('JS: liferaft counts votes without names: a grant that comes three times is one', () => {
    const stage = new Stage(['a', 'b', 'c', 'd', 'e'])
    stage.subject.do({ type: 'campaign' })
    const requests = stage.heard('requestVote')
    for (let n = 0; n < 3; n++) stage.grant('b', requests)
    expect(stage.subject.role).toBe('candidate')
    stage.grant('c', requests)
    expect(stage.subject.role).toBe('leader')
  })

  test('JS: liferaft cannot elect the only member: it leads at once', () => {
    const world = new World(['a'])
    expect(world.elect().id).toBe('a')
    world.server('a').restart()
    world.run(0)
    expect(world.server('a').role).toBe('leader')
  })

  test('JS: skiff believes its log empty after a restart: it knows its last entry, and refuses an empty log', () => {
    const stage = new Stage()
    stage.say('b', stage.append(2, [1, 1], [2, 2]))
    stage.subject.restart()
    expect(stage.subject.terms).toBe('1:1 2:2 3:2')
    stage.say('c', stage.requestVote(3, [0, 0]))
    stage.say('c', stage.requestVote(4, [2, 2]))
    expect(stage.heard('vote').map(({ granted }) => granted)).toEqual([false, false])
  })

  test('JS: skiff makes a peer of whoever sends: a stranger is no member, and its votes and acknowledgements count nothing', () => {
    const stage = new Stage()
    const { subject, world } = stage
    const stranger = world.add('z')
    const again = { id: 'b', incarnation: stranger.incarnation }
    subject.do({ type: 'campaign' })
    const { ballot } = subject.raft
    const { genesis } = subject.raft.state
    const members = subject.raft.status().config
    for (const from of [{ id: 'z', incarnation: stranger.incarnation }, again])
      subject.do({
        type: 'message',
        from,
        genesis,
        message: { type: 'vote', term: 2, forTerm: 2, pre: false, ballot, granted: true },
      })
    expect(subject.role).toBe('candidate')
    stage.grant('c', stage.heard('requestVote'))
    for (const from of [{ id: 'z', incarnation: stranger.incarnation }, again])
      subject.do({
        type: 'message',
        from,
        genesis,
        message: { type: 'appended', term: 2, round: stage.round, match: 2, received: 2 },
      })
    expect(subject.raft.commit).toBeLessThan(2)
    expect(subject.raft.status().config).toEqual(members)
    expect(subject.raft.status().peers.map(({ id }) => id)).toEqual(['b', 'c'])
  })

  test('JS: @unrdf/consensus waits for every peer: one that is dead delays no election', () => {
    const world = new World(['a', 'b', 'c', 'd', 'e'])
    world.settle()
    for (const id of ['d', 'e']) world.server(id).crash()
    expect(world.elect().raft.state.term).toBe(2)
    expect(world.now).toBeLessThan(1100)
  })
})
