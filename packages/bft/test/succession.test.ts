import { describe, expect, test } from 'vitest'
import { type Entry, headerHash, itemsRoot, type Message, voteStatement } from '../src/index.ts'
import { meet } from '../src/succession.ts'
import { child, sha256 } from './keys.ts'
import { fair, founded, sealAs, submitted, type World } from './world.ts'

const epochsOf = (world: World): number[] => world.honest.map(({ server }) => server.members.epoch)
const machine = (world: World, id: string) => world.machines.find((one) => one.id === id)!
const now = ['m0', 'm1', 'm2', 'm4']

/** Clients say again what was not answered. */
function sayAgain(world: World, words: readonly string[]): void {
  for (const word of words) {
    const [client, seq] = word.split(' ') as [string, string]
    world.submit(world.request(client, Number(seq)))
  }
}

/** All of these have executed all of it. */
function executed(world: World, ids: readonly string[], words: readonly string[]): void {
  world.check()
  for (const id of ids) expect(world.executed(machine(world, id)).sort(), id).toEqual([...words].sort())
}

type Append = Extract<Message, { type: 'appendEntries' }>

function leading(message: Append, id: string, { members }: World, entries: Entry[]): Append {
  const { header } = entries.at(-1)!
  const place = { term: message.term, index: header.index, hash: headerHash(sha256, header) }
  return { ...message, entries, signature: sealAs(id, voteStatement(members.domain, 'append', place)) }
}

describe('a configuration that operators signed', { timeout: 60_000 }, () => {
  test('ends the epoch: who leaves votes no more, who joins has what was executed before, and all go on (S6, I16)', () => {
    const world = founded(4, 1)
    world.join('m4')
    const words = submitted(world, 1, 4)
    world.run(500)
    world.configure(now, machine(world, 'm2'))
    words.push(...submitted(world, 5, 3))
    world.run(3000)
    expect(epochsOf(world)).toEqual([1, 1, 1, 1, 1])
    words.push(...submitted(world, 8, 4))
    world.run(6000)
    executed(world, now, words)
    expect(machine(world, 'm3').server.me).toBe(-1)
    expect(machine(world, 'm4').server.me).toBe(3)
    for (const { server } of world.machines) expect(server.ballot.term).toBe(0)
  })

  test('again and again, until nobody of the founders is left', () => {
    const world = founded(4, 2)
    for (const id of ['m4', 'm5', 'm6', 'm7']) world.join(id)
    const words: string[] = []
    for (let round = 1; round <= 4; round++) {
      words.push(...submitted(world, round * 2 - 1, 2))
      world.run(world.now + 1500)
      const ids = [0, 1, 2, 3].map((i) => `m${i + round}`)
      world.configure(ids, machine(world, `m${round}`))
      world.run(world.now + 3000)
    }
    words.push(...submitted(world, 9, 2))
    world.run(world.now + 5000)
    executed(world, ['m4', 'm5', 'm6', 'm7'], words)
    expect(world.epochs).toHaveLength(5)
    expect(machine(world, 'm7').server.members.epoch).toBe(4)
  })

  test.each([1, 2, 3, 4, 5, 6])('seed %i: through loss, delay and crashes, from four to seven and back', (seed) => {
    const world = founded(4, seed)
    const ids = ['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6']
    for (const id of ids.slice(4)) world.join(id)
    world.weather = { drop: 0.1, twice: 0.1, delay: 40, cut: () => false }
    const words = submitted(world, 1, 3)
    world.run(400)
    world.configure(ids, machine(world, `m${seed % 4}`))
    for (let round = 0; round < 5; round++) {
      words.push(...submitted(world, 4 + round, 1))
      world.run(world.now + 50 + world.random() * 300)
      world.crash(world.machines[Math.floor(world.random() * 7)]!, 20 + world.random() * 200)
    }
    world.run(world.now + 2000)
    world.weather = fair
    // What was only in memory when a member crashed is said again.
    if (world.epochs.length === 1) world.configure(ids, machine(world, 'm1'))
    sayAgain(world, words)
    world.run(world.now + 20_000)
    expect(epochsOf(world), 'all seven').toEqual(Array(7).fill(1))
    world.configure(now, machine(world, 'm5'))
    world.run(world.now + 10_000)
    for (const id of now) expect(machine(world, id).server.members.epoch, id).toBe(2)
    sayAgain(world, words)
    words.push(...submitted(world, 20, 2))
    world.run(world.now + 30_000)
    executed(world, now, words)
  })

  test('is taken over by who was away meanwhile, and by who joins when what lies before is pruned (F38)', () => {
    const world = founded(4, 3, [], 5)
    const words = submitted(world, 1, 12)
    world.run(2000)
    world.weather = { ...fair, cut: (from, to) => from === 'm0' || to === 'm0' }
    world.configure(now, machine(world, 'm1'))
    world.run(4000)
    words.push(...submitted(world, 13, 12))
    world.run(9000)
    const late = world.join('m4')
    world.run(20_000)
    world.weather = fair
    words.push(...submitted(world, 25, 6))
    world.run(60_000)
    expect(late.server.members.epoch).toBe(1)
    executed(world, now, words)
  })
})

