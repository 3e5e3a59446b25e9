import { readRecord } from '@raftkit/bytes'
import { describe, expect, test } from 'vitest'
import { acknowledge, crown, entries, only, said, silence, tell, trio } from './script.ts'
import type { Server } from './world.ts'
import { World } from './world.ts'

const appends = (server: Server) => said(server, 'appendEntries')
const logs = (world: World): Set<string> => new Set([...world.servers.values()].map(({ terms }) => terms))

/** Everything but the heartbeats. */
const loaded = (server: Server) => appends(server).filter(({ count }) => count > 0)

describe('Figure 2, AppendEntries: the receiver', () => {
  test('refuses what does not follow on an entry it has', () => {
    const { a, b } = trio()
    const reply = tell(b, a, entries(b, 7, 2, []))
    expect(reply.map(({ type }) => type)).toEqual(['rejected'])
    expect(reply).toMatchObject([{ prevIndex: 7, last: 2 }])
  })

  test('refuses what follows on an entry of another term', () => {
    const stage = trio()
    const { a, b, c } = stage
    tell(b, a, entries(b, 2, 2, [2]))
    const reply = tell(b, c, entries(b, 3, 3, [], { term: 4 }))
    expect(reply[0]).toMatchObject({ type: 'rejected', prevIndex: 3 })
    expect(b.raft.log.last).toBe(3)
  })

  test('replaces entries that contradict the leader, and all behind them', () => {
    const { a, b, c } = trio()
    tell(b, a, entries(b, 2, 2, [2, 2, 2]))
    expect(b.terms).toBe('1:1 2:2 3:2 4:2 5:2')
    const replies = tell(b, c, entries(b, 3, 2, [4], { term: 4 }))
    expect(b.terms).toBe('1:1 2:2 3:2 4:4')
    expect(replies.at(-1)).toMatchObject({ type: 'appended', match: 4 })
    b.restart()
    expect(b.terms).toBe('1:1 2:2 3:2 4:4')
  })

  test('appends what is new', () => {
    const { a, b } = trio()
    expect(only(tell(b, a, entries(b, 2, 2, [2, 2])), 'appended')).toMatchObject({ match: 4, received: 4 })
    expect(b.terms).toBe('1:1 2:2 3:2 4:2')
  })

  test('keeps what a newer message brought when an older one comes late, or twice', () => {
    const { a, b } = trio()
    const early = entries(b, 2, 2, [2])
    tell(b, a, entries(b, 2, 2, [2, 2, 2]))
    expect(only(tell(b, a, early), 'appended').match).toBe(5)
    tell(b, a, early)
    expect(b.terms).toBe('1:1 2:2 3:2 4:2 5:2')
    expect(b.happenings('truncated')).toEqual([])
  })

  test('commits no further than what this leader has shown to be the same', () => {
    const { a, b, c } = trio()
    tell(b, a, entries(b, 2, 2, [2, 2, 2]))
    tell(b, c, entries(b, 2, 2, [], { term: 4, commit: 4 }))
    expect(b.raft.commit).toBe(2)
    tell(b, c, entries(b, 2, 2, [2], { term: 4, commit: 4 }))
    expect(b.raft.commit).toBe(3)
  })

  test('never lowers its commit index', () => {
    const { a, b } = trio()
    tell(b, a, entries(b, 2, 2, [2, 2], { commit: 4 }))
    tell(b, a, entries(b, 4, 2, [], { commit: 2 }))
    expect(b.raft.commit).toBe(4)
  })

  test('stops rather than replace an entry that is committed', () => {
    const { a, b, c } = trio()
    tell(b, a, entries(b, 2, 2, [2, 2], { commit: 4 }))
    expect(() => tell(b, c, entries(b, 2, 2, [2, 4], { term: 4 }))).toThrowError(
      expect.objectContaining({ code: 'DIVERGED' }),
    )
  })

  test('acknowledges only what is durable, and says the rest as soon as it is', () => {
    const { a, b } = trio()
    b.autoFlush = false
    expect(tell(b, a, entries(b, 2, 2, [2, 2]))).toEqual([])
    expect(only(tell(b, a, entries(b, 4, 2, [])), 'appended')).toMatchObject({ match: 2, received: 4 })
    b.flush()
    expect(said(b, 'appended')).toMatchObject([{ match: 4 }])
  })

  test('answers every flush once: one answer for all that it made durable', () => {
    const { a, b } = trio()
    b.autoFlush = false
    tell(b, a, entries(b, 2, 2, [2]))
    tell(b, a, entries(b, 3, 2, [2]))
    expect(b.disk.pending.length).toBe(2)
    b.flushOne()
    expect(said(b, 'appended')).toMatchObject([{ match: 3 }])
    b.flushOne()
    expect(said(b, 'appended')).toMatchObject([{ match: 4 }])
  })

  test('ignores records that are damaged, and goes on', () => {
    const { a, b } = trio()
    const message = entries(b, 2, 2, [2])
    message.records[0]![40]! ^= 1
    tell(b, a, message)
    expect(b.terms).toBe('1:1 2:2')
    expect(b.happenings('ignored')).toMatchObject([{ from: 'a' }])
    tell(b, a, entries(b, 2, 2, [2]))
    expect(b.terms).toBe('1:1 2:2 3:2')
  })

  test('hints where the logs may still agree: past all entries of terms newer than the one refused', () => {
    const { a, b, c } = trio()
    tell(b, a, entries(b, 2, 2, [2, 2]))
    tell(b, c, entries(b, 4, 2, [5, 5, 5], { term: 5 }))
    const rejected = only(tell(b, a, entries(b, 7, 4, [], { term: 6 })), 'rejected')
    expect(rejected).toMatchObject({ prevIndex: 7, hintIndex: 4, hintTerm: 2, last: 7 })
  })

  test('applies every committed entry once, in order', () => {
    const { a, b } = trio()
    const ranges: string[] = []
    for (let at = 2; at < 8; at++) {
      b.step({
        type: 'message',
        from: { id: 'a', incarnation: a.incarnation },
        genesis: b.raft.state.genesis,
        message: entries(b, at, 2, [2], { commit: at - (at % 2) }),
      })
      const effects = b.raft.take(b.world.now)
      if (effects.apply === undefined) continue
      const { from, to, records } = effects.apply
      ranges.push(`${from}…${to}`)
      expect(readRecord(records![0]!, 0).index).toBe(from)
    }
    expect(ranges).toEqual(['3…4', '5…6'])
  })
})

