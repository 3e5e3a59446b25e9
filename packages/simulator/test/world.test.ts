import { createHash } from 'node:crypto'
import { replicate } from 'raftkit'
import { expect, test } from 'vitest'
import { Violation, type Watcher, World } from '../src/index.ts'
import { client, cluster, converged, counters, ids } from './cluster.ts'

/** Everything that is told, as one hash. */
function recorder(): Watcher & { hash(): string } {
  const hash = createHash('sha256')
  const line = (...what: unknown[]): void => void hash.update(`${JSON.stringify(what)}\n`)
  return {
    stepped: ({ id }, { type }, now) => line('step', id, type, now),
    left: ({ id }, { to, message }) => line('left', id, to, message.type),
    sent: ({ id, from, to, sentAt, bytes }) => line('sent', id, from, to, sentAt, bytes.length),
    arrived: ({ id }) => line('arrived', id),
    dropped: ({ id }, reason) => line('dropped', id, reason),
    durable: ({ id, disk }) => line('durable', id, disk.durable.first, disk.durable.last),
    applied: ({ id }, commands) => line('applied', id, commands.length, commands[0]!.index),
    told: ({ id }, { type, at }) => line('told', id, type, at),
    crashed: ({ id }, how) => line('crashed', id, how),
    fault: (fault) => line('fault', fault),
    hash: () => hash.digest('hex'),
  }
}

test('three servers found a cluster, elect a leader and serve; one crashes and catches up', async () => {
  const { world, until, add } = await cluster(1)
  expect(await add(1)).toBe(1)
  const crashed = world.leader!
  crashed.kill()
  expect(crashed.state).toBe('off')
  expect(await add(2)).toBe(3)
  crashed.start()
  await until(() => converged(world))
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
    for (let i = 0; i < 100; i++) world.at(500 + i * 50, () => void add(i).catch(() => undefined))
    for (let i = 0; i < 10; i++)
      world.at(1000 + i * 500, () => {
        const server = world.server(random.pick(ids))
        if (!server.alive) return
        server.killAfter(1 + random.below(20))
        world.after(random.between(100, 400), () => server.alive || server.start())
      })
    await world.run({ until: 7000 })
    // Each process anew: one of them may still have been due to die.
    for (const server of world.servers.values()) {
      server.kill()
      server.start()
    }
    await world.run({ until: 20_000, when: () => world.leader !== undefined && converged(world) })
    expect(converged(world)).toBe(true)
    world.close()
    return watcher.hash()
  }
  const [first, second, other] = [await run(7), await run(7), await run(8)]
  expect(second).toBe(first)
  expect(other).not.toBe(first)
})

test('what a watcher throws ends the run after the event, and the code that is watched does not feel it', async () => {
  const seen: Watcher = {
    took: (_, effects) => {
      if (effects.happened.some((what) => what.type === 'role' && what.role === 'leader'))
        throw new Violation('no leader', 'somebody leads')
    },
  }
  const world = new World({ seed: 1, machine: () => replicate(counters), watchers: [seen] })
  world.found(ids)
  await expect(world.run({ until: 10_000 })).rejects.toThrow('no leader: somebody leads')
  expect(world.leader).toBeDefined()
  expect(world.leader!.failure).toBeUndefined()
  world.close()
})

test('a run ends by time, by the count of events, by a condition, or because nothing is due', async () => {
  const world = new World({ seed: 1, machine: () => replicate(counters) })
  expect(await world.run({ until: 5 })).toBe('idle')
  expect(world.now).toBe(5)
  world.found(ids)
  expect(await world.run({ until: 100 })).toBe('until')
  expect(world.now).toBe(100)
  expect(await world.run({ events: 500 })).toBe('events')
  expect(world.events).toBeGreaterThanOrEqual(500)
  expect(await world.run({ when: () => world.now >= 5000 })).toBe('when')
  world.close()
  expect(await world.run({})).toBe('idle')
})

test('what asks for itself again and again without an end is a violation, not a hang', async () => {
  const world = new World({ seed: 1, machine: () => replicate(counters) })
  const again = (): void => void world.at(world.now, again)
  again()
  await expect(world.run({ until: 10 })).rejects.toThrow('progress')
})
