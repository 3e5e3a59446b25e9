import { describe, expect, test } from 'vitest'
import { open } from '../src/index.ts'
import type { Fault } from './world.ts'
import { fair, founded, submitted, type World } from './world.ts'

const every = 8

const checkpointing = (seed: number, byzantine: (Fault | undefined)[] = []): World => founded(4, seed, byzantine, every)

/** Requests one after the other, so that they make many entries. */
function work(world: World, from: number, rounds: number): string[] {
  const words: string[] = []
  for (let round = 0; round < rounds; round++) {
    words.push(...submitted(world, from + round, 1))
    world.run(world.now + 40)
  }
  return words
}

const logs = (world: World): string[][] => world.honest.map((machine) => world.executed(machine).sort())
const stable = (world: World): number[] =>
  world.honest.map(({ server }) => server.stable?.certificate.checkpoint.index ?? 0)
const below = (index: number): number => index - (index % every)

describe('a checkpoint (§3.7)', { timeout: 60_000 }, () => {
  test('is certified by a quorum every so many entries, and what lies before the one before goes', () => {
    const world = checkpointing(1)
    const words = work(world, 1, 40)
    world.run(world.now + 500)
    for (const { server, disk, id } of world.machines) {
      const { index } = server.committed.entry.header
      expect(index, id).toBeGreaterThan(32)
      expect(server.stable?.certificate.checkpoint.index, id).toBe(below(index))
      expect(server.tree.root.entry.header.index, id).toBe(below(index) - every)
      expect(disk.first, id).toBeGreaterThan(20)
      expect([...disk.blobs.keys()], id).toHaveLength(2)
      // Still in the first term: that the founding is pruned costs nobody its vote.
      expect(server.ballot.term, id).toBe(0)
    }
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
  })

  test('is where a member begins that comes back, its journal being compacted', () => {
    const world = checkpointing(2)
    const words = work(world, 1, 30)
    for (const machine of world.machines) world.crash(machine, 100)
    world.run(world.now + 500)
    words.push(...work(world, 31, 20))
    world.run(world.now + 2000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
    expect(Math.min(...stable(world))).toBeGreaterThan(32)
  })

  test('that one member makes up is nobody else’s (I17)', () => {
    const world = checkpointing(3, [
      ...[undefined, undefined, undefined],
      (message) =>
        message.type === 'checkpoint'
          ? { ...message, checkpoint: { ...message.checkpoint, root: 'ee'.repeat(32) } }
          : message,
    ])
    work(world, 1, 30)
    world.run(world.now + 500)
    for (const index of stable(world)) expect(index).toBeGreaterThan(8)
  })

  test('of a machine that does not do what the others do stops that member, and them not (F41)', () => {
    const world = checkpointing(4)
    world.twist = (id, blob) => (id === 'm2' ? new Uint8Array([...blob, 32]) : blob)
    expect(() => work(world, 1, 30)).toThrow('DIVERGED')
  })

  test('of machines that agree nowhere stops all: no quorum can be right (F41)', () => {
    const world = checkpointing(5)
    world.twist = (id, blob) => (id === 'm2' || id === 'm3' ? new Uint8Array([...blob, 32]) : blob)
    expect(() => work(world, 1, 30)).toThrow('DIVERGED')
  })

  test('is certified by the members of its epoch: who left says nothing of it, and who joined does (S6)', () => {
    const world = checkpointing(7)
    world.join('m4')
    const words = work(world, 1, 12)
    world.configure(['m0', 'm1', 'm2', 'm4'], world.machines[1]!)
    words.push(...work(world, 13, 40))
    world.run(world.now + 3000)
    const at = (id: string) => world.machines.find((machine) => machine.id === id)!
    for (const id of ['m0', 'm1', 'm2', 'm4']) {
      const { server } = at(id)
      const { checkpoint, signatures } = server.stable!.certificate
      expect([checkpoint.epoch, checkpoint.index], id).toEqual([1, below(server.committed.entry.header.index)])
      expect(signatures).toHaveLength(3)
      expect(world.executed(at(id)).sort(), id).toEqual([...words].sort())
    }
    expect(at('m3').server.checkpoints.votes.size).toBe(0)
  })

  test('on a disk that lost it is found missing', () => {
    const world = checkpointing(6)
    work(world, 1, 30)
    world.run(world.now + 500)
    const { disk, server } = world.machines[0]!
    const journal = { first: disk.first, bytes: disk.lines, count: disk.count }
    const found = open(server.settings, disk.state, journal, 0)
    expect(server.tree.holds(found.committed.hash, server.committed.hash)).toBe(true)
    expect(() => open(server.settings, disk.state, { first: 1, bytes: new Uint8Array(0), count: 0 }, 0)).toThrow(
      'DAMAGED',
    )
    expect(() => open(server.settings, disk.state, { ...journal, first: journal.first + 1 }, 0)).toThrow('DAMAGED')
  })
})

describe('a member that is behind what the others keep (§3.7)', { timeout: 60_000 }, () => {
  /** m3 hears nothing while the others go on. */
  function leftBehind(seed: number, byzantine: (Fault | undefined)[] = []): { world: World; words: string[] } {
    const world = checkpointing(seed, byzantine)
    const words = work(world, 1, 4)
    world.weather = { ...fair, cut: (from, to) => from === 'm3' || to === 'm3' }
    words.push(...work(world, 5, 60))
    expect(world.machines[3]!.server.committed.entry.header.index).toBeLessThan(
      world.machines[1]!.server.tree.root.entry.header.index,
    )
    world.weather = fair
    return { world, words }
  }

  test('fetches the state of a checkpoint, page by page, and goes on from there', () => {
    const { world, words } = leftBehind(11)
    const { server } = world.machines[3]!
    words.push(...work(world, 65, 10))
    world.run(world.now + 3000)
    expect(server.checkpoints.held.size).toBeGreaterThan(0)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
    world.check()
    // It votes, and what is certified from now on is certified with it.
    words.push(...work(world, 75, 20))
    world.run(world.now + 3000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
    const [newest] = stable(world)
    expect(server.stable?.certificate.checkpoint.index).toBe(newest)
    expect(server.ballot.term).toBe(0)
    expect(server.ballot.tip).toBe(world.machines[0]!.server.ballot.tip)
  })

  test('does not verify again and again what waits for that state (seed 697)', () => {
    const world = checkpointing(13)
    const { server: behind } = world.machines[3]!
    const { server: ahead } = world.machines[1]!
    let round = 1
    const go = (): unknown => work(world, round++, 1)
    while (behind.committed.entry.header.index % every < every - 2) go()
    world.weather = { ...fair, cut: (from, to) => from === 'm3' || to === 'm3' }
    while ((ahead.stable?.certificate.checkpoint.index ?? 0) <= behind.committed.entry.header.index) go()
    const verified = new Map<string, number>()
    for (const { id, server } of world.machines) {
      const step = server.step.bind(server)
      server.step = (event, now) => {
        if (event.type === 'verified') verified.set(id, (verified.get(id) ?? 0) + 1)
        step(event, now)
      }
    }
    // It hears all, and what it asks for is lost.
    world.weather = { ...fair, cut: (from) => from === 'm3' }
    world.hand(world.machines[3]!, 'm1', { type: 'checkpointed', certificate: ahead.stable!.certificate })
    for (let more = 0; more < 4; more++) go()
    expect(behind.transfer).toBeDefined()
    expect(verified.get('m3')).toBeLessThanOrEqual(2 * verified.get('m1')!)
  })

  test('does not execute again what was executed before it came (I13)', () => {
    const { world, words } = leftBehind(12)
    words.push(...work(world, 65, 4))
    world.run(world.now + 3000)
    for (let seq = 1; seq <= 68; seq++) world.submit(world.request('alice', seq))
    words.push(...work(world, 69, 4))
    world.run(world.now + 3000)
    world.check()
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
  })

  test('finds a page that is none of it, says whose it was, and takes the others from elsewhere (F39)', () => {
    const lie: Fault = (message) =>
      message.type === 'page' ? { ...message, bytes: message.bytes.map((byte) => byte ^ 1) } : message
    const { world, words } = leftBehind(13, [lie, lie])
    // Two of them serve lies: more than may be, and still nothing false is taken over.
    words.push(...work(world, 65, 10))
    world.run(world.now + 5000)
    const { server } = world.machines[3]!
    expect(logs(world)).toEqual(Array(2).fill(words.sort()))
    expect((server.conduct.of(0).pages ?? 0) + (server.conduct.of(1).pages ?? 0)).toBeGreaterThan(0)
    expect(server.conduct.of(2).pages).toBeUndefined()
  })

  test('comes through crashes in the middle of it', () => {
    const { world, words } = leftBehind(14)
    for (let round = 0; round < 6; round++) {
      words.push(...work(world, 65 + round, 1))
      world.crash(world.machines[3]!, 20)
      world.run(world.now + 30 + round * 15)
    }
    words.push(...work(world, 71, 10))
    world.run(world.now + 5000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
  })

  const withoutM3 = { ...fair, cut: (from: string, to: string) => from === 'm3' || to === 'm3' }

  // simulate --protocol bft, seed 749
  test('and crashes before its disk names the fetched state comes back with the one that it had', () => {
    const world = checkpointing(15)
    const words = work(world, 1, 16)
    world.run(world.now + 500)
    const machine = world.machines[3]!
    const before = machine.server.stable!.certificate.checkpoint.index
    world.weather = withoutM3
    words.push(...work(world, 17, 60))
    world.weather = fair
    const isFetched = (): boolean => machine.server.stable!.certificate.checkpoint.index > before
    for (let looks = 0; looks < 4000 && !isFetched(); looks++) world.run(world.now + 0.25)
    expect(isFetched()).toBe(true)
    expect(machine.durable).toBeLessThan(machine.server.journal.issued)
    world.crash(machine, 20)
    world.run(world.now + 21)
    expect(machine.server.stable!.certificate.checkpoint.index).toBe(before)
    words.push(...work(world, 77, 4))
    world.run(world.now + 3000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
    expect([...machine.disk.blobs.keys()].length).toBeLessThanOrEqual(2)
  })

  // simulate --protocol bft, seed 526
  test('comes back from its disk though what it voted for last is pruned, and it never saw that committed', () => {
    const world = checkpointing(16)
    const words = work(world, 1, 4)
    world.run(world.now + 500)
    const machine = world.machines[3]!
    world.weather = { ...fair, cut: (_, to, __, { type }) => to === 'm3' && type !== 'appendEntries' }
    words.push(...work(world, 5, 1))
    world.weather = withoutM3
    const { tip } = machine.server.ballot
    const { committed, tree } = machine.server
    expect(tree.get(tip!)!.entry.header.index).toBeGreaterThan(committed.entry.header.index)
    words.push(...work(world, 6, 60))
    world.weather = fair
    words.push(...work(world, 66, 4))
    world.run(world.now + 3000)
    expect(machine.server.ballot.tip).toBe(tip)
    expect([machine.server.tree.has(tip!), machine.server.tree.isBuried(tip)]).toEqual([false, false])
    world.crash(machine, 20)
    world.run(world.now + 100)
    expect(machine.server.ballot.tip).toBe(tip)
    words.push(...work(world, 70, 4))
    world.run(world.now + 3000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
  })

  // simulate --protocol bft, seed 487
  test('asks what came behind that state: where nothing is going on any more, nobody tells it', () => {
    const world = checkpointing(17)
    world.weather = withoutM3
    const words = Array.from({ length: 20 }, (_, at) => `alice ${at + 1}`)
    for (const [at] of words.entries()) {
      world.submit(world.request('alice', at + 1), ({ id }) => id !== 'm3')
      world.run(world.now + 40)
    }
    world.run(world.now + 2000)
    const { stable: held, committed } = world.machines[1]!.server
    expect(committed.entry.header.index).toBeGreaterThan(held!.certificate.checkpoint.index)
    for (const { alarm } of world.machines) expect(alarm).toBeUndefined()
    world.weather = fair
    world.hand(world.machines[3]!, 'm1', { type: 'checkpointed', certificate: held!.certificate })
    world.run(world.now + 3000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
    for (const { alarm } of world.machines) expect(alarm).toBeUndefined()
  })
})

describe('checkpoints in a network that loses, repeats and delays, with crashes', { timeout: 120_000 }, () => {
  const seeds = Array.from({ length: 10 }, (_, n) => n + 21)

  test.each(seeds)('seed %i: agreement all the time, and everything is executed in the end', (seed) => {
    const world = founded(4, seed, [], 4)
    world.weather = { drop: 0.08, twice: 0.05, delay: 30, cut: () => false }
    const words: string[] = []
    for (let round = 0; round < 8; round++) {
      const cutOff = `m${Math.floor(world.random() * 4)}`
      world.weather = { ...world.weather, cut: (from, to) => from === cutOff || to === cutOff }
      words.push(...work(world, 1 + round * 8, 8))
      world.crash(world.machines[Math.floor(world.random() * 4)]!, 20 + world.random() * 200)
    }
    world.run(world.now + 500)
    world.weather = fair
    for (const word of words) {
      const [client, seq] = word.split(' ') as [string, string]
      world.submit(world.request(client, Number(seq)))
    }
    world.run(world.now + 60_000)
    world.check()
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
    expect(Math.min(...stable(world))).toBeGreaterThan(4)
  })
})
