import { jointConsensus } from '@raftkit/membership'
import { describe, expect, test } from 'vitest'
import { Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const joint = { membership: jointConsensus() as never }

const texts = (server: Server): string[] => [...server.applied.values()]
const others = (world: World, than: Server): Server[] => [...world.servers.values()].filter((server) => server !== than)
const peer = (server: Server, id: string) => server.raft.status().peers.find((each) => each.id === id)!

describe('where two logs agree', () => {
  test('B26: logs of different terms and lengths converge, whichever message is lost (CCF#2835, RATIS-2135, RATIS-2137)', () => {
    for (const tail of [1, 9])
      for (let lost = 0; lost < 12; lost++) {
        const world = new World(['a', 'b', 'c'])
        const first = world.elect()
        const rest = others(world, first)
        world.partition(
          [first.id],
          rest.map(({ id }) => id),
        )
        for (let n = 0; n < tail; n++) first.propose(`lost ${n}`)
        world.runUntil(() => rest.some(({ role }) => role === 'leader'))
        const second = rest.find(({ role }) => role === 'leader')!
        for (let n = 0; n < 3; n++) second.propose(`kept ${n}`)
        world.run(100)
        // The leader that the old one meets began behind all that, so its first message does not fit.
        second.do({ type: 'transfer', id: 900 })
        world.run(100)
        expect(second.outcome(900)).toMatchObject({ type: 'transferred' })
        let count = 0
        let rejected = 0
        world.filter = (from, to, message) => {
          if (to !== first.id && from !== first.id) return true
          if (message.type === 'rejected') rejected++
          return (message.type !== 'appendEntries' && message.type !== 'rejected') || count++ !== lost
        }
        world.run(5000)
        expect(rejected).toBeGreaterThan(0)
        expect(first.terms).toBe(world.leader!.terms)
        expect(texts(first)).toEqual(['kept 0', 'kept 1', 'kept 2'])
      }
  })

  test('B26: a rejection moves neither what is acknowledged nor what is committed, whatever it claims (CCF#2835)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.lead()
    for (let n = 0; n < 5; n++) subject.propose(`${n}`)
    stage.acknowledge('b', 1)
    const { commit, last } = subject.raft.status()
    for (const hint of [
      [999, 2],
      [7, 2],
      [3, 1],
      [0, 0],
    ] as const)
      for (const prev of [7, 999, 3]) {
        stage.reject('b', prev, hint)
        const { match, next } = peer(subject, 'b')
        expect(match).toBe(1)
        expect(next).toBeGreaterThan(1)
        expect(next).toBeLessThanOrEqual(last + 1)
        expect(subject.raft.commit).toBe(commit)
      }
  })

  test('B27: what a member acknowledged before it was removed counts nothing once it is added again (raft-rs#571, etcd-io/raft#349, raft-rejoin-bug)', () => {
    const world = new World(['a'], joint)
    const leader = world.elect()
    const learner = world.add('l')
    const add = { type: 'addLearner', id: 'l', incarnation: learner.incarnation, address: 'l' }
    leader.change(add)
    world.run(500)
    leader.propose('x')
    const late: typeof world.packets = []
    while (world.packets.length > 0) {
      late.push(...world.packets.filter(({ outgoing }) => outgoing.message.type === 'appended'))
      world.deliverOne()
    }
    expect(peer(leader, 'l').match).toBe(leader.raft.log.last)
    expect(late.length).toBeGreaterThan(0)
    leader.change({ type: 'remove', id: 'l' })
    world.filter = (_from, to) => to !== 'l'
    world.run(500)
    const { term } = leader.raft.state
    leader.change(add)
    world.run(500)
    for (const packet of late) world.deliver(packet)
    expect(leader.raft.state.term).toBe(term)
    expect(peer(leader, 'l')).toMatchObject({ match: 0, state: 'probe' })
  })

  test('B27: nor what its earlier life acknowledged, when its disk was wiped in between (raft-rejoin-bug)', () => {
    const world = new World(['a', 'b', 'c'], joint)
    const leader = world.elect()
    const victim = others(world, leader)[0]!
    leader.propose('x')
    const late: typeof world.packets = []
    while (world.packets.length > 0) {
      late.push(
        ...world.packets.filter(({ from, outgoing }) => from === victim.id && outgoing.message.type === 'appended'),
      )
      world.deliverOne()
    }
    const wiped = world.wipe(victim.id)
    leader.change({
      type: 'replace',
      id: victim.id,
      with: { id: wiped.id, incarnation: wiped.incarnation, address: wiped.id },
    })
    world.filter = (_from, to) => to !== wiped.id
    world.run(500)
    for (const packet of late) world.deliver(packet)
    const now = leader.raft.status().peers.find(({ incarnation }) => incarnation === wiped.incarnation)
    expect(now).toMatchObject({ match: 0, state: 'probe' })
  })

  test('B28: a rejection that comes late, after the follower caught up, is no loss of its log (databendlabs/openraft#1500)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.lead()
    for (let n = 0; n < 3; n++) subject.propose(`${n}`)
    const early = stage.round
    stage.reject('b', 1, [0, 0], early)
    stage.acknowledge('b', 5)
    const before = peer(subject, 'b')
    expect(before).toMatchObject({ state: 'replicate', match: 5, amnesic: false })
    for (const prev of [1, 2, 5]) stage.reject('b', prev, [0, 0], early)
    expect(peer(subject, 'b')).toMatchObject({ state: 'replicate', match: 5, next: before.next, amnesic: false })
    // The same from a round it heard after it acknowledged, is.
    stage.pass(200)
    stage.reject('b', 5, [0, 0])
    expect(peer(subject, 'b').amnesic).toBe(true)
  })

  test('B36: an old leader with a snapshot and a tail that nobody else has comes back (MicroRaft d300e13)', () => {
    const world = new World(['a', 'b', 'c'], { limits: { trailingEntries: 0 } })
    const old = world.elect()
    old.propose('x')
    world.run(200)
    old.snapshot()
    world.run(10)
    expect(old.raft.log.first).toBe(old.raft.log.last + 1)
    world.partition(
      [old.id],
      others(world, old).map(({ id }) => id),
    )
    for (const text of ['lost', 'lost too']) old.propose(text)
    world.runUntil(() => others(world, old).some(({ role }) => role === 'leader'))
    const next = others(world, old).find(({ role }) => role === 'leader')!
    next.propose('y')
    world.run(200)
    world.heal()
    world.run(3000)
    expect(texts(old)).toEqual(['x', 'y'])
    expect(old.raft.log.last).toBe(world.leader!.raft.log.last)
  })
})
