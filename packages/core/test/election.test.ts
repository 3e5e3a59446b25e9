import { describe, expect, test } from 'vitest'
import { answer, ask, crown, entries, joint, only, said, silence, tell, trio } from './script.ts'
import { World } from './world.ts'

const requests = (server: Parameters<typeof said>[0]) => said(server, 'requestVote')

describe('§5.1 terms', () => {
  test('a leader that hears of a higher term follows', () => {
    const { a, b } = trio()
    tell(a, b, { type: 'appended', term: 9, round: 1, match: 0, received: 0 })
    expect([a.role, a.raft.state.term]).toEqual(['follower', 9])
  })

  test('a server that is asked for a vote in a higher term enters it, whether it votes or not', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    const vote = only(tell(b, c, ask(c, 9, { lastIndex: 0, lastTerm: 0 })), 'vote')
    expect(vote).toMatchObject({ granted: false, term: 9 })
    expect(b.raft.state).toMatchObject({ term: 9, vote: undefined })
  })

  test('a candidate that is refused by a voter of a higher term enters that term and follows', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    b.do({ type: 'campaign' })
    tell(b, c, answer(requests(b)[0]!, false, { term: 9 }))
    expect([b.role, b.raft.state.term]).toEqual(['follower', 9])
  })

  test('a follower enters the higher term of a leader, and follows it', () => {
    const { b, c } = trio()
    tell(b, c, entries(b, 2, 2, [], { term: 9 }))
    expect([b.role, b.raft.state.term, b.raft.leader?.id]).toEqual(['follower', 9, 'c'])
  })

  test('a message of an old leader is refused with the term that it does not know', () => {
    const { a, b, c } = trio()
    tell(b, c, entries(b, 2, 2, [], { term: 9 }))
    const reply = only(tell(b, a, entries(b, 2, 2, [2], { term: 2 })), 'appended')
    expect(reply).toMatchObject({ term: 9, match: 0 })
    expect(b.raft.leader?.id).toBe('c')
    expect(b.terms).toBe('1:1 2:2')
  })

  test('two leaders in one term stop the server: it never chooses between them', () => {
    const { b, c } = trio()
    expect(() => tell(b, c, entries(b, 2, 2, []))).toThrowError(expect.objectContaining({ code: 'INVARIANT' }))
  })
})

