import { describe, expect, test } from 'vitest'
import { acknowledge, crown, entries, joint, only, said, silence, tell, trio } from './script.ts'
import { World } from './world.ts'

describe('§8 proposals', () => {
  test('one made at a follower is forwarded, placed by the leader, and settled at the follower', () => {
    const { world, b } = trio()
    const id = b.propose('x')
    world.run(300)
    expect(b.outcome(id)).toEqual({ type: 'committed', id, index: 3, term: 2 })
    expect([...b.applied]).toEqual([[3, 'x']])
  })

  test('it is not committed because it was placed', () => {
    const { world, a, b } = trio()
    const id = b.propose('x')
    world.filter = (_, __, { type }) => type !== 'appended'
    world.deliverOne(({ from }) => from === 'b')
    world.deliverOne(({ outgoing }) => outgoing.message.type === 'forwardResult')
    expect(a.terms).toBe('1:1 2:2 3:2')
    expect(b.raft.proposals.placed).toMatchObject([{ id, index: 3, term: 2 }])
    expect(b.outcome(id)).toBeUndefined()
  })

  test('a forwarded proposal that comes twice is placed once', () => {
    const { world, a, b } = trio()
    b.propose('x')
    const forward = said(b, 'forward')[0]!
    const first = only(tell(a, b, forward), 'forwardResult')
    const second = only(tell(a, b, forward), 'forwardResult')
    expect(second).toEqual(first)
    world.run(200)
    expect(a.terms).toBe('1:1 2:2 3:2')
  })

  test('one that reaches a leader that was deposed is refused, for certain', () => {
    const { a, b, c } = trio()
    const id = b.propose('x')
    const forward = said(b, 'forward')[0]!
    tell(a, c, entries(a, 2, 2, [], { term: 3 }))
    const refusal = only(tell(a, b, forward), 'forwardResult')
    expect(refusal.placements).toMatchObject([{ code: 'NOT_LEADER' }])
    tell(b, a, refusal)
    expect(b.outcome(id)).toMatchObject({ type: 'refused', code: 'NOT_LEADER' })
    expect(a.terms).toBe('1:1 2:2')
  })

  test('one that was placed is not refused when its message is repeated to a leader that was deposed', () => {
    const { a, b, c } = trio()
    b.propose('x')
    const forward = said(b, 'forward')[0]!
    const placed = only(tell(a, b, forward), 'forwardResult')
    expect(placed.placements).toMatchObject([{ index: 3, term: 2 }])
    tell(a, c, entries(a, 3, 2, [], { term: 3 }))
    expect(a.raft.status().role).toBe('follower')
    expect(only(tell(a, b, forward), 'forwardResult')).toEqual(placed)
  })

  test('one that was placed is not refused by a leader that has started again since (simulator, seed 839)', () => {
    const { world, a, b } = trio()
    const id = b.propose('x')
    const forward = said(b, 'forward')[0]!
    tell(a, b, forward)
    a.restart()
    for (const message of tell(a, b, forward)) tell(b, a, message)
    expect(b.outcome(id)).toBeUndefined()
    world.run(3000)
    expect(b.outcome(id)).toMatchObject({ type: 'unknown' })
  })

  test('a leader neither places nor refuses what was forwarded in an earlier term', () => {
    const stage = trio()
    const { a, b, c } = stage
    b.propose('x')
    const forward = said(b, 'forward')[0]!
    silence(stage)
    crown(c, [a])
    expect(tell(c, b, forward)).toEqual([])
    expect(c.terms).toBe('1:1 2:2 3:3')
  })

  test('one whose leader does not answer is unknown', () => {
    const { world, b } = trio()
    const id = b.propose('x')
    world.filter = (_, __, { type }) => type !== 'forwardResult'
    world.run(1500)
    expect(b.outcome(id)).toMatchObject({ type: 'unknown' })
  })

  test('one whose place another term took is refused', () => {
    const stage = trio()
    const { world, a, b, c } = stage
    world.partition(['a'], ['b', 'c'])
    const id = a.propose('x')
    world.now += 5000
    crown(b, [c])
    world.heal()
    world.run(3000)
    expect(a.outcome(id)).toMatchObject({ type: 'refused', code: 'SUPERSEDED' })
    expect(a.terms).toBe(b.terms)
  })

  test('one whose place a snapshot took is unknown', () => {
    const { world, a } = trio({ limits: { trailingEntries: 0 } })
    world.partition(['a'], ['b', 'c'])
    const id = a.propose('x')
    const b = world.server('b')
    world.runUntil(() => b.role === 'leader' || world.server('c').role === 'leader')
    const leader = world.server('b').role === 'leader' ? b : world.server('c')
    for (let n = 0; n < 3; n++) leader.propose(`y${n}`)
    world.run(100)
    leader.snapshot()
    world.heal()
    world.run(3000)
    expect(a.outcome(id)).toMatchObject({ type: 'unknown' })
  })

  test('without a leader it is refused', () => {
    const stage = trio()
    silence(stage)
    stage.b.do({ type: 'time' })
    expect(stage.b.outcome(stage.b.propose('x'))).toMatchObject({ type: 'refused', code: 'NO_LEADER' })
  })

  test('time stamps never go back, whatever the clocks of successive leaders say', () => {
    const { world, a, b } = trio()
    a.do({ type: 'propose', id: 901, data: new Uint8Array(), time: 5000, seed: 0 })
    a.do({ type: 'propose', id: 902, data: new Uint8Array(), time: 3000, seed: 0 })
    world.run(100)
    expect([a.raft.log.lastTime, b.raft.log.lastTime]).toEqual([5000, 5000])
  })
})

