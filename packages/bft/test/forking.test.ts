import { describe, expect, test } from 'vitest'
import {
  type Check,
  decodeDump,
  encodeDump,
  faults,
  findCulprits,
  headerHash,
  type Message,
  termVoteStatement,
  voteStatement,
} from '../src/index.ts'
import { meet } from '../src/succession.ts'
import { child, founding, sha256 } from './keys.ts'
import { fair, founded, isSealed, sealAs, submitted, World } from './world.ts'

/*
 * More than f members lie together, which no protocol survives: they run twice under one key each (Twins), one life with each half of the
 * honest members. Both halves commit. What remains is to stop, and to find out who it was.
 */

const trustIn = (world: World) => ({
  ...{ digest: sha256, members: world.members, cluster: world.members.genesis.hash },
  verify: (checks: readonly Check[]) => checks.map(isSealed),
})

/** The first f + 1 members lie. `silent`: the liars' second lives let the first leader's term pass on their side. */
function forked(n: number, seed: number, silent: boolean): { world: World; liars: string[] } {
  const world = new World(n, seed)
  world.isForked = true
  const count = faults(n) + 1
  const side = new Map<unknown, number>()
  for (let i = count; i < n; i++) {
    world.start(`m${i}`)
    side.set(world.machines.at(-1), i % 2)
  }
  for (let i = 0; i < count; i++)
    for (const life of [0, 1]) {
      world.start(`m${i}`, (message) =>
        silent && life === 1 && message.type === 'appendEntries' && message.term === 0 ? undefined : message,
      )
      side.set(world.machines.at(-1), life)
    }
  world.apart = (from, to) => side.get(from) !== side.get(to)
  for (let seq = 1; seq <= 3; seq++)
    for (const [at, client] of ['alice', 'bob'].entries())
      world.submit(world.request(client, seq), (machine) => side.get(machine) === at)
  return { world, liars: Array.from({ length: count }, (_, i) => `m${i}`) }
}

describe('f + 1 members that lie together', { timeout: 60_000 }, () => {
  const scenes = [4, 7].flatMap((n) =>
    [false, true].flatMap((silent) => [1, 2, 3].map((seed) => ({ n, silent, seed }))),
  )

  test.each(scenes)(
    'of $n, the fork in later terms: $silent, seed $seed: all honest members stop, and any one can name them (I19, F46)',
    ({ n, silent, seed }) => {
      const { world, liars } = forked(n, seed, silent)
      world.run(5000)
      const logs = world.honest.map((machine) => world.executed(machine).join())
      expect(new Set(logs).size, 'the fork').toBe(2)
      expect(logs).not.toContain('')
      for (const { server } of world.honest) expect(server.isForked).toBe(false)
      world.apart = () => false
      world.weather = fair
      world.submit(world.request('carol', 1))
      world.run(30_000)
      for (const machine of world.honest) {
        expect(machine.server.isForked, machine.id).toBe(true)
        const dumps = [...machine.dumps.values()].map(decodeDump)
        for (const dump of dumps) expect(decodeDump(encodeDump(dump))).toEqual(dump)
        const culprits = findCulprits(dumps, trustIn(world))
        expect(culprits.map(({ who }) => who)).toEqual(liars)
      }
      // And nothing is committed any more, after a restart neither.
      for (const machine of world.honest) world.crash(machine, 50)
      world.run(31_000)
      for (const { server } of world.honest) expect(server.isForked).toBe(true)
      const after = world.honest.map(({ server }) => server.committed.hash)
      world.submit(world.request('dave', 1))
      world.run(60_000)
      expect(world.honest.map(({ server }) => server.committed.hash)).toEqual(after)
    },
  )

  test('what liars put into their dumps names nobody else', () => {
    const { world, liars } = forked(4, 9, true)
    world.run(5000)
    world.apart = () => false
    world.submit(world.request('carol', 1))
    world.run(30_000)
    const [dump] = [...world.honest[0]!.dumps.values()].map(decodeDump)
    const swapped = {
      ...dump!,
      // Signatures under other names, and votes of one term for another.
      certificates: dump!.certificates.flatMap((one) => [
        one,
        { ...one, signatures: one.signatures.map((by) => ({ ...by, signer: 3 - by.signer })) },
        { ...one, place: { ...one.place, hash: 'ab'.repeat(32) } },
      ]),
      terms: dump!.terms.flatMap((one) => [
        one,
        { ...one, votes: one.votes.map((vote) => ({ ...vote, lock: undefined })) },
      ]),
    }
    for (const { who } of findCulprits([swapped], trustIn(world))) expect(liars).toContain(who)
  })
})

