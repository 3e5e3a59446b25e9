import { afterAll, describe, expect, test } from 'vitest'
import { open } from '../src/index.ts'
import { fair, World } from './world.ts'

function founded(n: number, seed: number, byzantine: Parameters<World['start']>[1][] = []): World {
  const world = new World(n, seed)
  for (let i = 0; i < n; i++) world.start(`m${i}`, byzantine[i])
  return world
}

/** Requests of two clients, all of which must have been executed by all honest members. */
function submitted(world: World, from: number, count: number): string[] {
  const words: string[] = []
  for (let seq = from; seq < from + count; seq++) {
    for (const client of ['alice', 'bob']) {
      world.submit(world.request(client, seq))
      words.push(`${client} ${seq}`)
    }
  }
  return words
}

const logs = (world: World): string[][] => world.honest.map((machine) => world.executed(machine).sort())

describe('four honest members', () => {
  test('execute what clients signed, in one order, and rest when nothing is left', () => {
    const world = founded(4, 1)
    const words = submitted(world, 1, 20).sort()
    world.run(2000)
    expect(logs(world)).toEqual([words, words, words, words])
    expect(world.machines.map(({ server }) => server.ballot.term)).toEqual([0, 0, 0, 0])
    const idle = world.machines.map(({ alarm }) => alarm)
    expect(idle).toEqual([undefined, undefined, undefined, undefined])
  })
})

const seeds = Array.from({ length: 12 }, (_, n) => n + 1)

describe('a member that fails', () => {
  test('and leads: its silence ends its term, and the next leader goes on (F25)', () => {
    const world = founded(4, 2, [() => undefined])
    const words = submitted(world, 1, 10).sort()
    world.run(5000)
    expect(logs(world)).toEqual([words, words, words])
    for (const { server } of world.honest) expect(server.ballot.term).toBe(1)
  })

  test('f of them in a row: recovery takes as many terms, each twice as long (F34)', () => {
    const world = founded(7, 3, [() => undefined, () => undefined])
    const words = submitted(world, 1, 5).sort()
    world.run(10_000)
    expect(logs(world)).toEqual(Array(5).fill(words))
    for (const { server } of world.honest) expect(server.ballot.term).toBe(2)
  })

  test('and beats but never proposes what clients ask for is suspected like a silent one (F26)', () => {
    const world = founded(4, 4, [(message) => (message.type === 'appendEntries' ? undefined : message)])
    const words = submitted(world, 1, 5).sort()
    world.run(5000)
    expect(logs(world)).toEqual([words, words, words])
  })

  test("and poisons every vote stands in nobody's way (Tangaroa, D5; F24)", () => {
    const poison = 'ee'.repeat(32)
    const world = founded(4, 5, [
      ...[undefined, undefined, undefined],
      (message) => (message.type === 'vote' ? { ...message, place: { ...message.place, hash: poison } } : message),
    ])
    const words = submitted(world, 1, 20).sort()
    world.run(3000)
    expect(logs(world)).toEqual([words, words, words])
    for (const { server } of world.honest) expect(server.ballot.term).toBe(0)
  })

  test('and asks for terms without end moves nobody (cesmi, D16; F32, F33)', () => {
    const world = founded(4, 6, [
      ...[undefined, undefined, undefined],
      (message) => (message.type === 'vote' ? { type: 'preVote', epoch: 0, term: 2 ** 50 } : message),
    ])
    const words = submitted(world, 1, 20).sort()
    world.run(3000)
    expect(logs(world)).toEqual([words, words, words])
    for (const { server } of world.honest) expect(server.ballot.term).toBe(0)
  })
})

describe('a network that loses, repeats, delays and cuts, and heals', { timeout: 60_000 }, () => {
  test.each(seeds)('seed %i: agreement all the time, and everything is executed in the end', (seed) => {
    const world = founded(4, seed)
    const cutOff = `m${seed % 4}`
    world.weather = {
      ...{ drop: 0.15, twice: 0.1, delay: 80 },
      cut: (from, to, now) => now > 400 && now < 1500 && (from === cutOff || to === cutOff),
    }
    const words = submitted(world, 1, 8)
    world.run(1000)
    words.push(...submitted(world, 9, 8))
    world.run(3000)
    world.weather = fair
    words.push(...submitted(world, 17, 4))
    world.run(60_000)
    world.check()
    const all = words.sort()
    expect(logs(world)).toEqual([all, all, all, all])
  })
})

