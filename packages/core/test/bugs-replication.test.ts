import { describe, expect, test } from 'vitest'
import { Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const texts = (server: Server): string[] => [...server.applied.values()]
const others = (world: World, than: Server): Server[] => [...world.servers.values()].filter((server) => server !== than)

describe('replication in JavaScript libraries', () => {
  test('JS: liferaft never compares the previous term: an append behind an entry of another term is rejected', () => {
    const stage = new Stage()
    stage.say('b', stage.append(2, [1, 1], [2, 2]))
    stage.say('c', stage.append(3, [3, 3], [3]))
    expect(stage.subject.terms).toBe('1:1 2:2 3:2')
    expect(stage.heard('rejected')).toMatchObject([{ prevIndex: 3, hintIndex: 3, hintTerm: 2 }])
  })

  test('JS: liferaft cuts committed entries for a stale heartbeat: they stay, and who contradicts them stops the server', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2, 2], 4))
    for (const prev of [
      [1, 1],
      [2, 2],
    ] as const)
      stage.say('b', stage.append(2, prev, []))
    stage.say('c', stage.append(1, [1, 1], []))
    expect(subject.raft.log.last).toBe(4)
    expect(subject.raft.commit).toBe(4)
    expect(() => stage.say('c', stage.append(3, [1, 1], [3]))).toThrow('DIVERGED')
    expect(subject.raft.log.last).toBe(4)
  })

  test('JS: liferaft emits commits in any order: they are handed out once each, in the order of the log', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.lead()
    for (let n = 0; n < 20; n++) subject.propose(`${n}`)
    const order: number[] = []
    const { set } = subject.applied
    subject.applied.set = (index, text) => {
      order.push(index)
      return set.call(subject.applied, index, text)
    }
    for (const match of [9, 4, 22, 15, 22]) {
      stage.acknowledge('c', match)
      stage.acknowledge('b', match)
    }
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n + 3))
    expect(subject.settled.map((settled) => settled.type === 'committed' && settled.index)).toEqual(order)
  })

  test('JS: liferaft breaks on a command to a follower: it is forwarded, or refused while nobody leads', () => {
    const world = new World(['a', 'b', 'c'])
    world.settle()
    const early = world.server('b').propose('early')
    expect(world.server('b').outcome(early)).toMatchObject({ type: 'refused', code: 'NO_LEADER' })
    const follower = others(world, world.elect())[0]!
    const id = follower.propose('x')
    world.run(500)
    expect(follower.outcome(id)).toMatchObject({ type: 'committed' })
    for (const server of world.servers.values()) expect(texts(server)).toEqual(['x'])
  })

  test('JS: gaggle keeps entries before the last conflict, and one at the first place: everything from the first conflict on goes', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say(
      'b',
      stage.append(
        3,
        [1, 1],
        [
          [2, 'old'],
          [3, 'same'],
          [3, 'old'],
        ],
      ),
    )
    stage.say(
      'c',
      stage.append(
        4,
        [1, 1],
        [
          [3, 'new'],
          [3, 'new'],
          [4, 'new'],
        ],
        4,
      ),
    )
    expect(subject.terms).toBe('1:1 2:3 3:3 4:4')
    expect(texts(subject)).toEqual(['new', 'new', 'new'])
    expect(subject.happenings('truncated').map(({ from }) => from)).toEqual([2])
  })

  test('JS: kanaka/raft.js cuts in memory alone: what was cut does not come back with a restart', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2, 2]))
    stage.say('c', stage.append(3, [1, 1], [3]))
    subject.restart()
    expect(subject.terms).toBe('1:1 2:3')
  })

  test('JS: zmq-raft stops for good at an append below the commit: a late duplicate is answered, and the next one taken', () => {
    const stage = new Stage(['a', 'b', 'c'], { limits: { trailingEntries: 0 } })
    const { subject } = stage
    const late = stage.append(2, [1, 1], [2, 2], 1)
    stage.say('b', stage.append(2, [1, 1], [2, 2, 2, 2], 5))
    stage.say('b', late)
    subject.snapshot()
    expect(subject.raft.log.first).toBe(6)
    stage.heard('appended')
    stage.say('b', late)
    stage.say('b', stage.append(2, [5, 2], [2], 6))
    expect(stage.heard('appended').map(({ match }) => match)).toEqual([5, 6])
    expect(texts(subject)).toEqual(['2', '3', '4', '5', '6'])
  })

  test('JS: coaty writes the whole log for each entry, and skiff reads it: a write says what is new', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.lead()
    subject.autoFlush = false
    for (let n = 0; n < 200; n++) subject.propose('x'.repeat(100))
    for (const { change } of subject.disk.pending) {
      expect(change.tail?.run.count).toBe(1)
      expect(change.tail?.run.bytes.length).toBeLessThan(200)
      expect(change.state).toBeUndefined()
    }
  })

  test('JS: @usex/raft reports success after one round, committed or not: a proposal without a quorum has no outcome yet', () => {
    const world = new World(['a', 'b', 'c'])
    const leader = world.elect()
    world.filter = () => false
    const id = leader.propose('x')
    world.run(900)
    expect(leader.outcome(id)).toBeUndefined()
    expect(texts(leader)).toEqual([])
  })

  test('JS: @usex/raft forgets vote, term and log after an hour: nothing here ages', () => {
    const world = new World(['a', 'b', 'c'])
    const leader = world.elect()
    leader.propose('x')
    world.run(200)
    const before = [...world.servers.values()].map(({ raft: { state, log } }) => [state.term, state.vote, log.last])
    for (const server of world.servers.values()) server.crash()
    world.now += 7_200_000
    for (const server of world.servers.values()) server.restart()
    expect([...world.servers.values()].map(({ raft: { state, log } }) => [state.term, state.vote, log.last])).toEqual(
      before,
    )
    const next = world.elect()
    expect(texts(next)).toEqual(['x'])
  })
})
