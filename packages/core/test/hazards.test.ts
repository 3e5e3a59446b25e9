import type { NodeId } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { Stage } from './stage.ts'
import { type Server, World } from './world.ts'

/*
 * Rows of docs/guarantees/checklist.md that no other test holds as a whole.
 */

const electionTimeout = 1000

/** Only these pairs of servers hear each other. */
function connect(world: World, pairs: string): void {
  const linked = new Set(pairs.split(' ').flatMap((pair) => [pair, [...pair].reverse().join('')]))
  world.filter = (from, to) => linked.has(from + to)
  world.packets = []
}

function leadBy(world: World, id: NodeId): Server {
  const leader = world.elect()
  const server = world.server(id)
  if (leader !== server) leader.do({ type: 'transfer', id: world.nextId++, to: id })
  world.runUntil(() => world.leader === server)
  return world.elect()
}

describe('partial connectivity', () => {
  test('E7: two that each hear one of the others only unseat nobody, and writes go on', () => {
    const world = new World(['a', 'b', 'c', 'd', 'e'])
    const leader = leadBy(world, 'c')
    const { term } = leader.raft.state
    // a, b and c hear each other; d hears b alone, e hears c alone.
    connect(world, 'ab bc ac db ec')
    for (let n = 0; n < 30; n++) {
      const id = leader.propose(`${n}`)
      world.run(2 * electionTimeout)
      expect(leader.outcome(id), `write ${n}`).toMatchObject({ type: 'committed' })
    }
    expect(leader.role).toBe('leader')
    for (const id of ['a', 'b', 'c', 'd', 'e']) expect(world.server(id).raft.state.term).toBe(term)
  })

  test('E7: in a chain of three the leader at one end stays, and the other end raises no term', () => {
    const world = new World(['a', 'b', 'c'])
    const leader = leadBy(world, 'c')
    const { term } = leader.raft.state
    connect(world, 'ab bc')
    const id = leader.propose('x')
    world.run(60 * electionTimeout)
    expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
    expect(leader.role).toBe('leader')
    expect(world.server('a').raft.state.term).toBe(term)
  })

  test('E7: where one alone still hears a majority, that one leads within ten election timeouts, for good', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = new World(['a', 'b', 'c', 'd', 'e'], {}, seed)
      leadBy(world, 'c')
      // A star around b: the leader hears b only, and so no quorum.
      connect(world, 'ab bc bd be')
      world.runUntil(() => world.leader?.id === 'b' && world.server('c').role !== 'leader', 10 * electionTimeout)
      const { term } = world.server('b').raft.state
      const id = world.server('b').propose('x')
      world.run(60 * electionTimeout)
      expect(world.server('b').outcome(id), `seed ${seed}`).toMatchObject({ type: 'committed' })
      expect(world.server('b').raft.state.term, `seed ${seed}`).toBe(term)
    }
  })

  test('E8: a leader that is heard and hears nobody steps down, and another is elected', () => {
    const world = new World(['a', 'b', 'c'])
    const leader = leadBy(world, 'a')
    world.filter = (_, to) => to !== 'a'
    const since = world.now
    world.runUntil(() => leader.role !== 'leader')
    expect(world.now - since).toBeLessThanOrEqual(2 * electionTimeout)
    world.runUntil(() => world.leader !== undefined && world.leader !== leader, 10 * electionTimeout)
  })
})

describe('a log that stands still', () => {
  test('E11: its server raises no term, however often nobody leads', () => {
    const world = new World(['a', 'b', 'c'])
    const leader = leadBy(world, 'a')
    world.filter = (_, to, message) => to !== 'c' || message.type !== 'appendEntries' || message.count === 0
    leader.propose('x')
    world.run(electionTimeout)
    expect(world.server('c').raft.log.last).toBeLessThan(leader.raft.log.last)
    const { term } = leader.raft.state
    const { filter } = world
    leader.crash()
    // b, which could lead, does not get to ask; c asks again and again.
    let asked = 0
    world.filter = (from, to, message) => {
      if (message.type === 'requestVote' && from === 'c') asked++
      return filter(from, to, message) && !(message.type === 'requestVote' && from === 'b')
    }
    world.run(20 * electionTimeout)
    expect(asked).toBeGreaterThan(5)
    expect(world.server('b').raft.state.term).toBe(term)
    expect(world.server('c').raft.state.term).toBe(term)
    world.filter = filter
    world.runUntil(() => world.leader?.id === 'b', 10 * electionTimeout)
  })
})

