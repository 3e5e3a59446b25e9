import { describe, expect, test } from 'vitest'
import { acknowledge, answer, ask, crown, entries, only, said, silence, tell, trio } from './script.ts'
import { type Server, World } from './world.ts'

describe('§5.3 commit', () => {
  test('an entry that a majority holds is committed; one less does not do', () => {
    const world = new World(['a', 'b', 'c', 'd', 'e'])
    const a = world.elect()
    world.run(100)
    const id = a.propose('x')
    said(a)
    tell(a, world.server('b'), acknowledge(a, 3))
    expect(a.outcome(id)).toBeUndefined()
    tell(a, world.server('c'), acknowledge(a, 3))
    expect(a.outcome(id)).toEqual({ type: 'committed', id, index: 3, term: 2 })
  })

  test('the client hears of it no later than the machine', () => {
    const { a, b } = trio()
    const id = a.propose('x')
    said(a)
    a.step({
      type: 'message',
      from: { id: 'b', incarnation: b.incarnation },
      genesis: a.raft.state.genesis,
      message: acknowledge(a, 3),
    })
    const effects = a.raft.take(a.world.now)
    expect(effects.apply).toMatchObject({ from: 3, to: 3 })
    expect(effects.settled).toMatchObject([{ type: 'committed', id, index: 3 }])
  })

  test('followers learn of it with the next message', () => {
    const { world, a, b, c } = trio()
    a.propose('x')
    world.run(50)
    expect([b.raft.commit, c.raft.commit]).toEqual([3, 3])
    expect([...c.applied]).toEqual([[3, 'x']])
  })
})

describe('§5.4.2 entries of earlier terms', () => {
  test('Figure 8: an old entry on a majority is not committed by counting; it may still be overwritten', () => {
    const world = new World(['s1', 's2', 's3', 's4', 's5'])
    const s = Object.fromEntries(world.servers) as Record<'s1' | 's2' | 's3' | 's4' | 's5', Server>
    world.elect()
    world.run(100)
    s.s1.restart()
    world.packets = []
    world.now += 5000
    // (a) s1 leads and replicates entry 3 to s2 alone.
    crown(s.s1, [s.s2, s.s3])
    const old = only(
      said(s.s1, 'appendEntries')
        .slice(0, 1)
        .map((message) => ({ ...message })),
      'appendEntries',
    )
    expect(old).toMatchObject({ term: 3, prevIndex: 2, count: 1 })
    tell(s.s2, s.s1, old)
    // (b) s1 fails; s5 is elected by s3, s4 and itself, and accepts another entry at 3.
    s.s1.crash()
    world.now += 5000
    for (const voter of [s.s3, s.s4]) tell(voter, s.s5, ask(s.s5, 3, { lastIndex: 0, lastTerm: 0 }))
    s.s5.do({ type: 'campaign' })
    s.s5.do({ type: 'campaign' })
    expect(s.s5.raft.state.term).toBe(4)
    const plea = said(s.s5, 'requestVote').at(-1)!
    for (const voter of [s.s3, s.s4]) tell(s.s5, voter, only(tell(voter, s.s5, plea), 'vote'))
    expect(s.s5.role).toBe('leader')
    expect(s.s5.terms).toBe('1:1 2:2 3:4')
    world.packets = []
    // (c) s5 fails; s1 comes back, wins term 5 by s2 and s3, and goes on replicating its old entry, to s3.
    s.s5.crash()
    s.s1.restart()
    world.now += 5000
    s.s1.do({ type: 'campaign' })
    s.s1.do({ type: 'campaign' })
    const again = said(s.s1, 'requestVote').at(-1)!
    expect(again.term).toBe(5)
    for (const voter of [s.s2, s.s3]) tell(s.s1, voter, only(tell(voter, s.s1, again), 'vote'))
    expect(s.s1.role).toBe('leader')
    expect(s.s1.terms).toBe('1:1 2:2 3:3 4:5')
    const oldAgain = { ...old, term: 5, round: 1 }
    for (const holder of [s.s2, s.s3]) {
      const reply = tell(holder, s.s1, oldAgain).at(-1)!
      expect(reply).toMatchObject({ type: 'appended', match: 3 })
      tell(s.s1, holder, reply)
    }
    // Entry 3 of term 3 is on s1, s2 and s3: a majority. It is not committed.
    expect(s.s1.raft.commit).toBeLessThan(3)
    world.packets = []
    // (d) s1 fails; s5 can win by s2, s3 and s4, since its last term is newer, and overwrites entry 3.
    s.s1.crash()
    s.s5.restart()
    world.now += 5000
    for (let n = 0; n < 3; n++) s.s5.do({ type: 'campaign' })
    const last = said(s.s5, 'requestVote').at(-1)!
    for (const voter of [s.s2, s.s3]) tell(s.s5, voter, only(tell(voter, s.s5, last), 'vote'))
    expect(s.s5.role).toBe('leader')
    world.run(3000)
    s.s1.restart()
    world.run(3000)
    for (const server of world.servers.values()) expect(server.terms).toBe(s.s5.terms)
    expect(s.s2.raft.log.termAt(3)).toBe(4)
  })

  test('Figure 8 (e): with an entry of its own term on a majority, all before it is committed', () => {
    const stage = trio()
    silence(stage)
    const { a, b, c } = stage
    tell(b, a, entries(b, 2, 2, [2, 2]))
    stage.world.now += 5000
    crown(b, [c])
    expect(b.terms).toBe('1:1 2:2 3:2 4:2 5:3')
    tell(b, c, acknowledge(b, 4))
    expect(b.raft.commit).toBe(2)
    tell(b, c, acknowledge(b, 5))
    expect(b.raft.commit).toBe(5)
  })

  test('§8: a new leader places an entry of its own at once, so that it can commit what came before', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    crown(b, [c])
    expect(b.terms).toBe('1:1 2:2 3:3')
  })

  test('§5.4.3: what is committed is in the log of every later leader', () => {
    const stage = trio()
    const { world, a, b, c } = stage
    world.partition(['a', 'b'], ['c'])
    a.propose('x')
    world.run(100)
    expect(a.raft.commit).toBe(3)
    a.crash()
    world.heal()
    world.now += 5000
    c.do({ type: 'campaign' })
    expect(only(tell(b, c, only(said(c).slice(0, 1), 'requestVote')), 'vote').granted).toBe(false)
    const next = world.elect()
    expect(next.id).toBe('b')
    expect([...next.applied.values()]).toContain('x')
  })
})

