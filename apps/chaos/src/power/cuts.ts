import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Loss } from '@raftkit/compliance'
import type { Adapters } from '../adapters.ts'
import type { History } from '../clients/history.ts'
import { Cluster } from '../cluster/cluster.ts'
import { type Observed, observe } from '../observation.ts'
import { Random } from '../random.ts'

export interface PowerCutOptions {
  readonly size: number
  readonly cuts: number
  readonly seed: string
  readonly adapters: Adapters
  readonly directory: string
  readonly history: History
  readonly say: (line: string) => void
}

/** One cluster whose power was cut again and again. */
export interface PowerCuts extends Observed {
  /** Of each cut, what each member had not flushed, and what of it was gone. */
  readonly cuts: readonly (readonly Loss[])[]
}

/** Few clients: they share the processors with the members and their recorders. */
const load = { keys: 12, clientsPerKey: 4 }

/** A cut comes after so many acknowledgements since the power came back, and after a moment that the seed decides. Milliseconds. */
const atLeast = 60
const atMost = 400

/** How long it may take until a cluster whose power came back serves. Milliseconds. */
const backWithin = 30_000

/** All members lose power at one moment, as often as asked; each time they start again from what their disks can have kept. */
export async function powerCuts(options: PowerCutOptions): Promise<PowerCuts> {
  const { size, seed, adapters, directory, history, say } = options
  const random = new Random(`${seed}/power`)
  const draws = random.split('cuts')
  const cluster = await Cluster.powered({ size, directory, adapters, random })
  const journal = createWriteStream(join(directory, 'cuts.ndjson'))
  const cuts: Loss[][] = []
  let power = true
  const endpoints = () => (power ? cluster.endpoints : [])
  const context = { cluster, name: 'p', ...load, endpoints, random, history, directory }
  const seen = await observe(context, async () => {
    const crashed = () => cluster.members.some(({ crashes }) => crashes.length > 0)
    // What a member that crashed has on its disk, no recording tells any more.
    while (cuts.length < options.cuts && (await served(history)) && !crashed()) {
      await pause(draws.between(0, atMost))
      power = false
      await Promise.all(cluster.members.map((member) => member.down()))
      const losses = await Promise.all([...cluster.powers.values()].map((each) => each.cut()))
      cuts.push(losses)
      journal.write(`${JSON.stringify({ cut: cuts.length, after: history.operations.length, losses })}\n`)
      for (const member of cluster.members) member.start()
      await Promise.all(cluster.members.map((member) => member.answers(backWithin)))
      power = true
      if (cuts.length % 10 === 0) say(`${cuts.length} power cuts, ${history.acknowledged} acknowledged`)
    }
  }).finally(() => journal.end())
  return { ...seen, cuts }
}

async function served(history: History): Promise<boolean> {
  const deadline = performance.now() + backWithin
  const since = history.acknowledged
  while (history.acknowledged < since + atLeast && performance.now() < deadline) await pause(5)
  return performance.now() < deadline
}
