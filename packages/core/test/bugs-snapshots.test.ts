import { crc32 } from '@raftkit/bytes'
import { jointConsensus } from '@raftkit/membership'
import { describe, expect, test } from 'vitest'
import type { SnapshotRecord } from '../src/durable.ts'
import { Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const joint = { membership: jointConsensus() as never }
const compacting = { limits: { trailingEntries: 0 } }
const others = (world: World, than: Server): Server[] => [...world.servers.values()].filter((server) => server !== than)
const texts = (server: Server): string[] => [...server.applied.values()]
const steps = (server: Server): string[] => server.happenings('snapshot').map(({ step }) => step)

/** A snapshot that the played leader has: its bytes, and what its offer says. */
class Parcel {
  readonly bytes: Uint8Array
  readonly snapshot: SnapshotRecord
  readonly #stage: Stage

  constructor(stage: Stage, name: string, index: number, term: number, texts: readonly string[]) {
    this.#stage = stage
    this.bytes = new TextEncoder().encode(JSON.stringify(texts.map((text, at) => [at + 2, text])))
    const { config, configIndex } = stage.subject.raft.status()
    this.snapshot = { name, index, term, bytes: this.bytes.length, config, configIndex, time: 0 }
  }

  offer(from: string, term: number): void {
    this.#stage.say(from, { type: 'offerSnapshot', term, round: 1000 + term, snapshot: this.snapshot })
  }

  chunk(from: string, start: number, end: number, checksum?: number): void {
    const bytes = this.bytes.slice(start, end)
    this.#stage.say(from, {
      type: 'snapshotChunk',
      name: this.snapshot.name,
      offset: start,
      checksum: checksum ?? crc32(bytes),
      bytes,
    })
  }
}

