import { jointConsensus } from '@raftkit/membership'
import { describe, expect, test } from 'vitest'
import { configOf, Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const joint = { membership: jointConsensus() as never }
const lease = { timing: { leaseDrift: 0.1 } }
const others = (world: World, than: Server): Server[] => [...world.servers.values()].filter((server) => server !== than)

describe('reads', () => {
  test('B37: before the first commit of its term a leader answers no read (etcd-io/etcd#7331, tikv#6340, tikv#9239)', () => {
    const stage = new Stage(['a', 'b', 'c'], lease)
    const { subject } = stage
    // Committed by an earlier leader, which this server was not told.
    stage.say('b', stage.append(2, [1, 1], [2, 2], 1))
    stage.lead()
    const ids = [subject.read(), subject.read('lease')]
    stage.say('c', { type: 'readIndex', id: 7 })
    // Its round is confirmed, but not yet its log.
    for (const from of ['b', 'c']) stage.acknowledge(from, 3)
    for (const id of ids) expect(subject.outcome(id)).toBeUndefined()
    expect(stage.heard('readIndexResult')).toEqual([])
    for (const from of ['b', 'c']) stage.acknowledge(from, 4)
    for (const from of ['b', 'c']) stage.acknowledge(from, 4)
    for (const id of ids) expect(subject.outcome(id)).toMatchObject({ type: 'read', index: 4 })
    expect(stage.heard('readIndexResult')).toMatchObject([{ to: 'c', id: 7, index: 4 }])
  })

  test('B38: acknowledgements of an earlier round confirm no read, its number repeated or not (etcd-io/etcd#20418, etcd-io/raft#397)', () => {
    const stage = new Stage(['a', 'b', 'c'])
    const { subject } = stage
    stage.lead()
    stage.acknowledge('b', 2)
    stage.say('c', { type: 'readIndex', id: 7 })
    const first = stage.round
    stage.say('c', { type: 'readIndex', id: 7 })
    const own = subject.read()
    expect(stage.round).toBeGreaterThan(first)
    stage.acknowledge('b', 2, first)
    stage.acknowledge('c', 2, first)
    expect(stage.heard('readIndexResult')).toHaveLength(1)
    expect(subject.outcome(own)).toBeUndefined()
    stage.acknowledge('b', 2)
    expect(stage.heard('readIndexResult')).toHaveLength(1)
    expect(subject.outcome(own)).toMatchObject({ type: 'read', index: 2 })
  })

  test('B38: an isolated leader answers no read, though answers of before reach it (etcd-io/etcd#20418)', () => {
    const world = new World(['a', 'b', 'c'])
    const old = world.elect()
    const late: typeof world.packets = []
    old.read()
    while (world.packets.length > 0) {
      late.push(...world.packets.filter(({ outgoing }) => outgoing.to === old.id))
      world.deliverOne()
    }
    world.partition(
      [old.id],
      others(world, old).map(({ id }) => id),
    )
    // It does not wait for the old leader's silence: as if it was told to take over.
    others(world, old)[0]!.do({
      type: 'message',
      from: { id: old.id, incarnation: old.incarnation },
      genesis: old.raft.state.genesis,
      message: { type: 'timeoutNow', term: old.raft.state.term },
    })
    world.settle()
    expect(others(world, old).some(({ role }) => role === 'leader')).toBe(true)
    const stale = old.read()
    for (const packet of late) world.deliver(packet)
    expect(old.role).toBe('leader')
    expect(old.outcome(stale)).toBeUndefined()
    world.heal()
    world.run(3000)
    expect(old.outcome(stale)).toMatchObject({ type: 'refused', code: 'NOT_LEADER' })
  })

  test.each([1, 2, 3, 4])(
    'B39: reads at any server, over lost messages and new leaders, never go back (tikv#16069), seed %i',
    (seed) => {
      const world = new World(['a', 'b', 'c'], {}, seed)
      world.elect()
      const servers = [...world.servers.values()]
      const pick = (): Server => servers[world.random() % servers.length]!
      let floor = 0
      let reads = 0
      for (let n = 0; n < 150; n++) {
        const lossy = world.random() % 4
        world.filter = () => lossy === 0 || world.random() % 10 >= lossy
        if (world.random() % 25 === 0) pick().do({ type: 'campaign' })
        const writer = pick()
        const write = writer.propose(`${n}`)
        world.run(world.random() % 60)
        const written = writer.outcome(write)
        if (written?.type === 'committed') floor = Math.max(floor, written.index)
        const reader = pick()
        const read = reader.read()
        world.run(world.random() % 400)
        const answer = reader.outcome(read)
        if (answer?.type !== 'read') continue
        expect(answer.index).toBeGreaterThanOrEqual(floor)
        floor = answer.index
        reads++
      }
      expect(reads).toBeGreaterThan(20)
    },
  )

  test('B40: while leadership is handed over, and for the rest of that term, no lease answers a read (databendlabs/openraft#1747)', () => {
    const stage = new Stage(['a', 'b', 'c'], lease)
    const { subject } = stage
    stage.lead()
    for (const from of ['b', 'c']) stage.acknowledge(from, 2)
    stage.acknowledge('b', 2)
    const before = subject.read('lease')
    expect(subject.outcome(before)).toMatchObject({ type: 'read', index: 2, until: expect.any(Number) })
    subject.do({ type: 'transfer', id: 900, to: 'b' })
    expect(stage.heard('timeoutNow')).toMatchObject([{ to: 'b' }])
    const during = subject.read('lease')
    expect(subject.outcome(during)).toBeUndefined()
    // The target is dead; the others still follow.
    for (let n = 0; n < 15; n++) {
      stage.pass(100)
      stage.acknowledge('c', 2)
    }
    expect(subject.outcome(900)).toMatchObject({ type: 'unknown' })
    const after = subject.read('lease')
    expect(subject.outcome(after)).toBeUndefined()
    stage.acknowledge('c', 2)
    for (const id of [during, after]) expect(subject.outcome(id)).not.toHaveProperty('until')
    for (const id of [during, after]) expect(subject.outcome(id)).toMatchObject({ type: 'read', index: 2 })
  })

  test('B41: learners confirm no read (MicroRaft c768342)', () => {
    const world = new World(['a', 'b'], joint)
    const leader = world.elect()
    for (const id of ['l', 'm']) {
      const learner = world.add(id)
      leader.change({ type: 'addLearner', id, incarnation: learner.incarnation, address: id })
      world.run(1000)
    }
    others(world, leader)
      .find(({ id }) => id === 'a' || id === 'b')!
      .crash()
    const id = leader.read()
    world.run(500)
    expect(leader.outcome(id)).toBeUndefined()
  })

  test('B41: a read needs a majority of all voters, and in a joint configuration one of each half (databendlabs/openraft d60f1e85)', () => {
    const four = new Stage(['a', 'b', 'c', 'd'])
    four.lead()
    for (const from of ['b', 'c', 'd']) four.acknowledge(from, 2)
    const plain = four.subject.read()
    four.acknowledge('b', 2)
    expect(four.subject.outcome(plain)).toBeUndefined()
    four.acknowledge('d', 2)
    expect(four.subject.outcome(plain)).toMatchObject({ type: 'read' })

    // A policy that stays in the joint configuration.
    const stays = { ...jointConsensus(), next: () => undefined }
    const stage = new Stage(['a', 'b', 'c', 'd', 'e'], { membership: stays as never })
    const { subject, world } = stage
    const config = configOf(world, { a: 'voter', b: 'outgoing', c: 'outgoing', d: 'incoming', e: 'incoming' })
    stage.say('b', stage.append(2, [1, 1], [[2, config]]))
    stage.lead()
    for (const from of ['b', 'c', 'd', 'e']) stage.acknowledge(from, 3)
    for (const [answering, confirmed] of [
      [['d', 'e'], false],
      [['b', 'c'], false],
      [['c', 'e'], true],
    ] as const) {
      const id = subject.read()
      for (const from of answering) stage.acknowledge(from, 3)
      expect(subject.outcome(id) !== undefined).toBe(confirmed)
    }
  })

  test('B41: the only voter, restarted, answers a read with all that it had committed (sofastack/sofa-jraft#1109)', () => {
    const world = new World(['a'])
    const server = world.elect()
    for (const text of ['x', 'y']) server.propose(text)
    const committed = server.raft.commit
    server.autoFlush = false
    server.restart()
    server.do({ type: 'time' })
    while (server.role !== 'leader') server.flushOne()
    const id = server.read()
    expect(server.outcome(id)).toBeUndefined()
    server.autoFlush = true
    server.flush()
    expect(server.outcome(id)).toMatchObject({ type: 'read', index: committed + 1 })
    const again = server.read()
    const answer = server.outcome(again)
    expect(answer?.type === 'read' && answer.index).toBeGreaterThan(committed)
    expect([...server.applied.values()]).toEqual(['x', 'y'])
  })
})