describe('thesis §10.2.1: the disk of the leader in parallel', () => {
  test('commits by its followers ahead of its own flush', () => {
    const { a, b, c } = trio()
    a.autoFlush = false
    const id = a.propose('x')
    expect(said(a, 'appendEntries')).toHaveLength(2)
    tell(a, b, acknowledge(a, 3))
    expect(a.outcome(id)).toBeUndefined()
    tell(a, c, acknowledge(a, 3))
    expect(a.outcome(id)).toMatchObject({ type: 'committed' })
    expect(a.raft.status()).toMatchObject({ commit: 3, durable: 2, last: 3 })
  })

  test('counts its own log only as far as it is durable', () => {
    const { a, b } = trio()
    a.autoFlush = false
    const id = a.propose('x')
    tell(a, b, acknowledge(a, 3))
    expect(a.outcome(id)).toBeUndefined()
    a.flush()
    expect(a.outcome(id)).toMatchObject({ type: 'committed' })
  })
})

describe('design rule 1: nothing leaves before the state it implies is durable', () => {
  test('a vote waits for the write that carries it', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    b.autoFlush = false
    expect(tell(b, c, ask(c, 3))).toEqual([])
    expect(b.held).toMatchObject([{ to: 'c', after: b.disk.pending[0]!.id, message: { type: 'vote', granted: true } }])
    b.flushOne()
    expect(said(b)).toMatchObject([{ type: 'vote', granted: true }])
  })

  test('so does whatever else a new term is told by', () => {
    const { b, c } = trio()
    b.autoFlush = false
    expect(tell(b, c, entries(b, 2, 2, [], { term: 9 }))).toEqual([])
    b.flushOne()
    expect(said(b)).toMatchObject([{ type: 'appended', term: 9 }])
  })

  test('entries leave without waiting for the own disk: an AppendEntries implies its term alone', () => {
    const { a } = trio()
    a.autoFlush = false
    a.propose('x')
    expect(said(a, 'appendEntries')).toMatchObject([{ count: 1 }, { count: 1 }])
    expect(a.disk.pending).toHaveLength(1)
  })

  test('a vote that the crash swallowed was never given', () => {
    const stage = trio()
    silence(stage)
    const { world, a, b, c } = stage
    b.autoFlush = false
    tell(b, c, ask(c, 3))
    b.restart()
    b.flush()
    expect(said(b)).toEqual([])
    world.now += 5000
    b.autoFlush = true
    expect(only(tell(b, a, ask(a, 3)), 'vote').granted).toBe(true)
  })
})

describe('design rule 2: a durable write counts only for what it still says', () => {
  test('the late completion of a suffix that was cut acknowledges nothing', () => {
    const { a, b, c } = trio()
    b.autoFlush = false
    tell(b, a, entries(b, 2, 2, [2, 2, 2]))
    const slow = b.disk.pending[0]!.id
    tell(b, c, entries(b, 2, 2, [4], { term: 4 }))
    expect(b.terms).toBe('1:1 2:2 3:4')
    b.disk.flush()
    b.do({ type: 'durable', write: slow })
    expect(b.raft.status().durable).toBe(2)
    b.flush()
    expect(b.raft.status().durable).toBe(3)
    expect(said(b, 'appended').at(-1)).toMatchObject({ term: 4, match: 3 })
  })

  test('a leader that cut its log as a follower counts nothing of what it held before', () => {
    const stage = trio()
    const { a, b, c } = stage
    b.autoFlush = false
    tell(b, a, entries(b, 2, 2, [2, 2, 2]))
    tell(b, c, entries(b, 2, 2, [4], { term: 4 }))
    const first = b.disk.flush()!
    b.do({ type: 'durable', write: first })
    stage.world.now += 5000
    b.do({ type: 'campaign' })
    tell(b, c, answer(ask(b, 5, { ballot: b.raft.ballot }), true))
    b.flush()
    expect(b.role).toBe('leader')
    expect(b.raft.status().durable).toBe(4)
  })

  test('what is durable and then cut is no longer counted as durable', () => {
    const { a, b, c } = trio()
    tell(b, a, entries(b, 2, 2, [2, 2, 2]))
    b.autoFlush = false
    tell(b, c, entries(b, 2, 2, [4], { term: 4 }))
    expect(b.raft.status().durable).toBe(2)
  })
})