describe('installing', () => {
  test('B52: a log that contradicts the snapshot at its index goes, one install is enough, and appends follow (hashicorp/raft#697)', () => {
    const world = new World(['a', 'b', 'c'], compacting)
    const old = world.elect()
    world.partition(
      [old.id],
      others(world, old).map(({ id }) => id),
    )
    for (let n = 0; n < 6; n++) old.propose(`lost ${n}`)
    world.runUntil(() => others(world, old).some(({ role }) => role === 'leader'))
    const leader = others(world, old).find(({ role }) => role === 'leader')!
    for (const text of ['x', 'y']) leader.propose(text)
    world.run(200)
    leader.snapshot()
    world.run(10)
    const at = leader.raft.state.snapshot!.index
    expect(old.raft.log.last).toBeGreaterThan(at)
    expect(old.raft.log.termAt(at)).not.toBe(leader.raft.state.snapshot!.term)
    world.heal()
    world.run(3000)
    world.leader!.propose('z')
    world.run(3000)
    expect(steps(old).filter((step) => step === 'installed')).toHaveLength(1)
    expect(texts(old)).toEqual(['x', 'y', 'z'])

    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2, 2, 2, 2, 2]))
    const parcel = new Parcel(stage, 's5', 5, 3, ['x'])
    parcel.offer('c', 3)
    parcel.chunk('c', 0, parcel.bytes.length)
    expect(subject.raft.status()).toMatchObject({ first: 6, last: 5, durable: 5 })
    subject.restart()
    expect(subject.raft.status()).toMatchObject({ first: 6, last: 5, applied: 5 })
  })

  test('B52: a snapshot that contradicts what is committed here is refused, and the server stops (databendlabs/openraft#1892)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2, 2], 4))
    new Parcel(stage, 'same', 3, 2, ['x']).offer('c', 3)
    expect(steps(subject)).toEqual([])
    expect(() => new Parcel(stage, 'other', 3, 3, ['x']).offer('c', 3)).toThrow('DIVERGED')
    expect(subject.terms).toBe('1:1 2:2 3:2 4:2')
    expect(texts(subject)).toEqual(['2', '3', '4'])
  })

  test('B53: after a damaged chunk in mid-stream the next one is asked for where the sound ones end (hashicorp/raft#212)', () => {
    const stage = new Stage()
    const { subject } = stage
    const parcel = new Parcel(stage, 's9', 9, 2, ['x', 'y'])
    parcel.offer('b', 2)
    parcel.chunk('b', 0, 5)
    stage.heard('fetchSnapshot')
    parcel.chunk('b', 5, 10, 12345)
    expect(stage.heard('fetchSnapshot')).toMatchObject([{ name: 's9', offset: 5 }])
    expect(subject.disk.partial.get('s9')).toEqual(parcel.bytes.slice(0, 5))
    parcel.chunk('c', 5, parcel.bytes.length)
    expect(texts(subject)).toEqual(['x', 'y'])
    stage.say('b', stage.append(2, [9, 2], [2], 10))
    expect(texts(subject)).toEqual(['x', 'y', '10'])
  })

  test('B54: a local snapshot that is finished after a newer one was installed takes nothing of it away (rabbitmq/ra de94f929, openraft eed681d5)', () => {
    const stage = new Stage(['a', 'b', 'c'], compacting)
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2], 3))
    subject.disk.blobs.set('late', new TextEncoder().encode('[[2,"2"],[3,"3"]]'))
    const parcel = new Parcel(stage, 's9', 9, 2, ['x', 'y'])
    parcel.offer('b', 2)
    parcel.chunk('b', 0, parcel.bytes.length)
    subject.do({ type: 'snapshot', name: 'late', index: 3, bytes: 17 })
    expect(subject.raft.state.snapshot?.name).toBe('s9')
    expect([...subject.disk.blobs.keys()]).toEqual(['s9'])
    subject.restart()
    expect(texts(subject)).toEqual(['x', 'y'])
  })

  test('B54: the snapshot that the disk names goes only once the disk names another (rabbitmq/ra de94f929)', () => {
    const stage = new Stage(['a', 'b', 'c'], compacting)
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2], 3))
    const first = subject.snapshot()
    stage.say('b', stage.append(2, [3, 2], [2], 4))
    subject.autoFlush = false
    const parcel = new Parcel(stage, 's9', 9, 2, ['x', 'y'])
    parcel.offer('b', 2)
    parcel.chunk('b', 0, parcel.bytes.length)
    // One that was being taken is finished, while the disk has not yet written that s9 is in force.
    subject.disk.blobs.set('late', new TextEncoder().encode('[]'))
    subject.do({ type: 'snapshot', name: 'late', index: 4, bytes: 2 })
    expect([...subject.disk.blobs.keys()]).toContain(first)
    subject.restart()
    expect(texts(subject)).toEqual(['2', '3'])
    expect(subject.raft.log.last).toBe(4)
  })

  test('B55: an install that takes many timeouts is acknowledged in the end, and deposes nobody (ClickHouse/NuRaft#121)', () => {
    const world = new World(['a', 'b', 'c'], compacting)
    const leader = world.elect()
    const [slow, other] = others(world, leader)
    slow!.crash()
    for (let n = 0; n < 10; n++) leader.propose(`${n}`)
    world.run(200)
    leader.snapshot()
    world.run(10)
    const asked: number[] = []
    world.onAsk = (_server, ask) => {
      if (ask.type !== 'restore') return undefined
      asked.push(ask.id)
      return 'later'
    }
    slow!.restart()
    // The one that installs is needed for a quorum meanwhile.
    other!.crash()
    world.run(30_000)
    expect(asked).toHaveLength(1)
    expect(world.leader).toBe(leader)
    world.onAsk = undefined
    slow!.applied = new Map(leader.applied)
    slow!.do({ type: 'answer', ask: asked[0]!, answer: { type: 'restore' } })
    const id = leader.propose('x')
    world.run(2000)
    expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
    expect(texts(slow!)).toEqual(texts(leader))
  })

  test('B56: a proposal whose entry a snapshot took in has an outcome, unknown (databendlabs/openraft#1761)', () => {
    const world = new World(['a', 'b', 'c'], compacting)
    const leader = world.elect()
    const follower = others(world, leader)[0]!
    // It hears where its proposal stands, but gets no entry any more.
    world.filter = (from, to, message) => to !== follower.id || (from === leader.id && message.type === 'forwardResult')
    const ids = [follower.propose('x'), follower.propose('y')]
    const read = follower.read()
    world.settle()
    leader.propose('z')
    world.settle()
    leader.snapshot()
    world.settle()
    world.heal()
    world.run(5000)
    expect(steps(follower)).toContain('installed')
    for (const id of ids) expect(follower.outcome(id)).toMatchObject({ type: 'unknown' })
    expect(follower.outcome(read)).toBeDefined()
    expect(texts(follower)).toEqual(['x', 'y', 'z'])
  })

  test('B57: of two snapshots on their way, each chunk counts for its own, and the one that is whole is installed (tikv/raft-rs#417)', () => {
    const stage = new Stage()
    const { subject } = stage
    const [s5, s9] = [new Parcel(stage, 's5', 5, 2, ['x']), new Parcel(stage, 's9', 9, 2, ['x', 'y', 'z'])]
    s5.offer('b', 2)
    s5.chunk('b', 0, 4)
    s9.offer('b', 2)
    s9.chunk('b', 0, 4)
    // The first one stops coming; the second takes its place.
    for (let n = 0; n < 30; n++) {
      stage.pass(100)
      s9.offer('b', 2)
    }
    s5.chunk('b', 4, s5.bytes.length)
    s9.chunk('b', 0, 6)
    s5.chunk('b', 6, s5.bytes.length)
    s9.chunk('b', 6, s9.bytes.length)
    expect(subject.raft.state.snapshot).toMatchObject({ name: 's9', index: 9 })
    expect(subject.raft.status()).toMatchObject({ first: 10, last: 9, commit: 9, applied: 9 })
    expect(texts(subject)).toEqual(['x', 'y', 'z'])
    s5.offer('b', 2)
    s5.chunk('b', 0, s5.bytes.length)
    expect(subject.raft.state.snapshot).toMatchObject({ name: 's9', index: 9 })
    expect([...subject.disk.blobs.keys(), ...subject.disk.partial.keys()]).toEqual(['s9'])
  })

  test('B57: a snapshot offered while another is being restored waits for that (tikv/raft-rs#417)', () => {
    const stage = new Stage()
    const { subject, world } = stage
    const [s5, s9] = [new Parcel(stage, 's5', 5, 2, ['x']), new Parcel(stage, 's9', 9, 2, ['x', 'y'])]
    let ask = 0
    world.onAsk = (_server, asked) => {
      if (asked.type !== 'restore') return undefined
      ask = asked.id
      return 'later'
    }
    s5.offer('b', 2)
    s5.chunk('b', 0, s5.bytes.length)
    s9.offer('b', 2)
    s9.chunk('b', 0, s9.bytes.length)
    expect(subject.raft.state.snapshot?.name).toBe('s5')
    world.onAsk = undefined
    subject.do({ type: 'answer', ask, answer: { type: 'restore' } })
    s9.offer('b', 2)
    s9.chunk('b', 0, s9.bytes.length)
    expect(subject.raft.state.snapshot?.name).toBe('s9')
    expect(texts(subject)).toEqual(['x', 'y'])
  })

  test('B58: a transfer goes on where it was, after a chunk of another place and after a restart (databendlabs/openraft 946dc3f9)', () => {
    const stage = new Stage()
    const { subject } = stage
    const parcel = new Parcel(stage, 's9', 9, 2, ['x', 'y'])
    parcel.offer('b', 2)
    parcel.chunk('b', 0, 7)
    stage.heard('fetchSnapshot')
    parcel.chunk('b', 9, 12)
    expect(stage.heard('fetchSnapshot'), 'it is not what was asked for').toEqual([])
    parcel.chunk('b', 0, 7)
    stage.pass(600)
    const again = stage.heard('fetchSnapshot')
    expect(again.length).toBeGreaterThan(0)
    for (const { offset } of again) expect(offset).toBe(7)
    subject.restart()
    parcel.offer('b', 2)
    expect(stage.heard('fetchSnapshot')).toMatchObject([{ name: 's9', offset: 7 }])
    parcel.chunk('b', 7, parcel.bytes.length)
    expect(texts(subject)).toEqual(['x', 'y'])
  })

  test('JS: skiff clears its state with the first chunk of a snapshot: until it is whole and named, the old one stands', () => {
    const stage = new Stage(['a', 'b', 'c'], compacting)
    const { subject } = stage
    stage.say('b', stage.append(2, [1, 1], [2, 2], 3))
    subject.snapshot()
    const parcel = new Parcel(stage, 's9', 9, 2, ['x', 'y'])
    parcel.offer('b', 2)
    parcel.chunk('b', 0, 5)
    expect(texts(subject)).toEqual(['2', '3'])
    subject.restart()
    expect(texts(subject)).toEqual(['2', '3'])
  })
})

