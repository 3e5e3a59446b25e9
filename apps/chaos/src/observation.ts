import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { exchange } from '@raftkit/app-kv'
import type { History } from './clients/history.ts'
import { Load } from './clients/load.ts'
import { Watcher } from './clients/watcher.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { Random } from './random.ts'
import { judgeWatches, type WatchReport } from './verdict/watches.ts'
import { differences, type Held, replay } from './verdict/writes.ts'

export interface ObservationOptions {
  readonly cluster: Cluster
  /** Names of clients and keys begin with it: no two clusters of a run have the same. */
  readonly name: string
  readonly keys: number
  readonly clientsPerKey: number
  /** Whom clients talk to now; nobody, and they rest. */
  readonly endpoints: () => readonly string[]
  readonly random: Random
  readonly history: History
  /** For what the watchers were told. */
  readonly directory: string
}

/** What was seen of one cluster, from its founding to its end. */
export interface Observed {
  readonly name: string
  readonly watches: WatchReport
  readonly watchConnections: number
  /** What members hold at the end and should not, or the other way round. */
  readonly differences: readonly string[]
  readonly hashesEqual: boolean
  readonly leaderChanges: number
  /** Members that ended for no reason that a fault would explain. */
  readonly crashes: readonly string[]
  /** Why the cluster did not become whole again. */
  readonly stuck: string | undefined
}

const watchers = 3

/** How long it may take, after the last fault, until all members are there and agree. Milliseconds. */
const healWithin = 45_000

/** The clusters that run now: whoever ends the program ends them. */
export const open: Set<Cluster> = new Set()

/** A cluster under clients while `act` does to it whatever it does; then it must become whole. Ends the cluster. */
export async function observe(options: ObservationOptions, act: () => Promise<void>): Promise<Observed> {
  const { cluster, random, history, directory, ...load } = options
  open.add(cluster)
  try {
    if (!(await cluster.untilLed(20_000))) throw new Error(`no leader of ${cluster.size} members within 20 s`)
    const readers = Array.from(
      { length: watchers },
      (_, at) => new Watcher(`watcher ${at}`, options.endpoints, random.split(`watcher ${at}`)),
    )
    const clients = new Load({ ...load, history, random: random.split('load') })
    await act()
    // Once nothing is wrong any more, it must serve.
    const stuck = await serves(cluster, history)
    await clients.stop()
    const end = await converged(cluster)
    await until(() => readers.every((reader) => reader.last >= end.revision), 10_000)
    await Promise.all(readers.map((reader) => reader.stop()))
    const watches = judgeWatches(readers)
    const told = readers.flatMap(({ name, changes }) => changes.map((change) => JSON.stringify({ name, ...change })))
    writeFileSync(join(directory, 'watches.ndjson'), `${told.join('\n')}\n`)
    const expected = replay(watches.log)
    return {
      name: load.name,
      watches,
      watchConnections: readers.reduce((sum, { connections }) => sum + connections, 0),
      differences: [...end.states].flatMap(([member, state]) => differences(member, expected, state)),
      hashesEqual: end.equal,
      leaderChanges: Math.max(0, cluster.ledTerms() - 1),
      crashes: cluster.members.flatMap(({ crashes }) => crashes),
      stuck: stuck ?? end.stuck,
    }
  } finally {
    await cluster.close()
    open.delete(cluster)
  }
}

async function serves(cluster: Cluster, history: History): Promise<string | undefined> {
  const before = history.acknowledged
  const back = await until(() => history.acknowledged > before + 200 && cluster.leader !== undefined, healWithin)
  return back ? undefined : `no progress within ${healWithin / 1000} s after the last fault`
}

interface End {
  /** What each member holds, by linearizable reads through it. */
  readonly states: Map<string, Map<string, Held>>
  /** Of the last change. */
  readonly revision: number
  readonly equal: boolean
  readonly stuck: string | undefined
}

/** Waits until all members have applied the same, and reads it from each. */
async function converged(cluster: Cluster): Promise<End> {
  const states = new Map<string, Map<string, Held>>()
  let told: { id: string; index: number; hash: string }[] = []
  const ask = async (): Promise<boolean> => {
    const answers = await Promise.all(
      cluster.current.map(({ endpoint }) =>
        exchange(endpoint, { method: 'GET', path: '/v1/hash' }, 5_000).catch(() => undefined),
      ),
    )
    if (!answers.every((answer) => answer?.status === 200)) return false
    told = answers.map((answer) => answer!.body as { id: string; index: number; hash: string })
    return new Set(told.map(({ index }) => index)).size === 1
  }
  if (!(await until(ask, healWithin)))
    return { states, revision: 0, equal: false, stuck: `members do not get to one index: ${JSON.stringify(told)}` }
  const equal = new Set(told.map(({ hash }) => hash)).size === 1
  let last = 0
  for (const { id, endpoint } of cluster.current) {
    const { state, revision } = await readAll(endpoint)
    states.set(id, state)
    last = Math.max(last, revision)
  }
  return { states, revision: last, equal, stuck: undefined }
}

async function readAll(endpoint: string): Promise<{ state: Map<string, Held>; revision: number }> {
  const state = new Map<string, Held>()
  let after: string | null = null
  let last = 0
  do {
    const query: string = new URLSearchParams({ limit: '1000', ...(after !== null && { after }) }).toString()
    const { status, body } = await exchange(endpoint, { method: 'GET', path: `/v1/kv?${query}` }, 10_000)
    if (status !== 200) throw new Error(`${endpoint} cannot be read: ${JSON.stringify(body)}`)
    const page = body as { entries: ({ key: string } & Held)[]; next: string | null; revision: number }
    for (const { key, value, revision } of page.entries) state.set(key, { value, revision })
    after = page.next
    last = page.revision
  } while (after !== null)
  return { state, revision: last }
}

async function until(done: () => boolean | Promise<boolean>, within: number): Promise<boolean> {
  const deadline = performance.now() + within
  while (performance.now() < deadline) {
    if (await done()) return true
    await pause(100)
  }
  return false
}