describe('§5.2 leader election', () => {
  test('a follower stands for election once an election timeout has passed without a leader', () => {
    const { world, b } = trio()
    world.packets = []
    world.now = b.deadline! - 1
    b.do({ type: 'time' })
    expect(b.role).toBe('follower')
    world.now = b.deadline!
    b.do({ type: 'time' })
    expect(b.role).toBe('preCandidate')
  })

  test('the leader postpones elections by being heard', () => {
    const { world, a, b } = trio()
    world.packets = []
    world.now += 900
    tell(b, a, entries(b, 2, 2, []))
    expect(b.deadline).toBeGreaterThanOrEqual(world.now + 1000)
  })

  test('timeouts are random, between one and two election timeouts', () => {
    const { world, a, b } = trio()
    const waits = new Set<number>()
    for (let n = 0; n < 50; n++) {
      world.now += 10
      tell(b, a, entries(b, 2, 2, []))
      waits.add(b.deadline! - world.now)
    }
    expect(waits.size).toBe(50)
    for (const wait of waits) expect(wait >= 1000 && wait < 2000).toBe(true)
  })

  test('a candidate raises its term, votes for itself and asks everyone', () => {
    const stage = trio()
    silence(stage)
    const { world, b } = stage
    b.do({ type: 'campaign' })
    expect(b.role).toBe('candidate')
    expect(b.raft.state).toMatchObject({ term: 3, vote: { id: 'b', incarnation: b.incarnation } })
    expect(world.packets.map(({ outgoing }) => outgoing.to).sort()).toEqual(['a', 'c'])
    expect(requests(b)).toMatchObject([
      { term: 3, pre: false, lastIndex: 2, lastTerm: 2 },
      { term: 3, pre: false, lastIndex: 2, lastTerm: 2 },
    ])
  })

  test('a candidate waits a whole timeout before the next attempt', () => {
    const stage = trio()
    silence(stage)
    stage.b.do({ type: 'campaign' })
    expect(stage.b.deadline).toBeGreaterThanOrEqual(stage.world.now + 1000)
  })

  test('a candidate whose timeout passes tries again', () => {
    const stage = trio()
    silence(stage)
    const { world, b } = stage
    b.do({ type: 'campaign' })
    const [first] = requests(b)
    world.now = b.deadline!
    b.do({ type: 'time' })
    const [again] = requests(b)
    expect(again).toMatchObject({ pre: true, term: 4 })
    expect(again!.ballot).not.toBe(first!.ballot)
  })

  test('a majority makes a leader; less does not', () => {
    const world = new World(['a', 'b', 'c', 'd', 'e'])
    expect(() => world.elect()).not.toThrow()
    world.packets = []
    world.now += 5000
    const b = world.server('b')
    b.do({ type: 'campaign' })
    const [request] = requests(b)
    tell(b, world.server('c'), answer(request!, true))
    expect(b.role).toBe('candidate')
    tell(b, world.server('d'), answer(request!, true))
    expect(b.role).toBe('leader')
  })

  test('half of the votes are no majority', () => {
    const world = new World(['a', 'b', 'c', 'd'])
    world.elect()
    world.packets = []
    world.now += 5000
    const b = world.server('b')
    b.do({ type: 'campaign' })
    tell(b, world.server('c'), answer(requests(b)[0]!, true))
    expect(b.role).toBe('candidate')
  })

  test("the candidate's own vote counts once it is durable, and not before", () => {
    const stage = trio()
    silence(stage)
    const { a, b, c } = stage
    b.autoFlush = false
    tell(b, a, entries(b, 2, 2, [2]))
    b.do({ type: 'campaign' })
    expect(requests(b)).toEqual([])
    tell(b, c, answer(ask(b, 3, { ballot: b.raft.ballot }), true))
    expect(b.role).toBe('candidate')
    b.flushOne()
    expect(b.role).toBe('candidate')
    b.flushOne()
    expect(b.role).toBe('leader')
  })

  test('a voter votes once in a term, for whoever asked first', () => {
    const stage = trio()
    silence(stage)
    const { a, b, c } = stage
    expect(only(tell(b, c, ask(c, 3)), 'vote').granted).toBe(true)
    expect(only(tell(b, a, ask(a, 3)), 'vote').granted).toBe(false)
    expect(only(tell(b, c, ask(c, 3)), 'vote').granted).toBe(true)
  })

  test('a vote is for one incarnation: the same name with an empty disk is somebody else', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    expect(only(tell(b, c, ask(c, 3)), 'vote').granted).toBe(true)
    expect(only(tell(b, { id: 'c', incarnation: 'f'.repeat(32) }, ask(c, 3)), 'vote').granted).toBe(false)
  })

  test('a candidate of an old term gets no vote', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    tell(b, c, ask(c, 9, { lastIndex: 0, lastTerm: 0 }))
    expect(b.raft.state).toMatchObject({ term: 9, vote: undefined })
    expect(only(tell(b, c, ask(c, 5)), 'vote')).toMatchObject({ granted: false, term: 9 })
    expect(b.raft.state.vote).toBeUndefined()
  })

  test('a vote that is given postpones the own candidacy; one that is refused does not', () => {
    const stage = trio()
    silence(stage)
    const { world, b, c } = stage
    tell(b, c, ask(c, 9, { lastIndex: 0, lastTerm: 0 }))
    const before = b.raft.electionDeadline
    world.now += 100
    tell(b, c, ask(c, 9, { lastIndex: 0, lastTerm: 0 }))
    expect(b.raft.electionDeadline).toBe(before)
    tell(b, c, ask(c, 9))
    expect(b.deadline).toBeGreaterThanOrEqual(world.now + 1000)
  })

  test('a vote for another term, another attempt or by a stranger counts for nothing', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    b.do({ type: 'campaign' })
    const [request] = requests(b)
    tell(b, c, answer(request!, true, { ballot: request!.ballot - 1 }))
    tell(b, c, answer(request!, true, { forTerm: 2 }))
    tell(b, c, answer(request!, true, { pre: true }))
    tell(b, { id: 'x', incarnation: '1'.repeat(32) }, answer(request!, true))
    tell(b, { id: 'c', incarnation: 'f'.repeat(32) }, answer(request!, true))
    expect(b.role).toBe('candidate')
  })

  test('a candidate follows whoever leads in its term', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    b.do({ type: 'campaign' })
    expect(() => tell(b, c, entries(b, 2, 2, [], { term: 3 }))).not.toThrow()
    expect([b.role, b.raft.leader?.id]).toEqual(['follower', 'c'])
  })

  test('a candidate that a majority refuses gives up at once', () => {
    const stage = trio()
    silence(stage)
    const { a, b, c } = stage
    b.do({ type: 'campaign' })
    const [request] = requests(b)
    tell(b, a, answer(request!, false))
    expect(b.role).toBe('candidate')
    tell(b, c, answer(request!, false))
    expect(b.role).toBe('follower')
  })

  test('a leader makes itself known at once, and again every heartbeat interval while it is idle', () => {
    const { world, a } = trio()
    world.packets = []
    let heartbeats = 0
    for (let passed = 0; passed < 900; passed += 10) {
      world.now += 10
      a.do({ type: 'time' })
      heartbeats += said(a, 'appendEntries').filter(({ count }) => count === 0).length
    }
    expect(heartbeats).toBe(18)
  })

  test('a server that votes alone leads at once', () => {
    const world = new World(['a'])
    world.run(0)
    const a = world.elect()
    a.restart()
    expect(a.deadline).toBe(world.now)
  })
})

