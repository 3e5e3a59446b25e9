import { describe, expect, test } from 'vitest'
import { encodeRequest, headerHash, type Message, voteStatement } from '../src/index.ts'
import { sha256 } from './keys.ts'
import type { Fault } from './world.ts'
import { fair, founded, sealAs, World } from './world.ts'

/** One request after the other of that client, to all members. */
function serve(world: World, client: string, from: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) => {
    world.submit(world.request(client, from + at))
    world.run(world.now + 30)
    return `${client} ${from + at}`
  })
}

const logs = (world: World): string[][] => world.honest.map((machine) => world.executed(machine).sort())
const terms = (world: World): number[] => world.honest.map(({ server }) => server.ballot.term)

describe('a leader that commits, and is not fair (§3.5)', { timeout: 60_000 }, () => {
  test('and leaves one client out loses its term, though others are served all the time (F28)', () => {
    const world = founded(4, 1)
    // Whatever it is told of alice, it acts as if it had not heard.
    world.weather = { ...fair, cut: (_, to, __, message) => to === 'm0' && message.type === 'forward' }
    world.submit(world.request('alice', 1), ({ id }) => id !== 'm0')
    const words = serve(world, 'bob', 1, 80)
    world.run(world.now + 1000)
    expect(logs(world)).toEqual(Array(4).fill(['alice 1', ...words].sort()))
    for (const { server } of world.machines.slice(1)) expect(server.conduct.of(0).neglect).toBe(1)
    expect(Math.min(...terms(world))).toBe(1)
  })

  test('keeps it where a client was told to the others alone, and they tell it (F18)', () => {
    const world = founded(4, 2)
    world.submit(world.request('alice', 1), ({ id }) => id === 'm2')
    const words = serve(world, 'bob', 1, 60)
    expect(logs(world)).toEqual(Array(4).fill(['alice 1', ...words].sort()))
    expect(terms(world)).toEqual([0, 0, 0, 0])
  })

  test('and takes for each entry nearly all the time that it has loses its term (F27)', () => {
    let last = 0
    const dawdle: Fault = (message, to, { now }) => {
      if (message.type !== 'appendEntries') return message
      if (now < last + 160) return undefined
      if (to === 'm3') last = now
      return message
    }
    const world = founded(4, 3, [dawdle])
    const words = serve(world, 'bob', 1, 100)
    world.run(world.now + 1000)
    expect(logs(world)).toEqual(Array(3).fill(words.sort()))
    expect(Math.min(...terms(world))).toBeGreaterThan(0)
  })

  test('and sets the time far ahead gets no vote for that, and loses its term: nobody could set it back', () => {
    const ahead: Fault = (message, _, { members }) => {
      if (message.type !== 'appendEntries') return message
      const last = message.entries.at(-1)!
      const header = { ...last.header, time: Number.MAX_SAFE_INTEGER }
      const place = { term: message.term, index: header.index, hash: headerHash(sha256, header) }
      const signature = sealAs('m0', voteStatement(members.domain, 'append', place))
      return { ...message, entries: [...message.entries.slice(0, -1), { ...last, header }], signature }
    }
    const world = new World(4, 11)
    world.clockSkew = 1000
    for (let i = 0; i < 4; i++) world.start(`m${i}`, i === 0 ? ahead : undefined)
    const words = serve(world, 'bob', 1, 20)
    world.run(world.now + 3000)
    expect(logs(world)).toEqual(Array(3).fill(words.sort()))
    for (const { log, server } of world.honest) {
      expect(Math.max(...log.map(({ header }) => header.time))).toBeLessThan(world.now)
      expect(server.conduct.of(0).clock).toBeGreaterThan(0)
    }
    expect(Math.min(...terms(world))).toBe(1)
  })

  test('is followed by members whose clocks are behind it, once they are as far', () => {
    const world = new World(4, 12)
    world.clockSkew = 100
    for (let i = 0; i < 4; i++) world.start(`m${i}`)
    // As the host of the leader sees it, it is 250 ms later.
    world.machines[0]!.server.wall = 250
    const words = serve(world, 'bob', 1, 30)
    world.run(world.now + 2000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
  })

  test('is not blamed for a network in which everything takes that long', () => {
    const world = founded(4, 4)
    world.weather = { ...fair, delay: 60 }
    const words = serve(world, 'bob', 1, 100)
    world.run(world.now + 1000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
    expect(Math.max(...terms(world))).toBeLessThanOrEqual(1)
  })
})

describe('what a new leader sends at once', { timeout: 60_000 }, () => {
  test('is heard, though its first entries are still being looked at when the next ones come', () => {
    const world = founded(4, 9)
    const seen = new Set<string>()
    // In order, and nothing is said twice.
    world.weather = {
      ...{ drop: 0, twice: 0, delay: 0 },
      cut: (from, to, _, message) => {
        if (from === 'm0' || to === 'm0') return true
        if (message.type !== 'appendEntries') return false
        const name = `${to} ${message.term} ${message.entries.at(-1)!.header.root}`
        return seen.has(name) || !seen.add(name)
      },
    }
    const words = Array.from({ length: 40 }, (_, at) => `c${at} 1`)
    for (const [at] of words.entries()) world.submit(world.request(`c${at}`, 1))
    world.run(5000)
    expect(terms(world)).toEqual([0, 1, 1, 1])
    expect(logs(world)).toEqual([[], ...Array(3).fill(words.sort())])
  })
})

describe('a member that its leader leaves out', { timeout: 60_000 }, () => {
  // simulate --protocol bft, seed 393
  test('asks for what the others voted for, though it holds no request and no quorum of votes (F29)', () => {
    const leaveOut: Fault = (message, to) => (to === 'm3' ? undefined : message)
    const world = founded(4, 10, [leaveOut])
    world.submit(world.request('alice', 1), ({ id }) => id !== 'm3')
    world.run(3000)
    expect(logs(world)).toEqual(Array(3).fill(['alice 1']))
    for (const { alarm } of world.honest) expect(alarm).toBeUndefined()
  })
})

describe('what may have been lost', { timeout: 60_000 }, () => {
  const isM3 = (from: string, to: string): boolean => from === 'm3' || to === 'm3'
  /** Of four clients at once, so that there is always something under way. */
  const crowd = (world: World, rounds: number, to: (id: string) => boolean): string[] =>
    Array.from({ length: rounds }, (_, at) => {
      for (const client of ['c0', 'c1', 'c2', 'c3']) world.submit(world.request(client, at + 1), ({ id }) => to(id))
      world.run(world.now + 20)
      return ['c0', 'c1', 'c2', 'c3'].map((client) => `${client} ${at + 1}`)
    }).flat()

  test('is not said again while entries are committed', () => {
    const world = founded(4, 12)
    const said = new Set<string>()
    const again: string[] = []
    const cut = (from: string, to: string, _: number, message: Message): boolean => {
      if (message.type !== 'vote' && message.type !== 'appendEntries') return false
      const what = message.type === 'vote' ? message.place.hash + message.phase : Buffer.from(message.signature)
      const name = `${from} ${to} ${what}`
      if (said.has(name)) again.push(name)
      said.add(name)
      return false
    }
    world.weather = { ...fair, delay: 25, cut }
    const words = crowd(world, 100, () => true)
    world.run(world.now + 40)
    expect(again).toEqual([])
    world.run(world.now + 1000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
    expect(terms(world)).toEqual([0, 0, 0, 0])
  })

  test('is said again when nothing is committed: a leader whose entry nobody got keeps its term', () => {
    const world = founded(4, 13)
    world.weather = { ...fair, cut: (_, __, now, message) => message.type === 'appendEntries' && now < 50 }
    world.submit(world.request('alice', 1))
    world.run(190)
    expect(logs(world)).toEqual(Array(4).fill(['alice 1']))
    expect(terms(world)).toEqual([0, 0, 0, 0])
  })

  test('is no fault of the leader if there was nothing to do: the first request after a while costs no term', () => {
    const world = founded(4, 14)
    world.submit(world.request('alice', 1))
    world.run(5000)
    let suspicions = 0
    const count = (message: Message): boolean => message.type === 'preVote' && suspicions++ < 0
    world.weather = { ...fair, cut: (_, __, ___, message) => count(message) }
    world.submit(world.request('alice', 2), ({ id }) => id === 'm0')
    world.run(6000)
    expect(logs(world)).toEqual(Array(4).fill(['alice 1', 'alice 2']))
    expect([suspicions, ...terms(world)]).toEqual([0, 0, 0, 0, 0])
  })

  test('and showed the term is asked for by whoever was away: it votes again while others are served all the time', () => {
    const world = founded(4, 15, [() => undefined])
    const votes = new Set<string>()
    world.weather = { ...fair, cut: isM3 }
    const words = crowd(world, 40, (id) => id !== 'm3')
    const hear = (from: string, message: Message): boolean =>
      from === 'm3' && message.type === 'vote' && message.phase === 'commit' && !votes.add(message.place.hash)
    world.weather = { ...fair, cut: (from, _, __, message) => hear(from, message) }
    for (let at = 0; at < 40; at++) {
      world.submit(world.request('dora', at + 1), ({ id }) => id !== 'm3')
      words.push(`dora ${at + 1}`)
      world.run(world.now + 20)
    }
    expect(votes.size).toBeGreaterThan(20)
    world.run(world.now + 1000)
    expect(logs(world)).toEqual(Array(3).fill(words.sort()))
  })

  test('is asked for at once by whoever hears of entries far beyond what it has, though nothing waits there', () => {
    const world = founded(4, 16)
    world.weather = { ...fair, cut: isM3 }
    const words = crowd(world, 60, (id) => id !== 'm3')
    world.run(world.now + 1000)
    world.weather = fair
    world.submit(world.request('dora', 1), ({ id }) => id !== 'm3')
    world.run(world.now + 1000)
    expect(logs(world)).toEqual(Array(4).fill([...words, 'dora 1'].sort()))
    for (const { alarm } of world.machines) expect(alarm).toBeUndefined()
  })

  test('is not overdue when something begins after a rest: the host would take that for a stall, and the leader would get as long again', () => {
    const world = founded(4, 15)
    world.submit(world.request('alice', 1))
    world.run(5000)
    const overdue: number[] = []
    for (const { server } of world.machines) {
      const take = server.take.bind(server)
      server.take = (now) => {
        const effects = take(now)
        overdue.push(now - (effects.deadline ?? now))
        return effects
      }
    }
    world.submit(world.request('alice', 2))
    world.run(6000)
    expect(logs(world)).toEqual(Array(4).fill(['alice 1', 'alice 2']))
    expect(Math.max(...overdue)).toBeLessThan(60)
  })
})

describe('clients that are not fair (§3.6)', { timeout: 60_000 }, () => {
  test('one number for two operations: one of them runs, everywhere the same, and no leader is blamed (F16)', () => {
    const world = founded(4, 5)
    world.submit(world.request('alice', 1, ['this']), ({ id }) => id < 'm2')
    world.submit(world.request('alice', 1, ['that']), ({ id }) => id >= 'm2')
    world.run(3000)
    const [first] = logs(world)
    expect(first).toHaveLength(1)
    expect(logs(world)).toEqual(Array(4).fill(first))
    expect(terms(world)).toEqual([0, 0, 0, 0])
    for (const { server } of world.machines) expect(server.pool.size).toBe(0)
  })

  test('a number that fell out of the window while it waited keeps nobody busy', () => {
    const world = founded(4, 6)
    world.weather = { ...fair, cut: (_, __, ___, message) => message.type === 'forward' }
    world.submit(world.request('alice', 1), ({ id }) => id === 'm3')
    world.submit(world.request('alice', 400), ({ id }) => id !== 'm3')
    world.run(10_000)
    expect(logs(world)).toEqual(Array(4).fill(['alice 400']))
    for (const { server, alarm } of world.machines) expect([server.pool.size, alarm]).toEqual([0, undefined])
  })

  test('who floods has a share and no more, and others are served meanwhile (F19, I21)', () => {
    const world = founded(4, 7)
    world.weather = { ...fair, cut: () => true }
    for (let seq = 1; seq <= 1500; seq++) world.submit(world.request('mallory', seq), ({ id }) => id === 'm0')
    world.run(100)
    const { server } = world.machines[0]!
    expect(server.pool.size).toBeLessThanOrEqual(1024)
    world.submit(world.request('bob', 1))
    world.run(200)
    world.weather = fair
    world.run(400)
    expect(world.executed(world.machines[1]!)).toContain('bob 1')
  })

  test('a member that hands on what nobody signed is not listened to for long', () => {
    let seq = 0
    const forge: Fault = (message) => {
      if (message.type !== 'vote') return message
      const unsigned = { client: new Uint8Array(32), session: 1, seq: ++seq, operations: [new Uint8Array([6])] }
      return [message, { type: 'forward', requests: [encodeRequest({ ...unsigned, signature: new Uint8Array(32) })] }]
    }
    const world = founded(4, 8, [undefined, undefined, undefined, forge])
    const words = serve(world, 'bob', 1, 40)
    expect(logs(world)).toEqual(Array(3).fill(words.sort()))
    for (const machine of world.honest) expect(machine.server.conduct.of(3).signatures).toBe(16)
  })
})

describe('a certificate of a branch that came to nothing', () => {
  // Found by the simulator, seed 599: what was committed meanwhile waited for an entry that nobody gives away any more.
  test('keeps nobody from fetching what is committed, once it is locked higher', () => {
    const world = founded(4, 9)
    const words = serve(world, 'alice', 1, 4)
    world.run(world.now + 500)
    world.weather = { ...fair, cut: (from, to) => from === 'm3' || to === 'm3' }
    words.push(...serve(world, 'alice', 5, 12))
    world.run(world.now + 500)
    const { server } = world.machines[3]!
    const place = { term: 0, index: 2, hash: 'ab'.repeat(32) }
    server.certified.append = {
      phase: 'append',
      epoch: 0,
      place,
      signatures: [{ signer: 0, signature: new Uint8Array() }],
    }
    world.weather = fair
    words.push(...serve(world, 'alice', 17, 2))
    world.run(world.now + 20_000)
    expect(logs(world)).toEqual(Array(4).fill(words.sort()))
  })
})
