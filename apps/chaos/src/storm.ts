import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Adapters } from './adapters.ts'
import type { History } from './clients/history.ts'
import { Cluster } from './cluster/cluster.ts'
import { settled } from './faults/memberships.ts'
import type { Kind } from './faults/schedule.ts'
import { type Done, startTracks } from './faults/tracks.ts'
import { type Observed, observe } from './observation.ts'
import { Random } from './random.ts'

export interface StormOptions {
  readonly size: number
  readonly milliseconds: number
  readonly seed: string
  readonly adapters: Adapters
  /** For what its members hold and say, and for the faults. */
  readonly directory: string
  readonly history: History
  readonly say: (line: string) => void
}

/** One cluster under faults. */
export interface Storm extends Observed {
  readonly size: number
  readonly faults: readonly Done[]
  /** Kinds that were due and could not be done, by how often. */
  readonly passed: ReadonlyMap<Kind, number>
  readonly fullDisk: 'tmpfs' | 'played'
}

const load = { keys: 40, clientsPerKey: 4 }

/** A cluster under clients and faults for a time; then the faults end, and it must become whole. */
export async function storm(options: StormOptions): Promise<Storm> {
  const { size, milliseconds, seed, adapters, directory, history, say } = options
  const random = new Random(`${seed}/${size}`)
  const cluster = await Cluster.start({ size, directory, adapters, random })
  const journal = createWriteStream(join(directory, 'faults.ndjson'))
  const endpoints = () => cluster.endpoints
  let faults: Pick<Storm, 'faults' | 'passed'> | undefined
  const seen = await observe(
    { cluster, name: `c${size}`, ...load, endpoints, random, history, directory },
    async () => {
      const tracks = startTracks(cluster, random.seed, (done) => journal.write(`${JSON.stringify(done)}\n`))
      const from = history.operations.length
      const started = performance.now()
      const progress = setInterval(() => {
        const seconds = Math.round((performance.now() - started) / 1000)
        const leader = cluster.leader?.id ?? 'nobody'
        say(
          `${size} members, ${seconds} s: ${history.operations.length - from} operations, ${tracks.done.length} faults, ${leader} leads`,
        )
      }, 5_000)
      await pause(milliseconds)
      await tracks.stop()
      clearInterval(progress)
      await heal(cluster)
      faults = { faults: tracks.done, passed: tracks.passed }
    },
  ).finally(() => journal.end())
  return { ...seen, ...faults!, size, fullDisk: cluster.disks.size > 0 ? 'tmpfs' : 'played' }
}

async function heal(cluster: Cluster): Promise<void> {
  for (const member of cluster.members) if (member.paused) member.resume()
  await settled(cluster, 20_000)
  for (const member of cluster.current) member.start()
}
