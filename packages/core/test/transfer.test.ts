import { describe, expect, test } from 'vitest'
import { acknowledge, joint, only, said, tell, trio } from './script.ts'

describe('thesis §3.10 leadership transfer', () => {
  test('the target stands at once, wins, and the caller hears of it', () => {
    const { world, a, b } = trio()
    a.do({ type: 'transfer', id: 900, to: 'b' })
    world.settle()
    expect(b.role).toBe('leader')
    world.run(300)
    expect(a.outcome(900)).toEqual({ type: 'transferred', id: 900, to: 'b' })
    expect(b.raft.state.term).toBe(3)
  })

  test('the leader places nothing meanwhile', () => {
    const { world, a } = trio()
    world.packets = []
    a.do({ type: 'transfer', id: 900, to: 'b' })
    expect(a.outcome(a.propose('x'))).toMatchObject({ type: 'refused', code: 'TRANSFERRING' })
    expect(a.raft.log.last).toBe(2)
  })

  test('the target is told only once it holds everything', () => {
    const { world, a, b } = trio()
    a.propose('x')
    world.packets = []
    a.do({ type: 'transfer', id: 900, to: 'b' })
    expect(said(a, 'timeoutNow')).toEqual([])
    expect(only(tell(a, b, acknowledge(a, 3)), 'timeoutNow')).toEqual({ type: 'timeoutNow', term: 2 })
  })

  test('without a target, the voter that is furthest is taken', () => {
    const { world, a, b, c } = trio()
    world.filter = (_, to, { type }) => !(to === 'b' && type === 'appendEntries')
    a.propose('x')
    world.settle()
    a.do({ type: 'transfer', id: 900 })
    world.heal()
    world.settle()
    expect([b.role, c.role]).toEqual(['follower', 'leader'])
  })

  test('it is given up after an election timeout, and the leader leads on', () => {
    const { world, a } = trio()
    world.filter = (_, __, { type }) => type !== 'timeoutNow'
    a.do({ type: 'transfer', id: 900, to: 'b' })
    world.run(1100)
    expect(a.outcome(900)).toMatchObject({ type: 'unknown' })
    const id = a.propose('x')
    world.run(200)
    expect(a.outcome(id)).toMatchObject({ type: 'committed' })
  })

  test('voters do not hold on to the leader that asks for it', () => {
    const { world, a, b } = trio()
    a.do({ type: 'transfer', id: 900, to: 'b' })
    world.deliverOne(({ outgoing }) => outgoing.message.type === 'timeoutNow')
    expect(said(b, 'requestVote')).toMatchObject([
      { transfer: true, pre: false },
      { transfer: true, pre: false },
    ])
  })

  test('only the leader of the term is obeyed', () => {
    const { b, c, a } = trio()
    tell(b, c, { type: 'timeoutNow', term: 2 })
    tell(b, a, { type: 'timeoutNow', term: 1 })
    expect(b.role).toBe('follower')
    tell(b, a, { type: 'timeoutNow', term: 2 })
    expect(b.role).toBe('candidate')
  })

  test('refused for oneself, for strangers, and twice at once', () => {
    const { world, a } = trio()
    world.packets = []
    a.do({ type: 'transfer', id: 900, to: 'a' })
    a.do({ type: 'transfer', id: 901, to: 'x' })
    expect(a.outcome(900)).toMatchObject({ type: 'refused', code: 'REFUSED' })
    expect(a.outcome(901)).toMatchObject({ type: 'refused', code: 'NOT_A_MEMBER' })
    a.do({ type: 'transfer', id: 903, to: 'b' })
    a.do({ type: 'transfer', id: 904, to: 'c' })
    expect(a.outcome(904)).toMatchObject({ type: 'refused', code: 'TRANSFERRING' })
  })

  test('asked of a server that does not lead, it is passed on; who leads next is the answer', () => {
    const { world, a, b, c } = trio()
    b.do({ type: 'transfer', id: 900, to: 'c' })
    world.run(300)
    expect(b.outcome(900)).toEqual({ type: 'transferred', id: 900, to: 'c' })
    expect(c.role).toBe('leader')
    b.do({ type: 'transfer', id: 901, to: 'b' })
    world.run(300)
    expect(b.outcome(901)).toMatchObject({ type: 'transferred', to: 'b' })
    a.do({ type: 'transfer', id: 902 })
    world.run(300)
    expect(a.outcome(902)).toMatchObject({ type: 'transferred', to: a.raft.leader!.id })
  })

  test('passed on, it is refused with the leader’s reason, and unknown if nothing is heard', () => {
    const { world, b, c } = trio()
    b.do({ type: 'transfer', id: 900, to: 'x' })
    world.run(100)
    expect(b.outcome(900)).toMatchObject({ type: 'refused', code: 'NOT_A_MEMBER' })
    world.filter = (_, __, { type }) => type !== 'handOver'
    c.do({ type: 'transfer', id: 901, to: 'b' })
    c.do({ type: 'transfer', id: 902, to: 'b' })
    expect(c.outcome(902)).toMatchObject({ type: 'refused', code: 'TRANSFERRING' })
    world.run(2500)
    expect(c.outcome(901)).toMatchObject({ type: 'unknown' })
  })

  test('a learner is no target', () => {
    const { world, a } = trio({ membership: joint() })
    const d = world.add('d')
    d.take()
    a.change({ type: 'addLearner', id: 'd', incarnation: d.incarnation, address: 'd' })
    world.run(500)
    a.do({ type: 'transfer', id: 900, to: 'd' })
    expect(a.outcome(900)).toMatchObject({ type: 'refused', code: 'NOT_A_MEMBER' })
  })

  test('somebody else may win; then the caller hears that', () => {
    const { world, a, b, c } = trio()
    a.do({ type: 'transfer', id: 900, to: 'b' })
    world.packets = []
    b.crash()
    world.now += 500
    c.do({ type: 'campaign' })
    for (const packet of world.packets.splice(0)) {
      const { message } = packet.outgoing
      world.deliver({ ...packet, outgoing: { ...packet.outgoing, message: { ...message, transfer: true } as never } })
    }
    world.settle()
    expect(c.role).toBe('leader')
    expect(a.outcome(900)).toMatchObject({ type: 'refused', leader: 'c' })
  })
})