describe('Figure 2, Leaders', () => {
  test('a new leader begins behind its last entry, and knows of nothing that others hold', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    crown(b, [c])
    expect(b.raft.status().peers).toMatchObject([
      { id: 'a', match: 0, state: 'probe' },
      { id: 'c', match: 0, state: 'probe' },
    ])
    expect(loaded(b)).toMatchObject([
      { prevIndex: 2, prevTerm: 2, count: 1 },
      { prevIndex: 2, prevTerm: 2, count: 1 },
    ])
  })

  test('an entry is placed in the own log at once, and sent to everyone', () => {
    const { world, a } = trio()
    world.packets = []
    a.propose('x')
    expect(a.terms).toBe('1:1 2:2 3:2')
    expect(world.packets.map(({ outgoing }) => outgoing.to).sort()).toEqual(['b', 'c'])
    expect(loaded(a)).toMatchObject([
      { prevIndex: 2, count: 1 },
      { prevIndex: 2, count: 1 },
    ])
  })

  test('what was acknowledged is not sent again', () => {
    const { a, b, c } = trio()
    a.propose('x')
    said(a)
    tell(a, b, acknowledge(a, 3))
    tell(a, c, acknowledge(a, 3))
    expect(a.raft.status().peers).toMatchObject([
      { id: 'b', match: 3, next: 4 },
      { id: 'c', match: 3, next: 4 },
    ])
    a.propose('y')
    expect(loaded(a)).toMatchObject([
      { prevIndex: 3, count: 1 },
      { prevIndex: 3, count: 1 },
    ])
  })

  test('steps back to where the logs agree when a follower refuses, and sends all from there', () => {
    const stage = trio()
    silence(stage)
    const { a, b, c } = stage
    tell(b, a, entries(b, 2, 2, [2, 2, 2]))
    stage.world.now += 5000
    crown(b, [c])
    said(b)
    b.raft.step({ type: 'link', peer: 'a', state: 'down' }, b.world.now)
    const { role } = b.raft
    if (role.type !== 'leader') throw new Error(role.type)
    const reply = tell(b, c, {
      type: 'rejected',
      term: 3,
      round: role.round,
      prevIndex: 5,
      hintIndex: 2,
      hintTerm: 2,
      last: 2,
    })
    expect(reply).toMatchObject([{ type: 'appendEntries', prevIndex: 2, count: 4 }])
  })

  test('an acknowledgement of more than there is, is ignored', () => {
    const { a, b } = trio()
    tell(a, b, acknowledge(a, 99))
    expect(a.raft.status().peers[0]).toMatchObject({ id: 'b', match: 2 })
    expect(a.happenings('ignored')).toHaveLength(1)
  })

  test('an old acknowledgement takes nothing back', () => {
    const { a, b } = trio()
    a.propose('x')
    tell(a, b, acknowledge(a, 3))
    tell(a, b, acknowledge(a, 2))
    expect(a.raft.status().peers[0]).toMatchObject({ id: 'b', match: 3, amnesic: false })
  })
})

