import { jointConsensus } from '@raftkit/membership'
import { describe, expect, test } from 'vitest'
import { Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const joint = { membership: jointConsensus() as never }

const texts = (server: Server): string[] => [...server.applied.values()]
const others = (world: World, than: Server): Server[] => [...world.servers.values()].filter((server) => server !== than)
const peer = (server: Server, id: string) => server.raft.status().peers.find((each) => each.id === id)!

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
