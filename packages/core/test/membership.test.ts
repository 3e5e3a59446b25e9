import { describe, expect, test } from 'vitest'
import { acknowledge, answer, ask, crown, joint, members, only, said, tell, trio } from './script.ts'
import type { Server, World } from './world.ts'

const newcomer = (server: Server): { id: string; incarnation: string; address: string } => ({
  id: server.id,
  incarnation: server.incarnation,
  address: server.id,
})

function stage(): { world: World; a: Server; b: Server; c: Server; d: Server } {
  const { world, a, b, c } = trio({ membership: joint() })
  const d = world.add('d')
  d.take()
  return { world, a, b, c, d }
}

describe('thesis §4.1: the latest configuration in the log', () => {
  test('is in force as soon as it is in the log, on leader and follower, committed or not', () => {
    const { world, a, b, d } = stage()
    world.filter = (_, __, { type }) => type !== 'appended'
    a.change({ type: 'addLearner', ...newcomer(d) })
    world.settle()
    expect(members(a)).toBe('a:voter b:voter c:voter d:learner')
    expect(members(b)).toBe('a:voter b:voter c:voter d:learner')
    expect(b.raft.status()).toMatchObject({ configIndex: 3, configCommitted: false })
    expect(d.raft.log.last).toBe(3)
  })

  test('is taken back when its entry is cut off the log', () => {
    const { world, a, b, c, d } = stage()
    world.partition(['a'], ['b', 'c', 'd'])
    a.change({ type: 'addLearner', ...newcomer(d) })
    expect(members(a)).toBe('a:voter b:voter c:voter d:learner')
    world.now += 5000
    crown(b, [c])
    world.heal()
    world.run(3000)
    expect(a.terms).toBe(b.terms)
    expect(members(a)).toBe('a:voter b:voter c:voter')
  })

  test('is what the snapshot says where the log no longer reaches', () => {
    const { world, a, d } = stage()
    a.change({ type: 'addLearner', ...newcomer(d) })
    world.run(500)
    for (let n = 0; n < 5; n++) a.propose(`x${n}`)
    world.run(100)
    a.raft = a.raft.fork()
    a.snapshot()
    a.restart()
    expect(members(a)).toBe('a:voter b:voter c:voter d:learner')
  })
})

describe('one change at a time', () => {
  test('no change before the leader has committed an entry of its own term', () => {
    const { world, b, c, d } = stage()
    world.packets = []
    world.now += 5000
    crown(b, [c])
    const id = b.change({ type: 'addLearner', ...newcomer(d) })
    expect(b.outcome(id)).toMatchObject({ type: 'refused', code: 'NOT_READY' })
  })

  test('no change while another is not committed', () => {
    const { world, a, d } = stage()
    world.packets = []
    a.change({ type: 'addLearner', ...newcomer(d) })
    const id = a.change({ type: 'addLearner', id: 'e', incarnation: '9'.repeat(32), address: 'e' })
    expect(a.outcome(id)).toMatchObject({ type: 'refused', code: 'CHANGE_IN_FLIGHT' })
  })

  test('a change asked of a follower is forwarded', () => {
    const { world, b, d } = stage()
    const id = b.change({ type: 'addLearner', ...newcomer(d) })
    world.run(300)
    expect(b.outcome(id)).toMatchObject({ type: 'committed' })
  })

  test('a server without a membership policy refuses', () => {
    const { a } = trio()
    expect(a.outcome(a.change({ type: 'remove', id: 'b' }))).toMatchObject({ code: 'MEMBERSHIP_FIXED' })
  })
})