describe('§5.4.1 election restriction', () => {
  test('no vote for a log whose last term is older, however long it is', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    expect(only(tell(b, c, ask(c, 3, { lastIndex: 99, lastTerm: 1 })), 'vote').granted).toBe(false)
  })

  test('no vote for a log that ends in the same term but earlier', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    expect(only(tell(b, c, ask(c, 3, { lastIndex: 1, lastTerm: 2 })), 'vote').granted).toBe(false)
  })

  test('a vote for a log that is the same', () => {
    const stage = trio()
    silence(stage)
    expect(only(tell(stage.b, stage.c, ask(stage.c, 3)), 'vote').granted).toBe(true)
  })

  test('a vote for a shorter log whose last term is newer', () => {
    const stage = trio()
    silence(stage)
    expect(only(tell(stage.b, stage.c, ask(stage.c, 9, { lastIndex: 1, lastTerm: 8 })), 'vote').granted).toBe(true)
  })
})

describe('thesis §9.6 PreVote', () => {
  test('who asks whether it would win raises no term and promises nothing', () => {
    const { world, b } = trio()
    world.packets = []
    world.now = b.deadline!
    b.do({ type: 'time' })
    expect(b.raft.state).toMatchObject({ term: 2 })
    expect(requests(b)).toMatchObject([
      { pre: true, term: 3 },
      { pre: true, term: 3 },
    ])
  })

  test('who answers it raises no term and keeps its vote', () => {
    const stage = trio()
    silence(stage)
    const { a, b, c } = stage
    const before = b.raft.state
    expect(only(tell(b, c, ask(c, 3, { pre: true })), 'vote')).toMatchObject({ granted: true, term: 2, pre: true })
    expect(only(tell(b, a, ask(a, 3, { pre: true })), 'vote').granted).toBe(true)
    expect(b.raft.state).toEqual(before)
  })

  test('is refused to a log that is behind', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    expect(only(tell(b, c, ask(c, 3, { pre: true, lastIndex: 1, lastTerm: 1 })), 'vote').granted).toBe(false)
  })

  test('is followed by a candidacy once a quorum would vote for it', () => {
    const { world, b, c } = trio()
    world.packets = []
    world.now = b.deadline!
    b.do({ type: 'time' })
    tell(b, c, answer(requests(b)[0]!, true))
    expect([b.role, b.raft.state.term]).toEqual(['candidate', 3])
  })

  test('a server that was cut off for long deposes nobody when it comes back', () => {
    const { world, a, c } = trio()
    world.partition(['a', 'b'], ['c'])
    world.run(20_000)
    expect(c.raft.state.term).toBe(2)
    world.heal()
    world.run(3000)
    expect([a.role, a.raft.state.term]).toEqual(['leader', 2])
  })
})