describe('starting again', () => {
  test('B59: killed at any point of an install, it starts with machine and log of one index, and applies nothing twice (etcd-io/etcd#13766)', () => {
    for (const written of [0, 1]) {
      const stage = new Stage(['a', 'b', 'c'], compacting)
      const { subject } = stage
      stage.say('b', stage.append(2, [1, 1], [2, 2], 3))
      subject.snapshot()
      subject.autoFlush = false
      const parcel = new Parcel(stage, 's9', 9, 2, ['x', 'y'])
      parcel.offer('b', 2)
      parcel.chunk('b', 0, parcel.bytes.length)
      // Not restored before the disk names it.
      expect(texts(subject)).toEqual(['2', '3'])
      expect(subject.disk.pending.length).toBe(1)
      for (let left = written; left > 0; left--) subject.disk.flush()
      subject.restart()
      const { snapshot, applied, commit, last } = subject.raft.status()
      const index = written === 0 ? 3 : 9
      expect({ index: snapshot?.index, applied, commit, last }).toEqual({
        index,
        applied: index,
        commit: index,
        last: index,
      })
      expect(texts(subject)).toEqual(written === 0 ? ['2', '3'] : ['x', 'y'])
      subject.autoFlush = true
      subject.flush()
      stage.say('b', stage.append(2, [index, 2], [2], index + 1))
      expect([...subject.applied.keys()].at(-1)).toBe(index + 1)
    }
  })

  test('B60: a log that does not reach its snapshot, or begins behind it, is refused as damage (dragonboat#369)', () => {
    const found = (): Stage => {
      const stage = new Stage(['a', 'b', 'c'], compacting)
      stage.say('b', stage.append(2, [1, 1], [2, 2, 2], 3))
      stage.subject.snapshot()
      stage.subject.crash()
      return stage
    }
    const whole = found().subject
    whole.restart()
    expect(whole.raft.status()).toMatchObject({ first: 4, last: 4, applied: 3 })
    const short = found().subject
    short.disk.durable.first = 2
    short.disk.durable.records = []
    expect(() => short.restart()).toThrow('DAMAGED')
    const hole = found().subject
    hole.disk.durable.first = 5
    hole.disk.durable.records = []
    expect(() => hole.restart()).toThrow('DAMAGED')
    const gone = new Stage().subject
    gone.disk.durable.state = undefined
    expect(() => gone.restart()).toThrow('DAMAGED')
  })

  test('B61: a voter whose disk was wiped helps to elect nobody, so what it acknowledged stays (ratis RATIS-1995)', () => {
    const world = new World(['a', 'b', 'c'], joint)
    const leader = world.elect()
    const [held, stale] = others(world, leader)
    world.partition([leader.id, held!.id], [stale!.id])
    const id = leader.propose('x')
    world.run(500)
    expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
    const wiped = world.wipe(held!.id)
    leader.crash()
    world.heal()
    // Even where the network takes it for the old one.
    const { send } = world
    world.send = (packet) => send.call(world, { ...packet, outgoing: { ...packet.outgoing, incarnation: '' } })
    stale!.do({ type: 'campaign' })
    world.run(30_000)
    expect(stale!.role).not.toBe('leader')
    expect(wiped.raft.state).toMatchObject({ genesis: '', vote: undefined })
    leader.restart()
    const now = world.elect()
    now.change({ type: 'replace', id: wiped.id, with: { id: wiped.id, incarnation: wiped.incarnation } })
    world.run(5000)
    for (const server of world.servers.values()) expect(texts(server)).toEqual(['x'])
  })

  test('B61: one that comes back with less than it acknowledged, under its old identity, is not counted (ratis RATIS-1995)', () => {
    const world = new World(['a', 'b', 'c', 'd', 'e'])
    const leader = world.elect()
    const [victim, ...rest] = others(world, leader)
    for (let n = 0; n < 3; n++) leader.propose(`${n}`)
    world.run(300)
    // An old copy of its disk: the identity is there, the entries are not.
    victim!.crash()
    victim!.disk.durable.records.length = 1
    victim!.restart()
    world.run(1000)
    expect(leader.happenings('amnesic')).toMatchObject([{ peer: victim!.id }])
    for (const server of rest.slice(0, 2)) server.crash()
    const id = leader.propose('x')
    world.run(800)
    expect(leader.outcome(id)).toBeUndefined()

    // Nor is what it acknowledged before, once that is known to be gone.
    const stage = new Stage(['a', 'b', 'c', 'd', 'e'])
    stage.lead()
    stage.subject.propose('x')
    stage.acknowledge('b', 3)
    stage.pass(200)
    stage.reject('b', 3, [1, 1])
    stage.acknowledge('c', 3)
    expect(stage.subject.raft.commit).toBeLessThan(3)
    stage.acknowledge('d', 3)
    expect(stage.subject.raft.commit).toBe(3)
  })
})