describe('thesis §4.2.1: learners', () => {
  test('catch up before they vote, and are promoted by themselves', () => {
    const { world, a, d } = stage()
    const seen: string[] = []
    world.filter = (_, to, { type }) => !(to === 'd' && type === 'appendEntries')
    a.change({ type: 'addVoter', ...newcomer(d) })
    world.run(500)
    expect(members(a)).toBe('a:voter b:voter c:voter d:joining')
    world.heal()
    world.run(2000)
    seen.push(...a.happenings('configuration').map(({ config }) => config.members.map(({ role }) => role).join(' ')))
    expect(members(a)).toBe('a:voter b:voter c:voter d:voter')
    expect(seen).toContain('voter voter voter incoming')
  })

  test('do not vote in anybody’s count', () => {
    const { world, a, b, c, d } = stage()
    a.change({ type: 'addLearner', ...newcomer(d) })
    world.run(500)
    const id = a.propose('x')
    said(a)
    tell(a, d, acknowledge(a, 4))
    expect(a.outcome(id)).toBeUndefined()
    world.now += 5000
    b.do({ type: 'campaign' })
    const request = said(b, 'requestVote')
    expect(request).toHaveLength(2)
    tell(b, d, answer(request[0]!, true))
    expect(b.role).toBe('candidate')
    tell(b, c, answer(request[0]!, true))
    expect(b.role).toBe('leader')
  })

  test('never stand for election', () => {
    const { world, a, d } = stage()
    a.change({ type: 'addLearner', ...newcomer(d) })
    world.run(500)
    world.partition(['d'], ['a', 'b', 'c'])
    world.run(10_000)
    expect([d.role, d.raft.state.term]).toEqual(['follower', 2])
    expect(d.deadline).toBeUndefined()
  })
})

describe('thesis §4.3: joint consensus', () => {
  /** a, b, c go and d, e, f come: the joint configuration is on the disk of the leader alone, and nobody hears of it. */
  function half() {
    const { world, a, b, c } = trio({ membership: joint() })
    const [d, e, f] = ['d', 'e', 'f'].map((id) => {
      const server = world.add(id)
      server.take()
      a.change({ type: 'addLearner', ...newcomer(server) })
      world.run(500)
      return server
    }) as [Server, Server, Server]
    world.filter = () => false
    a.change({ type: 'change', voters: ['d', 'e', 'f'], learners: [] })
    tell(a, b, acknowledge(a, a.raft.log.last))
    return { world, a, b, c, d, e, f, index: a.raft.log.last }
  }

  test('an entry is committed by a majority of each half', () => {
    const { a, b, c, d, e, index } = half()
    expect(members(a)).toBe('a:outgoing b:outgoing c:outgoing d:incoming e:incoming f:incoming')
    const before = a.raft.commit
    expect(before).toBe(index - 1)
    for (const one of [b, c, d]) {
      tell(a, one, acknowledge(a, index))
      expect(a.raft.commit).toBe(before)
    }
    tell(a, e, acknowledge(a, index))
    expect(a.raft.commit).toBe(index)
  })

  test('a read is confirmed by a majority of each half', () => {
    const { a, b, c, d, e, index } = half()
    const id = a.read()
    for (const one of [b, c, d]) {
      tell(a, one, acknowledge(a, index - 1))
      expect(a.outcome(id)).toBeUndefined()
    }
    tell(a, e, acknowledge(a, index - 1))
    expect(a.outcome(id)).toMatchObject({ type: 'read' })
  })

  test('a candidate needs a majority of each half', () => {
    const { world, a, b, c, d, e } = half()
    a.restart()
    world.filter = () => true
    world.now += 5000
    a.do({ type: 'campaign' })
    const request = said(a, 'requestVote')[0]!
    for (const one of [b, c, d]) {
      tell(a, one, answer(request, true))
      expect(a.role).toBe('candidate')
    }
    tell(a, e, answer(request, true))
    expect(a.role).toBe('leader')
  })

  test('whoever leads then leaves it: from any voters to any others in one request', () => {
    const { world, a, b, d } = stage()
    const e = world.add('e')
    e.take()
    const id = a.change({ type: 'change', voters: ['b', newcomer(d), newcomer(e)], learners: [] })
    world.run(5000)
    expect(a.outcome(id)).toMatchObject({ type: 'committed' })
    expect(members(b)).toBe('b:voter d:voter e:voter')
    expect(['b', 'd', 'e']).toContain(world.leader!.id)
  })

  test('the next leader finishes what the one before it began', () => {
    const { world, a, d } = stage()
    world.filter = (_, to, { type }) => !(to === 'd' && type === 'appendEntries')
    a.change({ type: 'addVoter', ...newcomer(d) })
    world.run(200)
    expect(members(world.server('b'))).toBe('a:voter b:voter c:voter d:joining')
    a.crash()
    world.heal()
    const next = world.elect()
    expect(next.id).not.toBe('a')
    world.run(3000)
    expect(members(next)).toBe('a:voter b:voter c:voter d:voter')
  })
})

