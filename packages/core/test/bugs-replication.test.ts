import { jointConsensus } from '@raftkit/membership'
import { describe, expect, test } from 'vitest'
import { decodeDurable } from '../src/durable.ts'
import { Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const joint = { membership: jointConsensus() as never }

const texts = (server: Server): string[] => [...server.applied.values()]
const others = (world: World, than: Server): Server[] => [...world.servers.values()].filter((server) => server !== than)
const peer = (server: Server, id: string) => server.raft.status().peers.find((each) => each.id === id)!

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

describe('what the leader sends', () => {
  const behind = (options: { readonly count: number; readonly trailing: number }) => {
    const world = new World(['a', 'b', 'c'], { limits: { cacheBytes: 0, trailingEntries: options.trailing } })
    const leader = world.elect()
    const slow = others(world, leader)[0]!
    slow.crash()
    for (let n = 0; n < options.count; n++) {
      leader.propose(`${n}`)
      world.settle()
    }
    world.run(100)
    return { world, leader, slow }
  }

  test('B29: a read of the log that fails once leaves no gap, and is tried again (databendlabs/openraft#1795)', () => {
    for (let failing = 0; failing < 3; failing++) {
      const { world, leader, slow } = behind({ count: 12, trailing: 100 })
      let reads = 0
      world.onAsk = (server, ask) => {
        if (ask.type !== 'readLog') return undefined
        const answer = server.carryOut({ ...ask, maxBytes: 150 })
        return reads++ === failing ? { type: 'failed', code: 'MISSING' } : answer
      }
      world.filter = (from, _to, message) => {
        if (from === leader.id && message.type === 'appendEntries' && message.count > 0)
          expect(message.prevTerm).toBe(leader.raft.log.termAt(message.prevIndex))
        return true
      }
      slow.restart()
      world.run(5000)
      expect(reads).toBeGreaterThan(failing)
      expect(texts(slow)).toEqual(texts(leader))
    }
  })

  test('a leader whose own log is damaged where a peer needs it stops, instead of asking for ever (simulator, seed 104)', () => {
    const { world, leader, slow } = behind({ count: 12, trailing: 100 })
    let reads = 0
    world.onAsk = (_server, ask) => {
      if (ask.type !== 'readLog') return undefined
      expect(reads++).toBe(0)
      return { type: 'failed', code: 'DAMAGED' }
    }
    expect(() => {
      slow.restart()
      world.run(5000)
    }).toThrow(expect.objectContaining({ code: 'DAMAGED' }))
    expect(leader.role).toBe('leader')
  })

  test('B30: below the compaction no term is made up: the follower is sent the snapshot (etcd-io/raft#31)', () => {
    const stage = new Stage(['a', 'b', 'c'], { limits: { trailingEntries: 0 } })
    const { subject } = stage
    stage.lead()
    stage.acknowledge('b', 2)
    for (let n = 0; n < 5; n++) subject.propose(`${n}`)
    stage.acknowledge('c', 7)
    stage.heard('appendEntries')
    subject.snapshot()
    expect(subject.raft.log.first).toBe(8)
    stage.pass(200)
    // All was sent, and is compacted here before it was acknowledged.
    expect(peer(subject, 'b')).toMatchObject({ state: 'replicate', match: 2, next: 8 })
    stage.pass(200)
    expect(
      stage
        .heard('appendEntries')
        .filter(({ to }) => to === 'b')
        .at(-1),
    ).toMatchObject({ prevIndex: 0, prevTerm: 0 })
    stage.pass(200)
    stage.reject('b', peer(subject, 'b').next - 1, [3, 0])
    stage.pass(200)
    stage.reject('b', peer(subject, 'b').next - 1, [0, 0])
    stage.pass(200)
    for (const { prevIndex, prevTerm } of stage.heard('appendEntries'))
      expect(prevTerm === 0 ? prevIndex : prevTerm).toBe(prevTerm === 0 ? 0 : subject.raft.log.termAt(prevIndex))
    expect(stage.heard('offerSnapshot').map(({ to }) => to)).toContain('b')
    expect(peer(subject, 'b')).toMatchObject({ state: 'snapshot', match: 2 })
  })

  test('who contradicts the very entry that the log was compacted to is sent the snapshot (found by the simulator, seed 1158)', () => {
    const stage = new Stage(['a', 'b', 'c'], { limits: { trailingEntries: 0 } })
    const { subject } = stage
    stage.lead()
    for (let n = 0; n < 5; n++) subject.propose(`${n}`)
    stage.acknowledge('b', 7)
    subject.snapshot()
    stage.say('b', stage.requestVote(9, [99, 9]))
    stage.lead()
    expect(subject.raft.log.first).toBe(8)
    expect(peer(subject, 'c').next).toBe(8)
    stage.heard('appendEntries')
    // It has another entry at 7, of an older term: the logs agree below, where this one does not reach any more.
    stage.reject('c', 7, [7, 1])
    stage.pass(200)
    expect(stage.heard('offerSnapshot').map(({ to }) => to)).toContain('c')
    expect(peer(subject, 'c').state).toBe('snapshot')
  })

  test('a peer for whom there are records hears heartbeats all the same: records may queue on a slow link (found by the simulator, seed 1007)', () => {
    const stage = new Stage()
    const { subject } = stage
    stage.lead()
    stage.heard('appendEntries')
    for (let n = 0; n < 5; n++) stage.pass(100)
    const probing = stage.heard('appendEntries').filter(({ to }) => to === 'b')
    expect(probing.filter(({ count }) => count > 0).length).toBeGreaterThan(2)
    expect(probing.filter(({ count }) => count === 0).length).toBeGreaterThan(2)
    stage.acknowledge('b', 2)
    expect(peer(subject, 'b').state).toBe('replicate')
    for (let n = 0; n < 20; n++) {
      stage.world.now += 25
      subject.propose(`${n}`)
    }
    const replicating = stage.heard('appendEntries').filter(({ to }) => to === 'b')
    expect(replicating.filter(({ count }) => count > 0).length).toBeGreaterThan(15)
    expect(replicating.filter(({ count }) => count === 0).length).toBeGreaterThan(2)
  })

  test('B31: an idle leader whose log is compacted to its end sends the snapshot to who has nothing (databendlabs/openraft#1828)', () => {
    const { world, leader, slow } = behind({ count: 5, trailing: 0 })
    leader.snapshot()
    world.run(100)
    expect(leader.raft.log.first).toBe(leader.raft.log.last + 1)
    const { last } = leader.raft.log
    slow.restart()
    world.run(3000)
    expect(texts(slow)).toEqual(texts(leader))
    expect(leader.raft.log.last).toBe(last)
    expect(peer(leader, slow.id)).toMatchObject({ state: 'replicate', match: last })
  })

  test('B32: an idle group whose link broke goes on without a new proposal, and counts nothing in flight (etcd-io/raft#52, #54)', () => {
    const world = new World(['a', 'b', 'c'])
    const leader = world.elect()
    const cut = others(world, leader)[0]!
    world.filter = (_from, to) => to !== cut.id
    leader.propose('x')
    leader.do({ type: 'link', peer: cut.id, state: 'down' })
    world.run(300)
    world.heal()
    leader.do({ type: 'link', peer: cut.id, state: 'up' })
    world.run(1000)
    expect(texts(cut)).toEqual(['x'])
    expect(peer(leader, cut.id)).toMatchObject({ state: 'replicate', match: leader.raft.log.last })
    const { role } = leader.raft
    if (role.type !== 'leader') throw new Error('it no longer leads')
    for (const { inflight, inflightBytes } of role.progress.values())
      expect({ inflight, inflightBytes }).toEqual({ inflight: [], inflightBytes: 0 })
  })

  test('B32: an append that is lost, on a link that never breaks, is sent again without a new proposal (etcd-io/raft#52)', () => {
    const world = new World(['a', 'b', 'c'])
    const leader = world.elect()
    const cut = others(world, leader)[0]!
    world.filter = (_from, to, message) => to !== cut.id || message.type !== 'appendEntries' || message.count === 0
    for (const text of ['x', 'y']) leader.propose(text)
    world.settle()
    world.heal()
    world.run(2000)
    expect(texts(cut)).toEqual(['x', 'y'])
  })

  test('B33: what was refused or superseded stays in no count of uncommitted bytes (etcd-io/raft a370b6f)', () => {
    const world = new World(['a', 'b', 'c'], { limits: { uncommittedBytes: 300, proposalBytes: 200 }, ...joint })
    const leader = world.elect()
    world.filter = () => false
    const ids = Array.from({ length: 10 }, () => leader.propose('x'.repeat(100)))
    leader.propose('y'.repeat(300))
    leader.change({ type: 'remove', id: 'nobody' })
    const refused = ids.map((id) => leader.outcome(id)).filter((outcome) => outcome !== undefined)
    expect(refused.length).toBeGreaterThan(3)
    for (const outcome of refused) expect(outcome).toMatchObject({ type: 'refused', code: 'OVERLOADED' })
    world.heal()
    world.run(3000)
    const now = world.leader!
    expect(now.raft.status().uncommittedBytes).toBe(0)
    const again = now.propose('x'.repeat(100))
    world.run(100)
    expect(now.outcome(again)).toMatchObject({ type: 'committed' })
  })

  test.each([-1, 0, 1])(
    'B34: a log that returns %i entries more than was asked for skips and repeats none (etcd-io/etcd#10063)',
    (more) => {
      const { world, leader, slow } = behind({ count: 9, trailing: 100 })
      let asked = 0
      world.onAsk = (server, ask) => {
        if (ask.type !== 'readLog') return undefined
        asked++
        const to = Math.min(Math.max(ask.from, ask.to + more), server.raft.log.last)
        return server.carryOut({ ...ask, to })
      }
      slow.restart()
      for (let n = 0; n < 3; n++) {
        leader.propose(`more ${n}`)
        world.run(200)
      }
      expect(asked).toBeGreaterThan(0)
      expect(texts(slow)).toEqual(texts(leader))
      expect(texts(slow)).toHaveLength(12)
    },
  )

  test('B35: a peer that never answers holds up nobody and is sent no more than the window (databendlabs/openraft#1810)', () => {
    const world = new World(['a', 'b', 'c'], { limits: { inflightMessages: 4 } })
    const leader = world.elect()
    const hung = others(world, leader)[0]!
    let sent = 0
    world.filter = (_from, to, message) => {
      if (to === hung.id && message.type === 'appendEntries') sent += message.count
      return to !== hung.id
    }
    const ids = Array.from({ length: 100 }, (_, n) => {
      const id = leader.propose(`${n}`)
      world.settle()
      return id
    })
    for (const id of ids) expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
    expect(sent).toBeLessThanOrEqual(4)
  })

  test('B35: a leader whose disk never answers commits by the others, and then makes way (hashicorp/raft#503)', () => {
    const world = new World(['a', 'b', 'c'])
    const leader = world.elect()
    leader.autoFlush = false
    const id = leader.propose('x')
    world.settle()
    expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
    world.run(20_000)
    expect(leader.role).not.toBe('leader')
    const next = world.leader!
    expect(next).not.toBe(leader)
    const after = next.propose('y')
    world.run(200)
    expect(next.outcome(after)).toMatchObject({ type: 'committed' })
  })
})

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
