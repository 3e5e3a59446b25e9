import { createHash } from 'node:crypto'
import { clientSession, defineMachine, type ReplicatedMachine, replicate } from 'raftkit'
import { expect, test } from 'vitest'
import { type Server, type Watcher, World } from '../src/index.ts'

const counters = defineMachine({
  initial: () => new Map<string, number>(),
  commands: {
    add: (counts, { key, by }: { key: string; by: number }) => {
      const sum = (counts.get(key) ?? 0) + by
      counts.set(key, sum)
      return sum
    },
  },
  queries: { get: (counts, key: string) => counts.get(key) ?? 0 },
})

const ids = ['n1', 'n2', 'n3']

/** A client with a session of its own, which asks whoever is up, one after the other. */
function client(world: World) {
  let turn = 0
  const { call } = clientSession({
    propose: async (data) => {
      const up = ids.map((id) => world.server(id)).filter(({ node }) => node)
      const server = up[turn++ % up.length]!
      const called = await server.call((node) => node.propose(data, { timeout: 1000 }))
      if (called.outcome !== 'done') throw called.error
      return called.value.result
    },
    environment: {
      now: () => world.now,
      wall: () => world.now,
      at: (time, run) => world.at(time, run),
      soon: (run) => void world.at(world.now, run),
      random: (into) => world.random.split('client').fill(into),
    },
    attemptTimeout: 1000,
  })
  return (by: number): Promise<unknown> => call('add', { key: 'visits', by }, { timeout: 60_000 })
}

const hashOf = (server: Server): string =>
  createHash('sha256')
    .update((server.machine as ReplicatedMachine).encode())
    .digest('hex')

/** Everything that is told, as one hash. */
function recorder(): Watcher & { hash(): string } {
  const hash = createHash('sha256')
  const line = (...what: unknown[]): void => void hash.update(`${JSON.stringify(what)}\n`)
  return {
    stepped: ({ id }, { type }, now) => line('step', id, type, now),
    sent: ({ id, from, to, sentAt, bytes }) => line('sent', id, from, to, sentAt, bytes.length),
    arrived: ({ id }) => line('arrived', id),
    dropped: ({ id }, reason) => line('dropped', id, reason),
    durable: ({ id, disk }) => line('durable', id, disk.durable.first, disk.durable.last),
    applied: ({ id }, commands) => line('applied', id, commands.length, commands[0]!.index),
    crashed: ({ id }, how) => line('crashed', id, how),
    fault: (fault) => line('fault', fault),
    hash: () => hash.digest('hex'),
  }
}

test('three servers found a cluster, elect a leader and serve; one crashes and catches up', async () => {
  const world = new World({ seed: 1, machine: () => replicate(counters) })
  world.found(ids)
  expect(await world.run({ until: 10_000, when: () => world.leader !== undefined })).toBe('when')
  const add = client(world)
  let sum: unknown
  void add(1).then((value) => {
    sum = value
  })
  expect(await world.run({ until: 20_000, when: () => sum === 1 })).toBe('when')

  const crashed = world.leader!
  crashed.kill()
  expect(crashed.state).toBe('off')
  void add(2).then((value) => {
    sum = value
  })
  expect(await world.run({ until: 60_000, when: () => sum === 3 })).toBe('when')
  crashed.start()
  await world.run({ until: world.now + 3000 })
  expect(new Set([...world.servers.values()].map(hashOf)).size).toBe(1)
  expect(world.violation).toBeUndefined()
  world.close()
})

test('the same seed gives the same world, another seed another', async () => {
  const run = async (seed: number): Promise<string> => {
    const watcher = recorder()
    const world = new World({
      seed,
      machine: () => replicate(counters),
      node: { timing: { electionTimeout: 200 }, snapshots: { everyEntries: 20, trailingEntries: 5 } },
      weather: { delay: [0.5, 20], loss: 0.05, duplicate: 0.05, replay: 0.05, reorder: 0.1 },
      disk: { slow: 0.1 },
      watchers: [watcher],
    })
    world.found(ids)
    const add = client(world)
    const random = world.random.split('faults')
    for (let i = 0; i < 200; i++) world.at(500 + i * 50, () => void add(i).catch(() => undefined))
    for (let i = 0; i < 10; i++)
      world.at(1000 + i * 1000, () => {
        const server = world.server(random.pick(ids))
        if (!server.alive) return
        server.killAfter(1 + random.below(20))
        world.after(random.between(100, 500), () => server.alive || server.start())
      })
    await world.run({ until: 15_000 })
    for (const server of world.servers.values()) if (!server.alive) server.start()
    await world.run({ until: 20_000 })
    expect(new Set([...world.servers.values()].map(hashOf)).size).toBe(1)
    world.close()
    return watcher.hash()
  }
  const [first, second, other] = [await run(7), await run(7), await run(8)]
  expect(second).toBe(first)
  expect(other).not.toBe(first)
})