describe('a fork that lies terms back', { timeout: 60_000 }, () => {
  test('is explained by the certificates of the terms between, which members keep', () => {
    const world = new World(4, 21)
    world.isForked = true
    const side = new Map<unknown, number>()
    for (const i of [2, 3]) side.set(world.start(`m${i}`), i % 2)
    // On the second side term 0 passes at once, and term 1 after it has committed something.
    for (const i of [0, 1])
      for (const life of [0, 1]) {
        const isMute = (term: number): boolean => life === 1 && (term === 0 || (term === 1 && world.now > 3000))
        const one = world.start(`m${i}`, (message) =>
          message.type === 'appendEntries' && isMute(message.term) ? undefined : message,
        )
        side.set(one, life)
      }
    world.apart = (from, to) => side.get(from) !== side.get(to)
    const submit = (seq: number): void => {
      for (const [at, client] of ['alice', 'bob'].entries())
        world.submit(world.request(client, seq), (machine) => side.get(machine) === at)
    }
    submit(1)
    world.run(3000)
    submit(2)
    world.run(8000)
    const [first, second] = world.honest
    expect(first!.server.ballot.term).toBe(0)
    expect(second!.server.ballot.term).toBeGreaterThan(1)
    world.apart = () => false
    world.submit(world.request('carol', 1))
    world.run(30_000)
    for (const { server, dumps } of world.honest) {
      expect(server.isForked).toBe(true)
      const culprits = findCulprits([...dumps.values()].map(decodeDump), trustIn(world))
      expect(culprits.map(({ who, lie }) => `${who} ${lie}`)).toEqual(['m0 E4', 'm1 E4'])
    }
  })
})

describe('a member stops when it is shown', () => {
  /** m1 after it committed an entry, and what nobody could sign who is honest. */
  function committed(): { world: World; at: World['machines'][number] } {
    const world = founded(4, 31)
    submitted(world, 1, 2)
    world.run(1000)
    return { world, at: world.machines[1]! }
  }
  const tell = (world: World, at: World['machines'][number], message: Message): void => {
    world.hand(at, 'm2', message)
    world.run(world.now + 100)
  }
  const sealed = (world: World, bytes: Uint8Array) =>
    [0, 2, 3].map((signer) => ({ signer, signature: sealAs(world.members.list[signer]!.id, bytes) }))

  test('a term that begins below what it committed (L5)', () => {
    const { world, at } = committed()
    const bytes = termVoteStatement(world.members.domain, 5, undefined)
    const votes = sealed(world, bytes).map((one) => ({ ...one, lock: undefined }))
    tell(world, at, { type: 'termCertified', certificate: { epoch: 0, term: 5, votes, lock: undefined } })
    expect(at.server.isForked).toBe(true)
  })

  test('two locks of one term on two branches (L1), or one above its commit and beside it (L2)', () => {
    for (const isCommitted of [false, true]) {
      const liar = (message: Message): Message => message
      const world = founded(4, 32, [liar, undefined, liar, liar])
      // Nothing is ever committed in the first case.
      const cut = (_f: string, _t: string, _n: number, message: Message): boolean =>
        !isCommitted && message.type === 'vote' && message.phase === 'commit'
      world.weather = { ...fair, cut }
      world.submit(world.request('alice', 1))
      world.run(100)
      const at = world.machines[1]!
      expect([at.server.lock !== undefined, at.log.length]).toEqual([true, isCommitted ? 1 : 0])
      // The other branch of the same term, made by its leader, is two entries long.
      const one = child(founding, [], { time: 1 })
      const two = child(one)
      const place = { term: 0, index: 2, hash: headerHash(sha256, two.header) }
      const bytes = voteStatement(world.members.domain, 'append', place)
      // From here on it hears nobody else.
      world.weather = { ...fair, cut: () => true }
      world.run(world.now + 10)
      world.hand(at, 'm0', {
        type: 'appendEntries',
        epoch: 0,
        term: 0,
        entries: [one, two],
        signature: sealAs('m0', bytes),
        proof: undefined,
      })
      world.run(world.now + 50)
      tell(world, at, {
        type: 'certified',
        certificate: { phase: 'append', epoch: 0, place, signatures: sealed(world, bytes) },
      })
      expect(at.server.isForked).toBe(true)
    }
  })
})

/** Found by the simulator (seeds 1475 and 2875): one of the branches was told once, in vain, and went on. */
describe('a member that stops while it is cut off', { timeout: 60_000 }, () => {
  /** Two honest members on two branches, of which one alone has seen the other's. */
  function halted(seed: number): {
    world: World
    stopped: World['machines'][number]
    other: World['machines'][number]
  } {
    const { world } = forked(4, seed, false)
    world.run(5000)
    const [other, stopped] = [...world.honest].sort((a, b) => a.log.length - b.log.length)
    world.hand(stopped!, 'm0', { type: 'certified', certificate: other!.server.commit! })
    world.run(6000)
    expect([stopped!.server.isForked, other!.server.isForked]).toEqual([true, false])
    return { world, stopped: stopped!, other: other! }
  }

  test.each([false, true])('shows whoever goes on why, and does after a restart, too: %s (I19)', (isRestarted) => {
    const { world, stopped, other } = halted(1)
    if (isRestarted) world.crash(stopped, 50)
    world.run(7000)
    world.apart = () => false
    world.weather = fair
    world.submit(world.request('carol', 1))
    world.run(20_000)
    expect(other.server.isForked).toBe(true)
  })

  test('is believed by those who have come to an epoch without it (I19)', () => {
    const { world, stopped, other } = halted(1)
    const stay = ['m0', 'm1', other.id]
    world.configure([...stay, 'm4'], other)
    world.run(10_000)
    expect(other.server.members.list.map(({ id }) => id)).toEqual([...stay, 'm4'])
    expect(other.server.isForked).toBe(false)
    world.hand(other, stopped.id, { type: 'forked', dump: stopped.dumps.get(stopped.id)! })
    world.run(20_000)
    expect(other.server.isForked).toBe(true)
  })
})