describe('two configurations for one epoch', () => {
  test('are handed on once each, and not to and fro until one of them is committed', () => {
    const world = founded(4, 12)
    let said = 0
    const count = (type: Message['type']): boolean => {
      if (type === 'configure') said++
      // Whoever leads hears of none of them, and nobody gives up on it so soon.
      return false
    }
    world.weather = { ...fair, cut: (from, to, _, { type }) => from === 'm0' || to === 'm0' || count(type) }
    world.configure(['m0', 'm1', 'm2', 'm4'], machine(world, 'm1'))
    world.configure(['m0', 'm1', 'm2', 'm5'], machine(world, 'm2'))
    world.run(150)
    expect(said).toBeLessThan(10)
    world.weather = fair
    world.run(10_000)
    expect(epochsOf(world).slice(1, 3)).toEqual([1, 1])
  })
})

describe('who was away', () => {
  test('learns of the epoch when it is back, though nothing goes on and both say hello at once', () => {
    const world = founded(4, 11)
    submitted(world, 1, 2)
    world.run(1000)
    world.weather = { ...fair, cut: (from, to) => from === 'm3' || to === 'm3' }
    world.configure(['m0', 'm1', 'm2', 'm3'], machine(world, 'm0'))
    world.run(2000)
    world.submit(world.request('alice', 3), ({ id }) => id !== 'm3')
    world.run(5000)
    expect(epochsOf(world)).toEqual([1, 1, 1, 0])
    world.weather = fair
    for (const { id, server } of world.machines) {
      server.now = world.now
      for (const peer of id === 'm3' ? ['m0', 'm1', 'm2'] : ['m3']) meet(server, peer)
    }
    for (const one of world.machines) world.hand(one, 'nobody', { type: 'forward', requests: [] })
    world.run(6000)
    expect(epochsOf(world)).toEqual([1, 1, 1, 1])
  })
})

describe('an epoch that came to later terms', () => {
  test('leaves nothing of them to the next, which begins at term 0', () => {
    const world = founded(4, 6, [() => undefined])
    world.join('m4')
    const words = submitted(world, 1, 3)
    world.run(3000)
    for (const { server } of world.honest.slice(0, 3)) expect(server.ballot.term).toBe(1)
    world.configure(['m1', 'm2', 'm3', 'm4'], machine(world, 'm2'))
    world.run(6000)
    words.push(...submitted(world, 4, 3))
    world.run(12_000)
    executed(world, ['m1', 'm2', 'm3', 'm4'], words)
    for (const { server } of world.honest) {
      expect(server.members.epoch).toBe(1)
      expect(server.ballot.term).toBe(0)
      expect([...server.demands.keys()]).toEqual([])
    }
  })
})

