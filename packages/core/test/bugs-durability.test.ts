import { describe, expect, test } from 'vitest'
import { decodeDurable } from '../src/durable.ts'
import { Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const texts = (server: Server): string[] => [...server.applied.values()]

describe('what is durable, and what it is counted for', () => {
  test('B4: a new leader does not count its first entry before its disk has it (databendlabs/openraft a9f696a9)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.autoFlush = false
    stage.lead('b')
    expect(subject.disk.durable.records).toHaveLength(1)
    stage.acknowledge('b', 2)
    expect(subject.raft.commit).toBeLessThan(2)
    subject.flush()
    expect(subject.raft.commit).toBe(2)
  })

  test('B5: the only voter commits once its disk has it, and keeps it over a power cut (etcd-io/etcd#14370)', () => {
    const world = new World(['a'])
    const leader = world.elect()
    leader.autoFlush = false
    const lost = leader.propose('lost')
    world.run(50)
    expect(leader.outcome(lost)).toBeUndefined()
    expect(texts(leader)).toEqual([])
    leader.restart()
    leader.autoFlush = true
    leader.flush()
    world.elect()
    const kept = leader.propose('kept')
    expect(leader.outcome(kept)).toMatchObject({ type: 'committed' })
    leader.restart()
    world.elect()
    expect(texts(leader)).toEqual(['kept'])
  })

  test('B6: at no point of the writes does the disk hold an entry of a term above its own (databendlabs/openraft, io_ordering)', () => {
    const world = new World(['a', 'b', 'c', 'd', 'e'])
    let checked = 0
    for (const { disk } of world.servers.values()) {
      const { flush } = disk
      disk.flush = () => {
        const id = flush.call(disk)
        const { state, records } = disk.durable
        const last = records.at(-1)
        if (id === undefined || state === undefined || last === undefined) return id
        const lastTerm = Number(new DataView(last.buffer, last.byteOffset).getBigUint64(18, true))
        expect(lastTerm).toBeLessThanOrEqual(decodeDurable(state).term)
        checked++
        return id
      }
    }
    for (let n = 0; n < 5; n++) {
      const leader = world.elect()
      leader.propose(`${n}`)
      world.run(20)
      leader.crash()
      world.elect()
      leader.restart()
    }
    expect(checked).toBeGreaterThan(50)
  })

  test('B6: a log with an entry above the term beside it is refused as damage (databendlabs/openraft, io_ordering)', () => {
    const stage = new Stage()
    const { subject } = stage
    const old = subject.disk.durable.state!
    stage.say('b', stage.append(5, [1, 1], [5]))
    subject.disk.durable.state = old
    expect(() => subject.restart()).toThrow('DAMAGED')
  })

  test('B7: completions of two appends in reverse order lose no progress (databendlabs/openraft#1960)', () => {
    const world = new World(['a'])
    const leader = world.elect()
    leader.autoFlush = false
    const ids = [leader.propose('x'), leader.propose('y')]
    const [first, second] = leader.disk.pending.map(({ id }) => id)
    leader.disk.flush()
    leader.disk.flush()
    leader.do({ type: 'durable', write: second! })
    leader.do({ type: 'durable', write: first! })
    for (const id of ids) expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
    expect(leader.raft.status().durable).toBe(leader.raft.log.last)
  })

  test('B8: a late completion of a truncated suffix acknowledges nothing (rabbitmq/ra 39490978, 324d9bc5; etcd async_storage_writes_append_aba_race)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.lead()
    subject.autoFlush = false
    subject.propose('x')
    subject.propose('y')
    const before = subject.disk.pending.length
    // Another leader puts as many entries in their place, and they are not written yet.
    stage.say('b', stage.append(3, [1, 1], [3, 3, 3]))
    for (let left = before; left > 0; left--) subject.flushOne()
    expect(subject.disk.durable.records).toHaveLength(4)
    expect(subject.raft.status().durable).toBe(1)
    subject.flushOne()
    expect(subject.raft.status().durable).toBe(4)
    // The first answer is true before and after: entry 1 is what both leaders sent.
    expect(stage.heard('appended').map(({ match }) => match)).toEqual([1, 4])
  })

  test('B8: nor does one that comes after the truncation, before anything else is written (rabbitmq/ra 39490978)', () => {
    const stage = new Stage()
    const { subject } = stage
    subject.autoFlush = false
    stage.say('b', stage.append(2, [1, 1], [2, 2, 2]))
    stage.arrive('c', stage.append(3, [1, 1], [3]))
    const [first] = subject.disk.pending
    subject.step({ type: 'durable', write: first!.id })
    expect(subject.raft.status().durable).toBe(1)
    subject.take()
    expect(stage.heard('appended').every(({ match }) => match <= 1)).toBe(true)
  })

  test('B9: applied ahead of its own disk, a server that crashes at any write starts again from what the disk has (rabbitmq/ra ffe3016a)', () => {
    for (let written = 0; written < 4; written++) {
      const stage = new Stage(['a', 'b', 'c'], { limits: { trailingEntries: 0 } })
      const { subject } = stage
      stage.lead()
      stage.acknowledge('b', 2)
      subject.autoFlush = false
      subject.propose('x')
      subject.propose('y')
      stage.acknowledge('b', 4)
      stage.acknowledge('c', 4)
      expect(texts(subject)).toEqual(['x', 'y'])
      expect(subject.raft.status().durable).toBe(2)
      subject.snapshot()
      expect(subject.disk.pending.length).toBeGreaterThanOrEqual(3)
      for (let left = written; left > 0; left--) subject.disk.flush()
      subject.restart()
      const { snapshot, last, applied } = subject.raft.status()
      expect(applied).toBe(snapshot?.index ?? 0)
      expect(last).toBe(2 + Math.min(written, 2))
      expect(texts(subject)).toEqual(snapshot === undefined ? [] : ['x', 'y'])
    }
  })
})