/** Found by the simulator (seeds 2161 and 3234, all over): who had come to a branch since was told nothing, or could not fetch what would show it. */
describe('whoever comes to one branch of a fork', { timeout: 60_000 }, () => {
  /** Two branches in epochs of their own; the first ended the one before at no higher index. */
  function parted(): { world: World; ends: World['honest'] } {
    const { world } = forked(4, 1, false)
    world.run(5000)
    for (const machine of world.honest) world.configure(['m0', 'm1', machine.id, `n${machine.id}`], machine)
    world.run(10_000)
    const endOf = ({ server }: World['machines'][number]): number => server.epochs[0]!.certificate.place.index
    const ends = [...world.honest].sort((a, b) => endOf(a) - endOf(b))
    expect(ends.map(({ server }) => [server.members.epoch, server.isForked])).toEqual([
      [1, false],
      [1, false],
    ])
    return { world, ends }
  }

  test('is shown why a member stops to whom it brings the other end of an epoch (I19)', () => {
    const { world, ends } = parted()
    const [one, two] = ends
    const comer = world.join(`n${one!.id}`)
    world.hand(two!, comer.id, { type: 'epochs', steps: one!.server.epochs })
    world.apart = () => false
    world.run(11_000)
    expect(two!.server.isForked).toBe(true)
    expect([...comer.dumps.keys()]).toContain(two!.id)
  })

  test('stops when a commit passes the end of its epoch, though nobody gives it the entry (S6, I19)', () => {
    const { world, ends } = parted()
    const [one, two] = ends
    const comer = world.join(`n${one!.id}`)
    world.hand(comer, one!.id, { type: 'epochs', steps: one!.server.epochs })
    world.run(10_100)
    expect(comer.server.isForked).toBe(false)
    const { certificate } = two!.server.epochs[0]!
    world.hand(comer, two!.id, { type: 'certified', certificate })
    world.run(10_200)
    expect(comer.server.isForked).toBe(true)
  })
})

describe('up to f members that lie', () => {
  test('fork nothing, so nobody stops', () => {
    const world = new World(4, 5)
    for (const i of [1, 2, 3]) world.start(`m${i}`)
    for (const life of [0, 1]) world.start('m0', (message, to) => (Number(to[1]) % 2 === life ? message : undefined))
    for (let seq = 1; seq <= 4; seq++) world.submit(world.request('alice', seq))
    world.run(20_000)
    for (const { server, dumps } of world.honest) {
      expect(server.isForked).toBe(false)
      expect(dumps.size).toBe(0)
    }
  })
})

/** Found by the simulator: the branches took each other's words for bad signatures, and lived on, side by side. */
describe('a fork whose branches come to epochs of their own', { timeout: 60_000 }, () => {
  const ids = ['m0', 'm1', 'm2', 'm3']
  const scenes = [false, true].flatMap((silent) =>
    [false, true].flatMap((both) => [1, 2].map((seed) => ({ silent, both, seed }))),
  )

  test.each(scenes)(
    'in later terms: $silent, both of them: $both, seed $seed: all honest members stop once they meet, and any one can name who lied (I19)',
    ({ silent, both, seed }) => {
      const { world, liars } = forked(4, seed, silent)
      world.run(both ? 3000 : 5000)
      for (const machine of both ? world.honest : world.honest.slice(0, 1)) world.configure(ids, machine)
      world.run(10_000)
      const epochs = world.honest.map(({ server }) => server.members)
      expect(epochs.map(({ epoch }) => epoch)).toEqual([1, both ? 1 : 0])
      expect(new Set(epochs.map(({ domain }) => domain)).size).toBe(2)
      world.apart = () => false
      world.weather = fair
      for (const machine of world.honest) {
        machine.server.now = world.now
        for (const id of ids) if (id !== machine.id) meet(machine.server, id)
        world.hand(machine, 'nobody', { type: 'forward', requests: [] })
      }
      world.run(20_000)
      for (const machine of world.honest) {
        expect(machine.server.isForked, machine.id).toBe(true)
        const culprits = findCulprits([...machine.dumps.values()].map(decodeDump), trustIn(world))
        expect(culprits.map(({ who }) => who)).toEqual(liars)
      }
    },
  )
})