/** Found by the simulator: each of these stopped a cluster for good, or had somebody sign what is of another epoch. */
describe('the entry that an epoch begins with', { timeout: 60_000 }, () => {
  const certificates = ['certified', 'termCertified']

  test('is led by nobody again, when who leads the epoch comes to it without its certificate (I16)', () => {
    const world = founded(4, 8)
    world.join('a4')
    world.weather = { ...fair, cut: (_, to, now, { type }) => to === 'a4' && certificates.includes(type) && now < 5000 }
    const words = submitted(world, 1, 2)
    world.run(500)
    world.configure(['a4', 'm0', 'm1', 'm2'], machine(world, 'm1'))
    world.run(1000)
    words.push(...submitted(world, 3, 3))
    world.run(20_000)
    executed(world, ['a4', 'm0', 'm1', 'm2'], words)
  })

  test('is committed by who knows how the epoch before it ended, though nobody says again that it is', () => {
    const next = ['m2', 'm3', 'm4', 'm5']
    const world = founded(4, 9)
    for (const id of next.slice(2)) world.join(id)
    // One of those who leave is alone to see a quorum commit, and its word of that is lost.
    const isLost = (to: string, message: Message): boolean =>
      message.type === 'certified' || (message.type === 'vote' && message.phase === 'commit' && to !== 'm0')
    const words = submitted(world, 1, 2)
    world.run(500)
    world.weather = { ...fair, cut: (_, to, now, message) => now < 1500 && isLost(to, message) }
    world.configure(next, machine(world, 'm0'))
    world.run(1500)
    expect(epochsOf(world)).toEqual([1, 1, 1, 1, 1, 1])
    // That one is gone, and with it who could say.
    world.weather = { ...fair, cut: (from, to) => from === 'm0' || to === 'm0' }
    words.push(...submitted(world, 3, 3))
    world.run(20_000)
    executed(world, next, words)
  })

  test('is had from those who left, where of those who stay only liars hold what leads up to it', () => {
    const next = ['m2', 'm3', 'm4', 'm5']
    // It votes, and serves nobody.
    const mute = (message: Message): Message | undefined => (message.type === 'fetched' ? undefined : message)
    const world = founded(4, 10, [undefined, undefined, mute])
    for (const id of next.slice(2)) world.join(id)
    world.weather = { ...fair, cut: (from, to) => from === 'm3' || to === 'm3' }
    const words = submitted(world, 1, 4)
    world.run(3000)
    world.configure(next, machine(world, 'm1'))
    world.run(3500)
    world.weather = fair
    words.push(...submitted(world, 5, 3))
    world.run(30_000)
    executed(world, ['m3', 'm4', 'm5'], words)
  })
})

describe('a leader that lies about who votes', () => {
  const config = (message: Append): boolean => message.entries.at(-1)!.header.kind === 'config'

  test('with a configuration that too few signed gets no vote for it, and is named (E5, F35)', () => {
    let forged: Entry | undefined
    const world = founded(4, 4, [
      (message, _, world) => {
        if (message.type !== 'appendEntries' || config(message)) return message
        const last = message.entries.at(-1)!
        const items = [new Uint8Array([1, 2, 3])]
        forged = { header: { ...last.header, kind: 'config', root: itemsRoot(sha256, items) }, items }
        return leading(message, 'm0', world, [...message.entries.slice(0, -1), forged])
      },
    ])
    const words = submitted(world, 1, 3)
    world.run(10_000)
    expect(forged).toBeDefined()
    expect([...(world.accused.get('m0') ?? [])]).toEqual(['E5'])
    expect(world.epochs).toHaveLength(1)
    executed(world, ['m1', 'm2', 'm3'], words)
  })

  test.each([0, 1])(
    'and goes on behind one in its epoch, with an entry of epoch %i, gets no vote for that (E5, F36)',
    (epoch) => {
      const world = founded(4, 5, [
        (message, _, world) => {
          if (message.type !== 'appendEntries' || message.epoch > 0 || !config(message)) return message
          const behind = child(message.entries.at(-1)!, [], { epoch })
          return leading(message, 'm0', world, [...message.entries, behind])
        },
      ])
      world.join('m4')
      const words = submitted(world, 1, 2)
      world.run(300)
      world.configure(now, machine(world, 'm1'))
      words.push(...submitted(world, 3, 3))
      world.run(20_000)
      if (epoch === 0) expect([...(world.accused.get('m0') ?? [])]).toContain('E5')
      expect(world.epochs).toHaveLength(2)
      executed(world, ['m1', 'm2', 'm4'], words)
    },
  )
})