describe('thesis §4.2.2: removing the leader', () => {
  test('it leads until the configuration without it is committed, and not counting itself; then it steps down', () => {
    const { world, a, b, c } = stage()
    const id = a.change({ type: 'remove', id: 'a' })
    world.run(3000)
    expect(a.outcome(id)).toMatchObject({ type: 'committed' })
    expect(a.role).toBe('follower')
    expect(members(b)).toBe('b:voter c:voter')
    expect(world.leader === b || world.leader === c).toBe(true)
  })

  test('a server whose removal is not known to be committed may still stand', () => {
    const { world, a, b, c } = stage()
    world.filter = () => false
    a.change({ type: 'remove', id: 'a' })
    expect(members(a)).toBe('a:outgoing b:voter c:voter')
    for (const voter of [b, c]) tell(a, voter, acknowledge(a, a.raft.log.last))
    expect(members(a)).toBe('b:voter c:voter')
    expect(a.role).toBe('leader')
    a.restart()
    world.now += 5000
    a.do({ type: 'campaign' })
    expect(a.role).toBe('candidate')
  })
})

describe('thesis §4.2.3: removed servers', () => {
  test('one that missed its removal learns of it when it asks for votes', () => {
    const { world, a, b, c } = stage()
    world.partition(['a', 'b'], ['c'])
    a.change({ type: 'remove', id: 'c' })
    world.run(800)
    expect(members(b)).toBe('a:voter b:voter')
    world.heal()
    world.run(5000)
    expect(c.raft.status().removed).toBe(true)
    expect(c.happenings('removed')).toHaveLength(1)
    expect([a.role, a.raft.state.term]).toEqual(['leader', 2])
  })

  test('and stands no more', () => {
    const { world, c } = stage()
    tell(c, world.server('b'), { type: 'removed', index: 9 })
    c.do({ type: 'campaign' })
    expect(c.role).toBe('follower')
    expect(c.deadline).toBeUndefined()
  })

  test('one that knows as much or more does not believe it', () => {
    const { world, c } = stage()
    tell(c, world.server('b'), { type: 'removed', index: 1 })
    expect(c.raft.status().removed).toBe(false)
  })

  test('one with a newer log is not told that it was removed', () => {
    const { world, a, b } = stage()
    world.now += 5000
    const stranger = { id: 'x', incarnation: '8'.repeat(32) }
    expect(tell(b, stranger, ask(a, 9, { lastIndex: 9, lastTerm: 9 })).map(({ type }) => type)).toEqual(['vote'])
    expect(only(tell(b, stranger, ask(a, 9, { lastIndex: 1, lastTerm: 1 })), 'removed').index).toBe(1)
  })
})

test('a wiped server comes back as another member, in its own place', () => {
  const { world, a, b } = stage()
  a.propose('x')
  world.run(100)
  const old = b.incarnation
  b.crash()
  const wiped = world.wipe('b')
  expect(wiped.incarnation).not.toBe(old)
  world.run(500)
  const id = a.change({ type: 'replace', id: 'b', with: newcomer(wiped) })
  world.run(3000)
  expect(a.outcome(id)).toMatchObject({ type: 'committed' })
  expect(a.raft.status().config.members.map(({ incarnation }) => incarnation)).toContain(wiped.incarnation)
  expect(a.raft.status().config.members).toHaveLength(3)
  expect([...wiped.applied.values()]).toEqual(['x'])
})
