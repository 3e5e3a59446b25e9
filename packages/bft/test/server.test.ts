import { afterAll, describe, expect, test } from 'vitest'
import {
  encodeRequest,
  headerHash,
  itemsRoot,
  type Members,
  type Message,
  open,
  termVoteStatement,
  voteStatement,
} from '../src/index.ts'
import { child, founding, sha256 } from './keys.ts'
import { type Fault, fair, founded, sealAs, submitted, World } from './world.ts'

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

  /** Its own term, too; after it there is none that could be counted. */
  const far = Number.MAX_SAFE_INTEGER
  const farOff: [Message['type'], (message: Message, world: World) => Message][] = [
    ['preVote', () => ({ type: 'preVote', epoch: 0, term: far })],
    ['requestVote', (_, { members }) => ({ ...farVote(members), type: 'requestVote', epoch: 0, term: far })],
    ['vote', (message) => (message.type === 'vote' ? { ...message, place: { ...message.place, term: far } } : message)],
    [
      'termCertified',
      (_, { members }) => {
        const votes = [0, 1, 2].map((signer) => ({ ...farVote(members).vote, signer }))
        return { type: 'termCertified', certificate: { epoch: 0, term: far, votes, lock: undefined } }
      },
    ],
    [
      'appendEntries',
      (message, { members }) => {
        if (message.type !== 'vote') return message
        const entry = child(founding, [], { term: far })
        const place = { term: far, index: 1, hash: headerHash(sha256, entry.header) }
        const signature = sealAs('m3', voteStatement(members.domain, 'append', place))
        return { type: 'appendEntries', epoch: 0, term: far, entries: [entry], signature, proof: undefined }
      },
    ],
  ]
  const farVote = ({ domain }: Members) => ({
    vote: { signer: 3, lock: undefined, signature: sealAs('m3', termVoteStatement(domain, far, undefined)) },
    lock: undefined,
  })

  test.each(farOff)(
    'and says by %s that it is in the last term there is moves nobody, and those who change the term count on (cesmi, D16; F32, F33)',
    (_, say) => {
      const liar: Fault = (message, _to, world) => (message.type === 'vote' ? [message, say(message, world)] : message)
      const world = founded(4, 6, [undefined, undefined, undefined, liar])
      const words = submitted(world, 1, 20)
      world.run(3000)
      expect(logs(world)).toEqual(Array(3).fill(words.sort()))
      for (const { server } of world.honest) expect(server.ballot.term).toBe(0)
      world.weather = { ...fair, cut: (from, to, now) => now < 5000 && (from === 'm0' || to === 'm0') }
      words.push(...submitted(world, 21, 5))
      world.run(15_000)
      expect(logs(world)).toEqual(Array(3).fill(words.sort()))
      for (const { server } of world.honest) expect(server.ballot.term).toBeGreaterThan(0)
      for (const { server } of world.honest) expect(server.ballot.term).toBeLessThan(20)
    },
  )

  const unsigned = { client: new Uint8Array(32), session: 1, seq: 1, operations: [new Uint8Array([6])] }
  const forged = encodeRequest({ ...unsigned, signature: new Uint8Array(32) })

  test.each([
    ['what no client signed', (): Uint8Array => forged],
    ['what was executed before', (first: Uint8Array): Uint8Array => first],
  ])('and leads with %s gets no vote for it, and loses its term (Tangaroa, D7; F15, F20)', (_, replace) => {
    let first: Uint8Array | undefined
    const world = founded(4, 8, [
      (message, _, { members }) => {
        if (message.type !== 'appendEntries') return message
        first ??= message.entries[0]!.items[0]!
        const last = message.entries.at(-1)!
        if (last.items.includes(first)) return message
        const items = [replace(first)]
        const header = { ...last.header, root: itemsRoot(sha256, items) }
        const place = { term: message.term, index: header.index, hash: headerHash(sha256, header) }
        const signature = sealAs('m0', voteStatement(members.domain, 'append', place))
        return { ...message, entries: [...message.entries.slice(0, -1), { header, items }], signature }
      },
    ])
    const words = submitted(world, 1, 5).sort()
    world.run(100)
    words.push(...submitted(world, 6, 5))
    world.run(5000)
    world.check()
    expect(logs(world)).toEqual(Array(3).fill(words.sort()))
    for (const { server } of world.honest) expect(server.ballot.term).toBe(1)
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

describe('votes that reach one member alone, which is then cut off (Cachin & Vukolić on Tangaroa; D1, D13, F31)', () => {
  test.each(['append', 'commit'] as const)('%s votes: what it holds for committed nobody replaces', (phase) => {
    const world = founded(4, 11)
    world.weather = {
      ...{ drop: 0, twice: 0, delay: 5 },
      cut: (from, to, now, message) => {
        if (now >= 100 && (from === 'm1' || to === 'm1')) return true
        // Of term 0, append votes reach m1 alone for ever: the others can only give it up.
        if (phase === 'append' && message.type === 'vote') return to !== 'm1' && message.place.term === 0
        return (
          now < 100 &&
          to !== 'm1' &&
          (message.type === 'certified' || (message.type === 'vote' && message.phase === phase))
        )
      },
    }
    world.submit(world.request('alice', 1), ({ id }) => id === 'm0')
    world.submit(world.request('bob', 1), ({ id }) => id === 'm2' || id === 'm3')
    world.run(100)
    expect(world.machines.map((machine) => machine.log.length)).toEqual(
      phase === 'commit' ? [0, 1, 0, 0] : [0, 0, 0, 0],
    )
    const lock = world.machines.map(({ server }) => server.ballot.lock?.index)
    expect(lock).toEqual(phase === 'commit' ? [1, 1, 1, 1] : [undefined, 1, undefined, undefined])
    world.run(5000)
    // The others went on without it, in a term that began with what their votes had stated.
    for (const at of [0, 2, 3]) expect(world.machines[at]!.log.length).toBeGreaterThan(0)
    expect(world.executed(world.machines[2]!)[0]).toBe(phase === 'commit' ? 'alice 1' : 'bob 1')
    world.weather = fair
    for (const client of ['alice', 'bob']) world.submit(world.request(client, 1))
    world.run(20_000)
    for (const log of logs(world)) expect(log).toEqual(['alice 1', 'bob 1'])
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

  test('count their own word only when it is durable (F44)', () => {
    const world = founded(4, 12, [undefined, undefined, undefined, () => undefined])
    world.machines[1]!.isStuck = true
    submitted(world, 1, 5)
    world.run(150)
    // Two votes arrived and its own is on no disk: no quorum, here or anywhere.
    for (const { server, log } of world.honest) expect([server.lock, log]).toEqual([undefined, []])
    expect(world.machines[1]!.server.ballot.tip).toBeDefined()
  })

  test('a disk that lost or altered anything is not used', () => {
    const world = founded(4, 7)
    submitted(world, 1, 5)
    world.run(1000)
    const { disk, server } = world.machines[1]!
    const journal = { bytes: disk.lines, count: disk.count }
    const { settings } = server
    const found = open(settings, disk.state, journal, 0)
    // The last commit proves itself, and is written with whatever comes next.
    expect(found.committed.hash).toBe(server.committed.entry.header.parent)
    expect(found.ballot).toEqual(server.ballot)
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

describe('a member with two lives under one key (Twins), the first leader among them', { timeout: 60_000 }, () => {
  let lies = 0
  afterAll(() => expect(lies).toBeGreaterThan(10))

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
