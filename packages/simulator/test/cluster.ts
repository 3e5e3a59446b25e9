import { createHash } from 'node:crypto'
import { clientSession, defineMachine, type ReplicatedMachine, replicate } from 'raftkit'
import { vi } from 'vitest'
import { type Fault, type Server, type Watcher, World, type WorldOptions } from '../src/index.ts'

// Worlds are run, not waited for: on a machine with other things to do, a test takes its time.
vi.setConfig({ testTimeout: 60_000 })

export const counters = defineMachine({
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

export const ids = ['n1', 'n2', 'n3']

/** A client with a session of its own, which asks whoever is up, one after the other, until it is answered. */
export function client(world: World): (by: number, key?: string) => Promise<unknown> {
  let turn = 0
  const { call } = clientSession({
    propose: async (data) => {
      const up = [...world.servers.values()].filter(({ node }) => node)
      const server = up[turn++ % up.length] ?? world.server('n1')
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
  return (by, key = 'visits') => call('add', { key, by }, { timeout: 60_000 })
}

export const hashOf = (server: Server): string =>
  createHash('sha256')
    .update((server.machine as ReplicatedMachine).encode())
    .digest('hex')

/** All up, all equal. */
export function converged(world: World): boolean {
  const servers = [...world.servers.values()]
  const { last } = servers[0]!.disk.issued
  return (
    servers.every(({ node, protocol, disk }) => node && protocol!.applied === last && disk.issued.last === last) &&
    new Set(servers.map(hashOf)).size === 1
  )
}

export interface Cluster {
  readonly world: World
  readonly faults: Fault[]
  /** Runs until `when`; fails the test if it does not come to that within two minutes. */
  until(when: () => boolean): Promise<void>
  /** Adds through a client, and runs until it is answered. */
  add(by: number): Promise<unknown>
  /** Only asks. */
  readonly ask: (by: number, key?: string) => Promise<unknown>
}

/** Three servers with a leader, or others. */
export async function cluster(
  seed: number,
  options: Partial<WorldOptions> = {},
  founders: readonly string[] = ids,
): Promise<Cluster> {
  const faults: Fault[] = []
  const seen: Watcher = { fault: (fault) => faults.push(fault) }
  const world = new World({
    seed,
    machine: () => replicate(counters),
    ...options,
    watchers: [seen, ...(options.watchers ?? [])],
  })
  world.found(founders)
  const until = async (when: () => boolean): Promise<void> => {
    const ended = await world.run({ until: world.now + 120_000, when })
    if (ended !== 'when') throw new Error(`it did not come to that: ${when}`)
  }
  await until(() => world.leader !== undefined)
  const ask = client(world)
  const add = async (by: number): Promise<unknown> => {
    let answer: { readonly sum: unknown } | undefined
    ask(by).then(
      (sum) => {
        answer = { sum }
      },
      (error) => {
        answer = { sum: error }
      },
    )
    await until(() => answer !== undefined)
    return answer!.sum
  }
  return { world, faults, until, add, ask }
}