describe('§5.3 log replication', () => {
  test('logs that diverged in any way become the leader’s again', () => {
    // Figure 7: followers that lack entries, that have extra ones, and both.
    const world = new World(['a', 'b', 'c', 'd', 'e'])
    world.elect()
    world.run(100)
    const lead = (id: string, term: number, others: readonly string[], entriesOf: number): void => {
      world.packets = []
      world.now += 5000
      const server = world.server(id)
      crown(
        server,
        others.map((other) => world.server(other)),
        term,
      )
      for (let n = 0; n < entriesOf; n++) server.propose(`${id}${n}`)
      world.packets = []
    }
    lead('b', 3, ['c', 'd'], 3)
    lead('c', 4, ['d', 'e'], 1)
    lead('d', 5, ['e', 'a'], 5)
    expect(logs(world).size).toBeGreaterThan(3)
    world.now += 5000
    const leader = world.elect()
    leader.propose('last')
    world.run(3000)
    expect([...logs(world)]).toEqual([leader.terms])
    for (const { applied } of world.servers.values()) expect([...applied]).toEqual([...leader.applied])
  })

  test('an entry that is lost on the way is sent again', () => {
    const { world, a, b } = trio()
    world.filter = (_, to, message) => !(to === 'b' && message.type === 'appendEntries' && message.count > 0)
    a.propose('x')
    world.run(200)
    expect(b.terms).toBe('1:1 2:2')
    world.heal()
    world.run(1500)
    expect(b.terms).toBe('1:1 2:2 3:2')
    expect(a.role).toBe('leader')
  })

  test('what a follower lost in a crash, before it was durable there, is sent again', () => {
    const { world, a, b } = trio()
    b.autoFlush = false
    for (let n = 0; n < 3; n++) {
      a.propose(`x${n}`)
      world.run(150)
    }
    expect(a.raft.status().peers[0]).toMatchObject({ id: 'b', match: 2, next: 6 })
    b.restart()
    b.autoFlush = true
    b.flush()
    expect(b.terms).toBe('1:1 2:2')
    expect(() => world.run(2000)).not.toThrow()
    expect(b.terms).toBe(a.terms)
  })

  test('a link that comes up again is probed at once', () => {
    const { world, a, b } = trio()
    a.do({ type: 'link', peer: 'b', state: 'down' })
    a.propose('x')
    said(a)
    expect(a.raft.status().peers[0]).toMatchObject({ id: 'b' })
    a.do({ type: 'link', peer: 'b', state: 'up' })
    world.settle()
    expect(b.terms).toBe('1:1 2:2 3:2')
  })

  test('the window in messages bounds what is in flight to one follower', () => {
    const { world, a, b } = trio({ limits: { inflightMessages: 3 } })
    world.packets = []
    for (let n = 0; n < 10; n++) a.propose(`x${n}`)
    const toB = world.packets.filter(({ outgoing }) => outgoing.to === 'b')
    expect(toB).toHaveLength(3)
    world.deliverOne()
    world.deliverOne(({ from }) => from === 'b')
    world.run(500)
    expect(b.raft.log.last).toBe(12)
  })

  test('the window in bytes bounds what is in flight to one follower', () => {
    const { world, a, b } = trio({ limits: { inflightBytes: 1000 } })
    world.packets = []
    for (let n = 0; n < 10; n++) a.propose('x'.repeat(400))
    expect(world.packets.filter(({ outgoing }) => outgoing.to === 'b')).toHaveLength(3)
    world.run(500)
    expect(b.raft.log.last).toBe(12)
  })

  test('a message holds no more than the transport carries, unless one record is larger', () => {
    const { world, a, b } = trio({ maxMessageBytes: 4096 })
    b.crash()
    for (let n = 0; n < 30; n++) a.propose('x'.repeat(500))
    world.run(100)
    b.restart()
    let largest = 0
    world.filter = (_, __, message) => {
      if (message.type === 'appendEntries')
        largest = Math.max(
          largest,
          message.records.reduce((sum, part) => sum + part.length, 0),
        )
      return true
    }
    world.run(3000)
    expect(b.raft.log.last).toBe(32)
    expect(largest > 1000 && largest <= 4096 - 1024).toBe(true)
  })

  test('bulk is held back while the link is full, heartbeats are not', () => {
    const { world, a } = trio()
    world.packets = []
    a.do({ type: 'link', peer: 'b', state: 'full' })
    a.do({ type: 'link', peer: 'c', state: 'full' })
    said(a)
    a.propose('x')
    expect(loaded(a)).toEqual([])
    world.now += 150
    a.do({ type: 'time' })
    expect(appends(a)).toHaveLength(2)
  })

  test('commit news rides on what is sent anyway, and goes alone only when nothing is on its way', () => {
    const { world, a, b, c } = trio()
    a.propose('x')
    a.propose('y')
    said(a)
    tell(a, b, acknowledge(a, 3))
    expect(a.raft.commit).toBe(3)
    const next = a.propose('z')
    expect(loaded(a)).toMatchObject([{ commit: 3 }, { commit: 3 }])
    expect(tell(a, b, acknowledge(a, 5))).toEqual([])
    expect(a.raft.commit).toBe(5)
    expect(a.deadline).toBe(world.now)
    const alone = { type: 'appendEntries', count: 0, commit: 5 }
    expect(tell(a, c, acknowledge(a, 5))).toMatchObject([alone, alone])
    expect(a.deadline).toBeGreaterThan(world.now)
    expect(a.outcome(next)).toMatchObject({ type: 'committed', index: 5 })
    world.run(10)
  })

  test('commit news alone belongs to no round: nobody answers it, and if it is lost the next heartbeat brings it', () => {
    const { world, a, b, c } = trio()
    world.packets = []
    a.propose('x')
    const [records] = loaded(a)
    tell(b, a, records!)
    tell(c, a, records!)
    tell(a, b, acknowledge(a, 3))
    a.do({ type: 'time' })
    const news = appends(a)
    expect(news).toMatchObject([{ type: 'appendEntries', count: 0, round: 0, commit: 3 }])
    expect(tell(b, a, news[0]!)).toEqual([])
    expect(b.raft.commit).toBe(3)
    tell(a, c, acknowledge(a, 3))
    world.packets = []
    world.now += 150
    a.do({ type: 'time' })
    const [heartbeat] = appends(a)
    expect(heartbeat!.round).toBeGreaterThan(0)
    expect(tell(c, a, heartbeat!)).toMatchObject([{ type: 'appended', match: 3 }])
    expect(c.raft.commit).toBe(3)
  })

  test('records that left the memory are read from the disk, and counted only where index and term are still the log’s', () => {
    const { world, a, b } = trio({ limits: { cacheBytes: 0 } })
    b.crash()
    for (let n = 0; n < 5; n++) {
      a.propose(`x${n}`)
      world.run(50)
    }
    let reads = 0
    world.onAsk = (_, question) => {
      if (question.type === 'readLog') reads++
      return undefined
    }
    b.restart()
    world.run(2000)
    expect(reads).toBeGreaterThan(0)
    expect(b.terms).toBe(a.terms)
  })

  test('an answer of the disk that tells of a log cut since is not sent to anyone', () => {
    const stage = trio({ limits: { cacheBytes: 0 } })
    const { world, a, c } = stage
    c.crash()
    for (let n = 0; n < 3; n++) {
      a.propose(`x${n}`)
      world.run(50)
    }
    const late: { readonly ask: number; readonly answer: NonNullable<ReturnType<Server['carryOut']>> }[] = []
    world.onAsk = (server, question) => {
      if (question.type !== 'readLog') return undefined
      const found = server.carryOut(question)!
      if (found.type !== 'readLog') return undefined
      // As if the records at these places had been of another term when they were read.
      const bytes = entries(server, question.from - 1, 1, Array(found.run.count).fill(1)).records[0]!
      late.push({ ask: question.id, answer: { type: 'readLog', run: { count: found.run.count, bytes } } })
      return 'later'
    }
    c.restart()
    world.run(800)
    expect(late.length).toBeGreaterThan(0)
    said(a)
    world.onAsk = () => 'later'
    for (const { ask, answer } of late.splice(0)) a.do({ type: 'answer', ask, answer })
    expect(loaded(a)).toEqual([])
  })

  test('a follower that shows less than it acknowledged has lost its disk: it is not counted any more', () => {
    const { world, a, b } = trio()
    const { role } = a.raft
    if (role.type !== 'leader') throw new Error(role.type)
    world.run(500)
    const denial = { type: 'rejected', term: 2, prevIndex: 2, hintIndex: 0, hintTerm: 0, last: 0 } as const
    tell(a, b, { ...denial, round: role.round })
    expect(a.happenings('amnesic')).toEqual([{ type: 'amnesic', peer: 'b' }])
    const id = a.propose('x')
    tell(a, b, acknowledge(a, 3))
    expect(a.outcome(id)).toBeUndefined()
  })

  test('an old refusal, sent before what was acknowledged, is no amnesia', () => {
    const { a, b } = trio()
    tell(a, b, { type: 'rejected', term: 2, round: 1, prevIndex: 1, hintIndex: 0, hintTerm: 0, last: 0 })
    expect(a.happenings('amnesic')).toEqual([])
  })
})