describe('commit', () => {
  test('B22: an entry of an earlier term is not committed by counting, Figure 8 (logcabin#44)', () => {
    const stage = new Stage(['a', 'b', 'c', 'd', 'e'])
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2]))
    stage.say('b', stage.requestVote(3, [9, 9]))
    stage.lead()
    expect(subject.terms).toBe('1:1 2:2 3:4')
    for (const from of ['b', 'c', 'd', 'e']) stage.acknowledge(from, 2)
    expect(subject.raft.commit).toBeLessThan(2)
    stage.acknowledge('b', 3)
    stage.acknowledge('c', 3)
    expect(subject.raft.commit).toBe(3)
  })

  test('B23: a stale tail is not committed by an empty append with a high commit (rabbitmq/ra#508, NuRaft#57, CCF follower_overcommit_partial_verified)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('c', stage.append(2, [1, 1], [2, 2, 2]))
    stage.say('b', stage.append(3, [1, 1], [], 4))
    expect(subject.raft.commit).toBe(1)
    // As far as this message verified, and no further.
    stage.say('b', stage.append(3, [1, 1], [2], 4))
    expect(subject.raft.commit).toBe(2)
    stage.say('b', stage.append(3, [2, 2], [3, 3], 4))
    expect(subject.raft.commit).toBe(4)
    expect(subject.terms).toBe('1:1 2:2 3:3 4:3')
  })

  test('B23: nor acknowledged (CCF: an acknowledgement covers a stale suffix)', () => {
    const stage = new Stage()
    stage.say('c', stage.append(2, [1, 1], [2, 2, 2]))
    stage.heard('appended')
    stage.say('b', stage.append(3, [1, 1], []))
    expect(stage.heard('appended')).toMatchObject([{ term: 3, match: 1, received: 1 }])
  })

  test('B24: a late append that overlaps cuts nothing (CCF#5991, #6016; openraft 9540c904)', () => {
    const stage = new Stage()
    const { subject } = stage
    const late = stage.append(2, [1, 1], [2, 2])
    stage.say('b', stage.append(2, [1, 1], [2, 2, 2, 2, 2]))
    stage.say('b', late)
    stage.say('b', stage.append(2, [2, 2], []))
    expect(subject.raft.log.last).toBe(6)
    expect(subject.happenings('truncated')).toEqual([])
    expect(subject.raft.status().durable).toBe(6)
  })

  test('B25: who stops leading keeps its entries until another leader really contradicts them (CCF#5674)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.lead()
    const id = subject.propose('x')
    stage.acknowledge('b', 3)
    expect(subject.outcome(id)).toMatchObject({ type: 'committed' })
    subject.propose('y')
    stage.say('c', stage.requestVote(3, [9, 9]))
    stage.say('c', stage.append(3, [3, 2], []))
    expect(subject.role).toBe('follower')
    expect(subject.raft.log.last).toBe(4)
    stage.say('c', stage.append(3, [3, 2], [3]))
    expect(subject.terms).toBe('1:1 2:2 3:2 4:3')
    expect(subject.happenings('truncated').map(({ from }) => from)).toEqual([4])
  })
})