describe('questions that must change nothing', () => {
  test('E14: a thousand pre-votes of a far term leave the disk as it is, granted or not', () => {
    const stage = new Stage()
    const { subject } = stage
    const { term } = subject.raft.state
    const before = structuredClone(subject.disk.durable)
    stage.world.now += 5 * electionTimeout
    for (let n = 0; n < 1000; n++) stage.say(n % 2 === 0 ? 'b' : 'c', stage.requestVote(term + 9, [n % 3, term], true))
    expect(stage.heard('vote').length).toBe(1000)
    expect(subject.raft.state.term).toBe(term)
    expect(subject.disk.durable).toEqual(before)
    expect(subject.disk.pending).toEqual([])
  })

  test('R7: a leader grants its own term to nobody, whoever asks and however long the log', () => {
    const stage = new Stage()
    stage.lead()
    const { term } = stage.subject.raft.state
    for (const id of ['b', 'c']) stage.say(id, stage.requestVote(term, [99, term]))
    expect(stage.heard('vote')).toMatchObject([
      { to: 'b', granted: false, term },
      { to: 'c', granted: false, term },
    ])
    expect(stage.subject.role).toBe('leader')
  })
})

describe('a snapshot that is not needed any more', () => {
  test('S9: a follower whose acknowledgement goes beyond the snapshot offered to it is sent entries again', () => {
    const world = new World(['a', 'b', 'c'], { limits: { trailingEntries: 0 } })
    const leader = leadBy(world, 'a')
    // c takes everything, and none of its answers arrives until the log is compacted.
    world.filter = (from) => from !== 'c'
    for (let n = 0; n < 5; n++) leader.propose(`${n}`)
    world.run(electionTimeout / 2)
    leader.snapshot()
    world.settle()
    expect(leader.raft.log.first).toBe(leader.raft.log.last + 1)
    // What seems to be lost would be sent again; it is compacted, so the snapshot is offered.
    leader.do({ type: 'link', peer: 'c', state: 'down' })
    leader.do({ type: 'link', peer: 'c', state: 'up' })
    world.run(3 * electionTimeout)
    world.heal()
    world.run(2 * electionTimeout)
    expect(leader.happenings('snapshot')).toContainEqual(expect.objectContaining({ step: 'offered', peer: 'c' }))
    const ids = [leader.propose('x'), leader.propose('y')]
    world.run(2 * electionTimeout)
    for (const id of ids) expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
    expect([...world.server('c').applied.values()]).toEqual([...leader.applied.values()])
    expect(
      world
        .server('c')
        .happenings('snapshot')
        .filter(({ step }) => step === 'installed'),
    ).toEqual([])
  })
})

describe('a slow follower under steady load', () => {
  test('R16: one whose disk finishes five writes a second follows at a bounded distance, and is sent no snapshot', () => {
    const world = new World(['a', 'b', 'c'], { limits: { trailingEntries: 500 } })
    const leader = leadBy(world, 'a')
    const slow = world.server('c')
    slow.autoFlush = false
    let proposed = 0
    let distance = 0
    for (let turn = 1; turn <= 1000; turn++) {
      for (let n = 0; n < 5; n++) leader.propose(`${proposed++}`)
      world.run(10)
      if (turn % 20 === 0) slow.flushOne()
      if (turn % 100 === 0) leader.snapshot()
      distance = Math.max(distance, leader.raft.commit - slow.raft.commit)
    }
    expect(leader.raft.log.first).toBeGreaterThan(3000)
    expect(distance).toBeLessThan(500)
    expect(slow.happenings('snapshot')).toEqual([])
    slow.autoFlush = true
    slow.flush()
    world.run(electionTimeout)
    expect([...slow.applied.values()]).toEqual(Array.from({ length: proposed }, (_, n) => `${n}`))
  })
})