describe('back-pressure', () => {
  test('proposals beyond the limit of uncommitted bytes are refused, and taken again once they are committed', () => {
    const { world, a } = trio({ limits: { uncommittedBytes: 1000 } })
    world.partition(['a'], ['b'], ['c'])
    const ids = Array.from({ length: 5 }, () => a.propose('x'.repeat(400)))
    expect(ids.map((id) => a.outcome(id)?.type ?? 'waits')).toEqual(['waits', 'waits', 'waits', 'refused', 'refused'])
    expect(a.outcome(ids[4]!)).toMatchObject({ code: 'OVERLOADED' })
    world.heal()
    world.run(800)
    expect(a.outcome(ids[0]!)).toMatchObject({ type: 'committed' })
    const again = a.propose('y')
    world.run(200)
    expect(a.outcome(again)).toMatchObject({ type: 'committed' })
  })

  test('a proposal that is too large is refused at once', () => {
    const { a, b } = trio({ limits: { proposalBytes: 10 } })
    expect(a.outcome(a.propose('x'.repeat(11)))).toMatchObject({ type: 'refused', code: 'TOO_LARGE' })
    expect(b.outcome(b.propose('x'.repeat(11)))).toMatchObject({ type: 'refused', code: 'TOO_LARGE' })
  })
})

describe('A deadline that has come', () => {
  // Found by the simulator (seed 26): 65512.919 + 30 is 65542.919, but 65542.919 - 65512.919 is less than 30.
  test('is met, whatever fractions the clock shows', () => {
    const { world, a } = trio({ timing: { electionTimeout: 300, heartbeatInterval: 30 } })
    world.filter = () => true
    world.now = 65512.919
    a.do({ type: 'time' })
    for (let times = 0; times < 9; times++) {
      world.now = a.deadline!
      a.do({ type: 'time' })
      expect(a.deadline).toBeGreaterThan(world.now)
    }
  })
})