describe('members that crash and come back with what their disks hold', { timeout: 60_000 }, () => {
  test.each(seeds)(
    'seed %i: take nothing back, and everything is executed in the end (Tangaroa, D9; D18; F44)',
    (seed) => {
      const world = founded(4, seed)
      world.weather = { drop: 0.05, twice: 0.05, delay: 40, cut: () => false }
      const words: string[] = []
      for (let round = 0; round < 6; round++) {
        words.push(...submitted(world, 1 + round * 3, 3))
        world.run(world.now + 10 + world.random() * 250)
        const victims = round === 3 ? [0, 1, 2, 3] : [Math.floor(world.random() * 4), Math.floor(world.random() * 4)]
        for (const victim of victims) world.crash(world.machines[victim]!, 20 + world.random() * 200)
      }
      world.run(world.now + 500)
      world.weather = fair
      // Clients say again what was not answered: a crash forgets what was only in memory.
      for (const word of words) {
        const [client, seq] = word.split(' ') as [string, string]
        world.submit(world.request(client, Number(seq)))
      }
      world.run(world.now + 60_000)
      world.check()
      const all = words.sort()
      expect(logs(world)).toEqual([all, all, all, all])
    },
  )

  test('a disk that lost or altered anything is not used', () => {
    const world = founded(4, 7)
    submitted(world, 1, 5)
    world.run(1000)
    const { disk, server } = world.machines[1]!
    const journal = { bytes: disk.lines, count: disk.count }
    const { settings } = server
    expect(open(settings, disk.state, journal, 0).committed.hash).toBe(server.committed.hash)
    expect(() => open(settings, undefined, journal, 0)).toThrow('DAMAGED')
    expect(() => open(settings, disk.state, { bytes: new Uint8Array(0), count: 0 }, 0)).toThrow('DAMAGED')
    expect(() => open(settings, disk.state, { ...journal, count: journal.count + 1 }, 0)).toThrow('DAMAGED')
    expect(() => open({ ...settings, group: 'other' }, disk.state, journal, 0)).toThrow('DAMAGED')
    for (let cut = 0; cut < disk.state!.length; cut++)
      expect(() => open(settings, disk.state!.subarray(0, cut), journal, 0)).toThrow('DAMAGED')
    const altered = disk.lines.slice()
    altered[60]! ^= 1
    expect(() => open(settings, disk.state, { ...journal, bytes: altered }, 0)).toThrow('DAMAGED')
  })
})

let lies = 0
afterAll(() => expect(lies).toBeGreaterThan(10))

describe('a member with two lives under one key (Twins), the first leader among them', { timeout: 60_000 }, () => {
  test.each(seeds)(
    'seed %i: it says one thing to some and another to others, and the honest agree (F1, F3, F4, F43)',
    (seed) => {
      const world = new World(4, seed)
      const liar = seed % 4
      for (let i = 0; i < 4; i++) if (i !== liar) world.start(`m${i}`)
      // Who hears which of the two lives changes from seed to seed and message to message.
      const mixed = seed % 2 === 0
      for (const life of [0, 1]) {
        world.start(`m${liar}`, (message, to, { random }) =>
          (mixed ? random() < 0.5 : (Number(to[1]) + life) % 2 === 0) ? message : undefined,
        )
      }
      world.weather = { drop: 0.05, twice: 0.1, delay: 60, cut: () => false }
      const lives = world.machines.filter(({ isHonest }) => !isHonest)
      for (let seq = 1; seq <= 6; seq++) {
        // Each life first hears another client, so that they make different entries for one place.
        for (const [at, client] of ['alice', 'bob'].entries())
          world.submit(world.request(client, seq), (machine) => machine === lives[at] || machine.isHonest)
      }
      world.run(2000)
      world.weather = fair
      const words = [...Array(6).keys()].flatMap((n) => [`alice ${n + 1}`, `bob ${n + 1}`]).sort()
      world.run(60_000)
      world.check()
      expect(logs(world)).toEqual([words, words, words])
      lies += world.lies
    },
  )
})