describe('thesis §6.4 ReadIndex', () => {
  test('a read is answered once a quorum has confirmed a round that began after it', () => {
    const { world, a, b } = trio()
    world.run(500)
    world.packets = []
    const id = a.read()
    expect(a.outcome(id)).toBeUndefined()
    tell(a, b, acknowledge(a, 2))
    expect(a.outcome(id)).toEqual({ type: 'read', id, index: 2 })
  })

  test('an acknowledgement of an earlier round confirms nothing', () => {
    const { world, a, b, c } = trio()
    world.run(500)
    const { role } = a.raft
    if (role.type !== 'leader') throw new Error(role.type)
    const earlier = role.round
    const id = a.read()
    said(a)
    tell(a, b, acknowledge(a, 2, { round: earlier }))
    tell(a, c, acknowledge(a, 2, { round: earlier }))
    expect(a.outcome(id)).toBeUndefined()
  })

  test('a read that joins a round on its way waits for the next one', () => {
    const { world, a, b, c } = trio()
    world.run(500)
    const { role } = a.raft
    if (role.type !== 'leader') throw new Error(role.type)
    a.read()
    const round = role.round
    const late = a.read()
    tell(a, b, acknowledge(a, 2, { round }))
    tell(a, c, acknowledge(a, 2, { round }))
    expect(a.outcome(late)).toBeUndefined()
    world.run(200)
    expect(a.outcome(late)).toMatchObject({ type: 'read' })
  })

  test('it sees what was committed when it began', () => {
    const { world, a } = trio()
    a.propose('x')
    world.run(100)
    const id = a.read()
    world.run(100)
    expect(a.outcome(id)).toMatchObject({ type: 'read', index: 3 })
  })

  test('a read before the leader has committed an entry of its term waits for that', () => {
    const stage = trio()
    silence(stage)
    const { b, c } = stage
    crown(b, [c])
    const id = b.read()
    said(b)
    tell(b, c, acknowledge(b, 2))
    tell(b, stage.a, acknowledge(b, 2))
    expect(b.outcome(id)).toBeUndefined()
    tell(b, c, acknowledge(b, 3))
    tell(b, c, acknowledge(b, 3))
    expect(b.outcome(id)).toEqual({ type: 'read', id, index: 3 })
  })

  test('a leader that was deposed without knowing answers nothing', () => {
    const { world, a, b } = trio()
    world.partition(['a'], ['b', 'c'])
    const id = a.read()
    world.runUntil(() => b.role === 'leader' || world.server('c').role === 'leader')
    world.run(1500)
    expect(a.outcome(id)).toMatchObject({ type: 'refused', code: 'NOT_LEADER' })
  })

  test('a follower asks the leader, and answers from its own machine', () => {
    const { world, a, b } = trio()
    a.propose('x')
    world.run(10)
    const id = b.read()
    world.run(100)
    expect(b.outcome(id)).toEqual({ type: 'read', id, index: 3 })
  })

  test('many reads of a follower are one question', () => {
    const { world, b } = trio()
    said(b)
    for (let id = 900; id < 910; id++) b.step({ type: 'read', id, consistency: 'linearizable' })
    b.take()
    expect(world.packets.filter(({ outgoing }) => outgoing.message.type === 'readIndex')).toHaveLength(1)
    world.run(100)
    expect(b.settled.filter(({ type }) => type === 'read')).toHaveLength(10)
  })

  test('one asked of a server that does not lead is refused', () => {
    const { b, c } = trio()
    expect(only(tell(b, c, { type: 'readIndex', id: 5 }), 'readIndexResult').index).toBeUndefined()
  })

  test('one whose leader does not answer is refused, and may be asked again', () => {
    const { world, b } = trio()
    world.filter = (_, __, { type }) => type !== 'readIndexResult'
    const id = b.read()
    world.run(1500)
    expect(b.outcome(id)).toMatchObject({ type: 'refused', code: 'NO_LEADER' })
  })

  test('a round is confirmed by a quorum of the configuration: learners and strangers do not count', () => {
    const world = new World(['a', 'b', 'c'], { membership: joint() })
    const a = world.elect()
    const d = world.add('d')
    d.take()
    a.change({ type: 'addLearner', id: 'd', incarnation: d.incarnation, address: 'd' })
    world.run(500)
    world.packets = []
    const id = a.read()
    tell(a, d, acknowledge(a, 3))
    tell(a, { id: 'b', incarnation: 'f'.repeat(32) }, acknowledge(a, 3))
    expect(a.outcome(id)).toBeUndefined()
    tell(a, world.server('b'), acknowledge(a, 3))
    expect(a.outcome(id)).toMatchObject({ type: 'read' })
  })
})