describe('thesis §4.2.3 stickiness', () => {
  test('who heard a leader within an election timeout votes for nobody and learns no term', () => {
    const { b, c } = trio()
    const vote = only(tell(b, c, ask(c, 9)), 'vote')
    expect(vote).toMatchObject({ granted: false, term: 2 })
    expect(b.raft.state.term).toBe(2)
  })

  test('a leader is not deposed by a candidate either', () => {
    const { a, c } = trio()
    tell(a, c, ask(c, 9))
    expect([a.role, a.raft.state.term]).toEqual(['leader', 2])
  })

  test('after a restart it holds to the leader it may have heard before', () => {
    const { b, c } = trio()
    b.restart()
    expect(only(tell(b, c, ask(c, 9)), 'vote').granted).toBe(false)
  })

  test('the leader itself may ask for it: a handover is not refused', () => {
    const { b, c } = trio()
    expect(only(tell(b, c, ask(c, 3, { transfer: true })), 'vote').granted).toBe(true)
  })
})

describe('thesis §6.2 CheckQuorum', () => {
  test('a leader that hears no quorum for an election timeout steps down', () => {
    const { world, a } = trio()
    world.partition(['a'], ['b', 'c'])
    world.run(900)
    expect(a.role).toBe('leader')
    world.run(300)
    expect(a.role).not.toBe('leader')
  })

  test('one that hears a quorum stays, whoever else is gone', () => {
    const { world, a, c } = trio()
    c.crash()
    world.run(5000)
    expect([a.role, a.raft.state.term]).toEqual(['leader', 2])
  })

  test('learners make no quorum', () => {
    const world = new World(['a', 'b', 'c'], { membership: joint() })
    const a = world.elect()
    const d = world.add('d')
    d.take()
    a.change({ type: 'addLearner', id: 'd', incarnation: d.incarnation, address: 'd' })
    world.run(500)
    expect(d.raft.log.last).toBe(3)
    world.partition(['a', 'd'], ['b', 'c'])
    world.run(1200)
    expect(a.role).not.toBe('leader')
  })

  test('time that the process stood still moves the election, and forgives the leader nothing', () => {
    const stage = trio()
    const { world, a, b } = stage
    world.packets = []
    world.now += 5000
    b.do({ type: 'time', stalled: 5000 })
    expect(b.role).toBe('follower')
    a.do({ type: 'time', stalled: 5000 })
    expect(a.role).toBe('follower')
  })
})

describe('a disk that stalls', () => {
  test('deposes its leader, who could promise nothing any more', () => {
    const { world, a } = trio()
    a.autoFlush = false
    a.propose('x')
    world.run(4900)
    expect(a.role).toBe('leader')
    world.run(200)
    expect(a.role).not.toBe('leader')
  })

  test('keeps its server from standing for election', () => {
    const { world, a, b, c } = trio()
    b.autoFlush = false
    tell(b, a, entries(b, 2, 2, [2]))
    a.crash()
    c.crash()
    world.packets = []
    world.now += 5000
    b.do({ type: 'time' })
    expect(requests(b)).toEqual([])
  })
})

test('§5.2 Election Safety: whoever wins a term has a majority that will not vote in it again', () => {
  const stage = trio()
  silence(stage)
  const { a, b, c } = stage
  crown(b, [c])
  expect(b.role).toBe('leader')
  tell(c, b, ask(b, 3))
  expect(only(tell(c, a, ask(a, 3)), 'vote').granted).toBe(false)
})
