import { recordEnd } from '@raftkit/bytes'
import { isRaftkitError } from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import { describe, expect, test } from 'vitest'
import { decodeDurable, encodeDurable } from '../src/durable.ts'
import { decodeMessage, encodeMessage } from '../src/encoding.ts'
import type { Message } from '../src/index.ts'
import { Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const others = (world: World, than: Server): Server[] => [...world.servers.values()].filter((server) => server !== than)

/** A cluster that has run for long: its log begins behind `index`, in a term as high. */
function grown(index: number, boot = 0): World {
  const world = new World(['a', 'b', 'c'], {
    membership: jointConsensus() as never,
    limits: { trailingEntries: 2, cacheBytes: 0 },
  })
  world.settle()
  for (const server of world.servers.values()) {
    const { disk } = server
    const { config } = server.raft.status()
    const state = decodeDurable(disk.durable.state!)
    const snapshot = { name: 'old', index, term: index, bytes: 2, config, configIndex: 1, time: 0 }
    disk.blobs.set('old', new TextEncoder().encode('[]'))
    disk.durable = {
      state: encodeDurable({ ...state, boot: Math.max(state.boot, boot), term: index, vote: undefined, snapshot }),
      first: index + 1,
      records: [],
    }
    server.restart()
  }
  return world
}

describe('large numbers', () => {
  test.each([
    ['2^31', 2 ** 31 - 4],
    ['2^32', 2 ** 32 - 4],
    ['2^53', 2 ** 53 - 60],
  ])(
    'B62: indexes and terms near %s are like any others: elections, conflicts, reads, changes, snapshots (sofastack/sofa-jraft#846, NuRaft#660)',
    (_, index) => {
      const world = grown(index)
      const first = world.elect()
      expect(first.raft.state.term).toBeGreaterThan(index)
      for (const text of ['x', 'y']) first.propose(text)
      world.run(300)
      const read = first.read()
      world.run(100)
      expect(first.outcome(read)).toMatchObject({ type: 'read', index: index + 3 })
      expect([...first.applied.keys()]).toEqual([index + 2, index + 3])
      // A tail that is cut.
      world.partition(
        [first.id],
        others(world, first).map(({ id }) => id),
      )
      for (let n = 0; n < 3; n++) first.propose('lost')
      world.runUntil(() => others(world, first).some(({ role }) => role === 'leader'))
      const next = others(world, first).find(({ role }) => role === 'leader')!
      next.propose('z')
      world.run(200)
      world.heal()
      world.run(3000)
      expect(first.happenings('truncated').map(({ from }) => from)).toEqual([index + 4])
      for (const server of world.servers.values()) expect([...server.applied.values()]).toEqual(['x', 'y', 'z'])
      // A snapshot, fetched by a server that joins.
      const leader = world.leader!
      for (let n = 0; n < 4; n++) leader.propose(`${n}`)
      world.run(200)
      leader.snapshot()
      const joining = world.add('d')
      joining.take()
      leader.change({ type: 'addVoter', id: 'd', incarnation: joining.incarnation, address: 'd' })
      world.run(5000)
      expect(joining.happenings('snapshot').map(({ step }) => step)).toContain('installed')
      expect([...joining.applied]).toEqual([...leader.applied])
      expect(leader.raft.status().config.members.map(({ role }) => role)).toEqual(['voter', 'voter', 'voter', 'voter'])
      const before = leader.raft.log.last
      joining.restart()
      expect(joining.raft.log.last).toBe(before)
    },
  )

  test('B62: at the last index that there is, the server stops rather than go wrong, and loses nothing (sofastack/sofa-jraft#846)', () => {
    const world = grown(2 ** 53 - 4)
    const leader = world.elect()
    leader.propose('last but one')
    leader.propose('last')
    world.settle()
    expect(leader.raft.log.last).toBe(Number.MAX_SAFE_INTEGER)
    let thrown: unknown
    try {
      leader.propose('one too many')
    } catch (error) {
      thrown = error
    }
    expect(isRaftkitError(thrown, 'INVARIANT')).toBe(true)
    leader.restart()
    expect(leader.raft.log.last).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('B62: numbers that a message cannot mean are malformed: 2^53, 2^64-1 (E15)', () => {
    const message: Message = { type: 'appended', term: 1, round: 2, match: 3, received: 4 }
    const [bytes] = encodeMessage(message)
    expect(decodeMessage(bytes!)).toEqual(message)
    for (const value of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])
      for (const offset of [2, 10, 18, 26]) {
        const altered = bytes!.slice()
        new DataView(altered.buffer).setBigUint64(offset, value, true)
        expect(() => decodeMessage(altered)).toThrow('MALFORMED')
      }
    const append: Message = {
      type: 'appendEntries',
      term: 1,
      round: 1,
      prevIndex: Number.MAX_SAFE_INTEGER,
      prevTerm: 1,
      commit: 0,
      count: 1,
      records: [],
    }
    expect(() => decodeMessage(encodeMessage(append)[0]!)).toThrow('MALFORMED')
  })

  test('a term that no elections lead to is ignored, whatever says it: nobody could count on from there', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.lead()
    const { term } = subject.raft.state
    const far = Number.MAX_SAFE_INTEGER
    const messages: Message[] = [
      stage.requestVote(far, [1, far]),
      { type: 'vote', term: far, forTerm: far, pre: false, ballot: 1, granted: false },
      stage.append(far, [0, 0], []),
      { type: 'appended', term: far, round: 1, match: 1, received: 1 },
      { type: 'rejected', term: far, round: 1, prevIndex: 1, hintIndex: 0, hintTerm: 0, last: 0 },
      { type: 'timeoutNow', term: far },
    ]
    for (const message of messages) stage.say('b', message)
    expect([subject.role, subject.raft.state.term]).toEqual(['leader', term])
    expect(subject.happenings('ignored')).toHaveLength(messages.length)
    // As far as any cluster comes.
    stage.say('b', stage.append(term + 2 ** 40, [0, 0], []))
    expect([subject.role, subject.raft.state.term]).toEqual(['follower', term + 2 ** 40])
  })

  test('B62: a server that was started two million times still speaks (sofastack/sofa-jraft#846)', () => {
    const world = grown(100, 2 ** 21 + 5)
    const leader = world.elect()
    const follower = others(world, leader)[0]!
    const id = follower.propose('x')
    const read = follower.read()
    world.run(500)
    expect(follower.outcome(id)).toMatchObject({ type: 'committed' })
    expect(follower.outcome(read)).toMatchObject({ type: 'read' })
  })
})

describe('timers', () => {
  test('B63: followers of 20 groups that hear their leaders at the same moment, again and again, do not stand together (databendlabs/openraft#1959)', () => {
    const stages = Array.from({ length: 20 }, (_, n) => {
      const stage = new Stage()
      // As the runtime does: each group has random bits of its own.
      stage.world.random = () => (n * 0x9e3779b1) >>> 0
      stage.subject.restart()
      return stage
    })
    for (let tick = 0; tick < 30; tick++) {
      for (const stage of stages) {
        stage.world.now += 50
        stage.say('b', stage.append(2, [1, 1], []))
      }
      const deadlines = stages.map(({ subject, world }) => subject.deadline! - world.now)
      expect(Math.max(...deadlines) - Math.min(...deadlines)).toBeGreaterThan(500)
      // Few stand within the same twentieth of the spread.
      const phases = new Map<number, number>()
      for (const deadline of deadlines) {
        expect(deadline).toBeGreaterThanOrEqual(1000)
        expect(deadline).toBeLessThanOrEqual(2000)
        const phase = Math.floor(deadline / 50)
        phases.set(phase, (phases.get(phase) ?? 0) + 1)
      }
      expect(Math.max(...phases.values())).toBeLessThan(8)
    }
  })
})

describe('bytes', () => {
  test('B64: the log is the same bytes after a restart, on every disk, and in what is sent again (rabbitmq/ra e8602892)', () => {
    const world = new World(['a', 'b', 'c'], { membership: jointConsensus() as never })
    const leader = world.elect()
    for (const text of ['x', '', 'ü'.repeat(300)]) leader.propose(text)
    leader.change({ type: 'setAddress', id: 'b', address: 'elsewhere:1' })
    world.run(500)
    const written = [...world.servers.values()].map(({ disk }) => disk.durable.records.map((record) => [...record]))
    expect(written[1]).toEqual(written[0])
    expect(written[2]).toEqual(written[0])
    for (const server of world.servers.values()) {
      server.restart()
      const { parts } = server.raft.log.slice(1, server.raft.log.last, Number.POSITIVE_INFINITY)!
      const records = parts.flatMap((part) => {
        const split: number[][] = []
        for (let offset = 0; offset < part.length; offset = recordEnd(part, offset))
          split.push([...part.subarray(offset, recordEnd(part, offset))])
        return split
      })
      expect(records).toEqual(written[0])
    }
    const next = world.elect()
    world.run(500)
    for (const { disk } of world.servers.values())
      expect(disk.durable.records.slice(0, written[0]!.length).map((record) => [...record])).toEqual(written[0])
    expect(next.raft.log.last).toBe(written[0]!.length + 1)
  })
})