describe('thesis §6.4.1 leases', () => {
  const leases = { timing: { leaseDrift: 0.1 } }

  test('are off unless asked for: the read takes a round', () => {
    const { world, a } = trio()
    world.run(500)
    const id = a.read('lease')
    expect(a.outcome(id)).toBeUndefined()
    world.run(100)
    expect(a.outcome(id)).toEqual({ type: 'read', id, index: 2 })
  })

  test('answer at once, with the moment until which the answer holds', () => {
    const { world, a } = trio(leases)
    world.run(500)
    const id = a.read('lease')
    expect(a.outcome(id)).toMatchObject({ type: 'read', index: 2 })
    const read = a.outcome(id)
    if (read?.type !== 'read') throw new Error(read?.type)
    expect(read.until).toBeGreaterThan(world.now)
  })

  test('count from when their round left, not from when it was confirmed, less the drift of the clocks', () => {
    const { world, a, b } = trio(leases)
    world.run(500)
    world.packets = []
    a.read()
    const left = world.now
    const message = acknowledge(a, 2)
    world.now += 400
    tell(a, b, message)
    const read = a.outcome(a.read('lease'))
    expect(read).toMatchObject({ type: 'read', until: left + 900 })
  })

  test('have ended once no quorum was heard for so long', () => {
    const { world, a } = trio(leases)
    world.run(500)
    world.packets = []
    world.now += 950
    const id = a.read('lease')
    expect(a.outcome(id)).toBeUndefined()
  })

  test('are not held before an entry of the own term is committed', () => {
    const stage = trio(leases)
    silence(stage)
    const { b, c } = stage
    crown(b, [c])
    tell(b, c, acknowledge(b, 2))
    const id = b.read('lease')
    expect(b.outcome(id)).toBeUndefined()
  })

  test('are lost with the first word to a successor, for the rest of the term', () => {
    const { world, a } = trio(leases)
    world.run(500)
    world.filter = (_, __, { type }) => type !== 'timeoutNow'
    a.do({ type: 'transfer', id: 900, to: 'b' })
    world.run(1500)
    expect(a.outcome(900)).toMatchObject({ type: 'unknown' })
    expect(a.role).toBe('leader')
    const id = a.read('lease')
    expect(a.outcome(id)).toBeUndefined()
    world.run(100)
    expect(a.outcome(id)).not.toHaveProperty('until')
  })
})

test('entries that a follower was sent twice under two leaders apply once', () => {
  const { world, a, b, c } = trio()
  tell(b, a, entries(b, 2, 2, [2], { commit: 3 }))
  tell(b, c, entries(b, 2, 2, [2], { term: 4, commit: 3 }))
  world.run(10)
  expect([...b.applied]).toEqual([[3, '3:2']])
})
