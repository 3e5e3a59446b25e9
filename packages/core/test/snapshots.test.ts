import { crc32 } from '@raftkit/bytes'
import { describe, expect, test } from 'vitest'
import { entries, joint, members, only, said, tell, trio } from './script.ts'
import type { World } from './world.ts'

const small = { limits: { trailingEntries: 0 }, membership: joint(), maxMessageBytes: 4096 }

/** `c` is behind, and what it lacks is only in the snapshot of `a`, which is of several chunks. */
function behind() {
  const { world, a, b, c } = trio(small)
  c.crash()
  for (let n = 0; n < 20; n++) a.propose(`${n}`.padEnd(500, '.'))
  world.run(100)
  const name = a.snapshot()
  world.run(10)
  return { world, a, b, c, name }
}

const chunks = (world: World): { offset: number; to: string }[] => {
  const seen: { offset: number; to: string }[] = []
  world.filter = (_, to, message) => {
    if (message.type === 'snapshotChunk') seen.push({ offset: message.offset, to })
    return true
  }
  return seen
}

describe('§7 log compaction', () => {
  test('a snapshot takes the place of the log up to its last index and term', () => {
    const { a } = behind()
    expect(a.raft.status()).toMatchObject({ first: 23, last: 22, snapshot: { index: 22, term: 2 } })
    expect(a.raft.log.termAt(22)).toBe(2)
    expect(a.disk.found).toMatchObject({ first: 23, last: 22 })
  })

  test('some entries stay behind it for slow followers', () => {
    const { world, a } = trio({ limits: { trailingEntries: 5 } })
    for (let n = 0; n < 20; n++) a.propose(`${n}`)
    world.run(100)
    a.snapshot()
    expect(a.raft.status()).toMatchObject({ first: 18, last: 22 })
  })

  test('it holds the configuration as of its index, not a later one', () => {
    const { world, a } = trio(small)
    a.propose('x')
    world.run(100)
    const d = world.add('d')
    world.filter = () => false
    a.change({ type: 'addLearner', id: 'd', incarnation: d.incarnation, address: 'd' })
    expect(members(a)).toContain('d:learner')
    a.snapshot()
    expect(a.raft.state.snapshot).toMatchObject({ index: 3, configIndex: 1 })
    expect(a.raft.state.snapshot!.config.members.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })

  test('one of what is not applied, or older than the one in force, is not put in force', () => {
    const { a, name } = behind()
    a.do({ type: 'snapshot', name: 'older', index: 10, bytes: 1 })
    expect(a.raft.status().snapshot?.name).toBe(name)
    a.propose('y')
    expect(() => a.do({ type: 'snapshot', name: 'newer', index: 23, bytes: 1 })).not.toThrow()
    expect(a.raft.status().snapshot?.name).toBe(name)
  })

  test('blobs are released once a durable write names the newer one, and not before', () => {
    const { world, a, name } = behind()
    a.propose('y')
    world.run(100)
    a.autoFlush = false
    a.propose('z')
    const next = a.snapshot()
    a.flushOne()
    expect([...a.disk.blobs.keys()]).toEqual([name, next])
    a.flush()
    expect([...a.disk.blobs.keys()]).toEqual([next])
  })
})

describe('§7 installing a snapshot', () => {
  // Found by the simulator (seed 38 of 5,000 events): a disk that named a snapshot it did not hold any more.
  test('a release does not take the blob that comes into force in the same turn', () => {
    const { world, a } = trio(small)
    a.propose('one')
    world.run(100)
    a.autoFlush = false
    const older = a.snapshot()
    a.propose('two')
    world.run(100)
    a.autoFlush = true
    const newer = `newer-${older}`
    a.disk.blobs.set(newer, new TextEncoder().encode('[]'))
    for (let id = a.disk.flush(); id !== undefined; id = a.disk.flush()) a.step({ type: 'durable', write: id })
    a.step({ type: 'snapshot', name: newer, index: a.raft.applied, bytes: 2 })
    a.take()
    expect(a.raft.status().snapshot?.name).toBe(newer)
    expect([...a.disk.blobs.keys()]).toContain(newer)
  })

  test('a follower that needs what the log no longer holds fetches the snapshot, chunk by chunk, and goes on behind it', () => {
    const { world, a, c } = behind()
    const seen = chunks(world)
    c.restart()
    world.run(3000)
    expect(seen.length).toBeGreaterThan(2)
    expect([...c.applied]).toEqual([...a.applied])
    expect(c.raft.status()).toMatchObject({ first: 23, last: 22, commit: 22 })
    a.propose('after')
    world.run(100)
    expect([...c.applied.values()].at(-1)).toBe('after')
  })

  test('it goes on where it was when it crashed', () => {
    const { world, a, c } = behind()
    let passed = 0
    world.filter = (_, __, { type }) => type !== 'snapshotChunk' || passed++ < 2
    c.restart()
    world.run(1000)
    const held = [...c.disk.partial.values()][0]!.length
    expect(held).toBeGreaterThan(1000)
    const seen = chunks(world)
    c.restart()
    world.run(3000)
    expect(seen[0]!.offset).toBe(held)
    expect([...c.applied]).toEqual([...a.applied])
  })

  test('another member that has it is asked when the first does not answer', () => {
    const { world, a, b, c, name } = behind()
    world.filter = (from, _, { type }) => !(from === 'a' && type === 'snapshotChunk')
    const blob = a.disk.blobs.get(name)!
    b.disk.blobs.set(name, blob)
    b.do({ type: 'snapshot', name, index: 22, bytes: blob.length })
    c.restart()
    world.run(6000)
    expect([...c.applied]).toEqual([...a.applied])
  })

  test('a damaged chunk is not written', () => {
    const { world, c, a } = behind()
    let damaged = 0
    const deliver = world.deliver.bind(world)
    world.deliver = (packet) => {
      const { message } = packet.outgoing
      if (message.type === 'snapshotChunk' && damaged++ === 0)
        return deliver({
          ...packet,
          outgoing: { ...packet.outgoing, message: { ...message, checksum: message.checksum ^ 1 } },
        })
      return deliver(packet)
    }
    c.restart()
    world.run(5000)
    expect(damaged).toBeGreaterThan(1)
    expect(c.happenings('ignored')).toMatchObject([{ reason: 'a damaged chunk of a snapshot' }])
    expect([...c.applied]).toEqual([...a.applied])
  })

  test('the machine is restored only once a durable write names the snapshot', () => {
    const { world, c } = behind()
    const restores: number[] = []
    world.onAsk = (server, question) => {
      if (server === c && question.type === 'restore') restores.push(server.disk.pending.length)
      return undefined
    }
    c.restart()
    c.autoFlush = false
    for (let n = 0; n < 40; n++) {
      world.run(50)
      if (c.raft.restoring === undefined) c.flush()
      else break
    }
    expect(c.raft.restoring).toBeDefined()
    c.do({ type: 'durable', write: c.durableWrite })
    world.run(100)
    expect(restores).toEqual([])
    c.flush()
    expect(restores).toHaveLength(1)
  })

  test('the log goes on behind it, in the same write that names it', () => {
    const { world, c } = behind()
    c.restart()
    c.autoFlush = false
    for (let n = 0; n < 40 && c.raft.restoring === undefined; n++) {
      c.flush()
      world.run(50)
    }
    const write = c.disk.pending.find(({ change }) => change.tail?.reset === true)
    expect(write?.change).toMatchObject({ tail: { at: 23, reset: true }, state: expect.any(Uint8Array) })
  })

  test('entries behind the snapshot’s last one stay where the log holds that one', () => {
    const { a, b } = trio(small)
    tell(b, a, entries(b, 2, 2, [2, 2, 2, 2], { commit: 2 }))
    offerTo(b, a, { index: 4, term: 2 })
    expect(b.terms).toContain('5:2 6:2')
    expect(b.raft.log.last).toBe(6)
    expect(b.raft.commit).toBe(4)
  })

  test('the whole log goes where it contradicts the snapshot', () => {
    const { a, b } = trio(small)
    tell(b, a, entries(b, 2, 2, [2, 2, 2, 2], { commit: 2 }))
    offerTo(b, a, { index: 4, term: 3 }, 4)
    expect(b.raft.status()).toMatchObject({ first: 5, last: 4, commit: 4 })
  })

  test('one that holds no more than what is committed is not fetched', () => {
    const { a, b } = trio(small)
    tell(b, a, entries(b, 2, 2, [2, 2, 2, 2], { commit: 6 }))
    expect(offerTo(b, a, { index: 4, term: 2 })).toBe(false)
    expect(b.raft.status()).toMatchObject({ commit: 6, last: 6 })
    expect(b.raft.fetching).toBeUndefined()
  })

  test('one offered by an old leader is refused with the newer term', () => {
    const { a, b, c } = trio(small)
    tell(b, c, entries(b, 2, 2, [], { term: 9 }))
    const snapshot = { ...a.raft.state.snapshot!, name: 's', index: 9, term: 2, bytes: 1, configIndex: 1, time: 0 }
    const config = a.raft.status().config
    const reply = only(
      tell(b, a, { type: 'offerSnapshot', term: 2, round: 5, snapshot: { ...snapshot, config } }),
      'appended',
    )
    expect(reply.term).toBe(9)
    expect(b.raft.fetching).toBeUndefined()
  })

  test('a chunk that comes twice, or out of turn, is written once', () => {
    const { a, b } = trio(small)
    const { config } = a.raft.status()
    const bytes = new Uint8Array(100).fill(7)
    const snapshot = { name: 's', index: 9, term: 2, bytes: 300, config, configIndex: 1, time: 0 }
    tell(b, a, { type: 'offerSnapshot', term: 2, round: 2_000_000, snapshot })
    const chunk = (offset: number) =>
      tell(b, a, { type: 'snapshotChunk', name: 's', offset, checksum: crc32(bytes), bytes })
    expect(() => [chunk(0), chunk(0), chunk(200)]).not.toThrow()
    expect(b.disk.partial.get('s')).toHaveLength(100)
    expect(b.raft.fetching?.held).toBe(100)
  })

  test('fetching counts as contact', () => {
    const { world, a, b } = trio(small)
    world.now += 900
    tell(a, b, { type: 'fetchSnapshot', name: 'none', offset: 0, maxBytes: 100 })
    world.now += 500
    a.do({ type: 'time' })
    expect(a.role).toBe('leader')
  })

  test('the sender remembers nothing: what it does not hold it says with an empty chunk', () => {
    const { a, b } = trio(small)
    const reply = only(tell(a, b, { type: 'fetchSnapshot', name: 'none', offset: 7, maxBytes: 100 }), 'snapshotChunk')
    expect(reply).toMatchObject({ name: 'none', offset: 7, bytes: new Uint8Array() })
  })
})

/** Offers a snapshot of the machine and serves it; whether it was fetched. */
function offerTo(
  to: Parameters<typeof tell>[0],
  from: Parameters<typeof tell>[0],
  { index, term }: { index: number; term: number },
  leaderTerm = 2,
): boolean {
  const bytes = new TextEncoder().encode(JSON.stringify([[index, 'x']]))
  const { config } = from.raft.status()
  const snapshot = { name: `s${index}`, index, term, bytes: bytes.length, config, configIndex: 1, time: 0 }
  const said1 = tell(to, from, { type: 'offerSnapshot', term: leaderTerm, round: 2_000_000, snapshot })
  const fetch = said1.find(({ type }) => type === 'fetchSnapshot')
  if (fetch === undefined) return false
  tell(to, from, { type: 'snapshotChunk', name: snapshot.name, offset: 0, checksum: crc32(bytes), bytes })
  said(to)
  return true
}
