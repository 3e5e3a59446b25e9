import { describe, expect, test } from 'vitest'
import { type Check, decodeDump, encodeDump, faults, findCulprits } from '../src/index.ts'
import { sha256 } from './keys.ts'
import { fair, isSealed, World } from './world.ts'

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
    async ({ n, silent, seed }) => {
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
        const culprits = await findCulprits(dumps, trustIn(world))
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

  test('what liars put into their dumps names nobody else', async () => {
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
    for (const { who } of await findCulprits([swapped], trustIn(world))) expect(liars).toContain(who)
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
