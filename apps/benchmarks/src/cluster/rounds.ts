import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Etcd } from '../etcd/etcd.ts'
import { canWatchFlushes, watchFlushes } from '../harness/flushes.ts'
import { isInstalled } from '../harness/machine.ts'
import type { Series } from '../harness/pairs.ts'
import { label } from '../harness/pairs.ts'
import type { Bench, Sample, Subject } from '../harness/part.ts'
import { median } from '../harness/statistics.ts'
import { control } from './control.ts'
import { watch } from './load/usage.ts'
import { etcdEach, kvPiped, type Plan, type SystemName, words } from './plan.ts'
import { Embedded } from './systems/embedded.ts'
import { Kv } from './systems/kv.ts'
import { type Build, type System, shape, type Work } from './systems/system.ts'
import { defaultKeys } from './wire/keys.ts'

/** Keys that are put before anything is read. */
const readKeys = 2000
/** Rounds in which h2load runs as well. */
const controlRounds = 3
const openShares = [0.25, 0.5, 0.7, 0.9]

const starts: Readonly<Record<SystemName, (build: Build) => Promise<System>>> = {
  proposals: (build) => Embedded.start('proposals', build),
  commands: (build) => Embedded.start('commands', build),
  kv: (build) => Kv.start(build),
  etcd: (build) => Etcd.start(build),
}

interface Kept extends Series {
  readonly samples: Sample[]
  /** Of each sample: a system that failed in one round lacks it, and what is compared are pairs. */
  readonly rounds: number[]
}

/** What was counted is not what happened: no figure of such a run is worth anything. */
class Untrue extends Error {}

/** Runs the systems in turns, each from an empty directory every time, and keeps what was measured. */
export class Rounds {
  readonly #plan: Plan
  readonly #bench: Bench
  readonly #series = new Map<string, Kept>()
  readonly #ideals: Sample[] = []
  readonly notes: string[] = []
  #starts = 0

  constructor(plan: Plan, bench: Bench) {
    this.#plan = plan
    this.#bench = bench
  }

  series(key: Subject['key']): Series | undefined {
    return this.#series.get(label(key))
  }

  /** Two series, cut to the rounds in which both were measured; undefined if there is none. */
  pairs(one: Subject['key'], other: Subject['key']): readonly [Series, Series] | undefined {
    const a = this.#series.get(label(one))
    const b = this.#series.get(label(other))
    const both = a?.rounds.filter((round) => b?.rounds.includes(round))
    if (!a || !b || !both?.length) return undefined
    const cut = ({ key, samples, rounds }: Kept) => ({
      key,
      samples: both.map((round) => samples[rounds.indexOf(round)]!),
    })
    return [cut(a), cut(b)]
  }

  /** All whose key has these fields. */
  all(part: Subject['key']): Series[] {
    return [...this.#series.values()].filter(({ key }) =>
      Object.entries(part).every(([field, value]) => key[field] === value),
    )
  }

  /** A round trip of the loopback and a flush, measured between the systems: medians in microseconds. */
  get ideal(): { readonly trip: number; readonly flush: number } {
    const of = (field: string) => median(this.#ideals.map((sample) => sample[field]!))
    return { trip: of('tripUs'), flush: of('flushUs') }
  }

  async closed(round: number): Promise<void> {
    await this.#measureIdeal()
    const { systems, snapshotEntries, pairs } = this.#plan
    // A snapshot would fall into the same window of every round otherwise, since all of them are as long and as fast.
    const lead = Math.round((snapshotEntries * (round - 1)) / pairs)
    for (const name of systems)
      await this.#with(name, `round ${round}`, lead, async (system) => {
        for (const outstanding of this.#plan.counts)
          await this.#put(round, { loop: 'closed', system: name, outstanding }, system, { outstanding })
        // Each also as the other's clients come: to one connection each, or to few with many requests on them.
        const shared = this.#plan.counts.filter((count) => shape('grpc', count) < count)
        const hasBoth = this.#plan.systems.includes('etcd') && this.#plan.systems.includes('kv')
        if (name === 'etcd' && hasBoth)
          for (const outstanding of shared) {
            const key = { loop: 'closed', system: etcdEach, outstanding }
            await this.#put(round, key, system, { outstanding, connections: outstanding })
          }
        if (name === 'kv' && hasBoth)
          for (const outstanding of shared) {
            const key = { loop: 'closed', system: kvPiped, outstanding }
            const connections = shape('grpc', outstanding)
            const depth = Math.ceil(outstanding / connections)
            await this.#put(round, key, system, { outstanding, connections, depth })
          }
        if (round <= controlRounds) await this.#control(round, name, system)
        await this.#reads(round, name, system)
      })
  }

  /** At shares of what the slower system can do at most, the same rates for all. */
  async open(round: number): Promise<void> {
    const most = this.#plan.systems.flatMap((system) => {
      const found = this.all({ loop: 'closed', system })
      const rates = found.map(({ samples }) => median(samples.map(({ perSecond }) => perSecond!)))
      return rates.length > 0 ? [Math.max(...rates)] : []
    })
    if (most.length === 0) return
    const slowest = Math.min(...most)
    for (const name of this.#plan.systems)
      await this.#with(name, `round ${round} of the open loop`, 0, async (system) => {
        for (const share of openShares) {
          const rate = Math.max(1, Math.round(slowest * share))
          await this.#put(round, { loop: 'open', system: name, share }, system, { outstanding: 256, rate })
        }
      })
  }

  /** Under strace, so no time is measured: how often each member asks for a flush, and what it writes. */
  async flushes(): Promise<void> {
    if (!canWatchFlushes()) {
      this.notes.push('Flushes were not counted: there is no strace here.')
      return
    }
    for (const name of this.#plan.systems)
      await this.#with(name, 'the count of flushes', 0, async (system) => {
        for (const outstanding of this.#plan.flushCounts)
          try {
            const watches = []
            for (const { pid, directory } of system.members) watches.push(await watchFlushes(pid, directory))
            const { total } = await system.run({ ...this.#work({ outstanding }), warmUp: 0, seconds: 2 })
            const counts = await Promise.all(watches.map((watch) => watch.stop()))
            const most = (field: 'flushes' | 'bytes') =>
              Math.max(...counts.map((count) => count[field])) / Math.max(1, total!)
            const least = Math.min(...counts.map(({ flushes }) => flushes)) / Math.max(1, total!)
            const sample = {
              flushesPerPut: most('flushes'),
              leastFlushesPerPut: least,
              bytesPerPut: most('bytes'),
              puts: total!,
            }
            this.#keep(1, { loop: 'strace', system: name, outstanding }, sample)
            this.#bench.say(
              `strace  ${name}, ${outstanding} outstanding  ${sample.flushesPerPut.toFixed(4)} flushes per put`,
            )
          } catch (error) {
            this.notes.push(
              `Flushes of ${name} at ${outstanding} outstanding were not counted: ${(error as Error).message}`,
            )
            return
          }
      })
  }

  async #measureIdeal(): Promise<void> {
    const seconds = this.#bench.quick ? 0.2 : 1
    const [trip, flush] = await this.#bench.interleave(
      [
        { key: { ideal: 'round trip' }, case: 'handOver', input: { way: 'loopback round trip, 32 B' }, seconds },
        { key: { ideal: 'flush' }, case: 'writer', input: { way: 'overwrite' }, seconds },
      ],
      1,
    )
    this.#ideals.push({ tripUs: trip!.samples[0]!.p50Us!, flushUs: flush!.samples[0]!.p50Us! })
  }

  /** After `lead` puts. A failure of one system in one round is told, and the others go on: a run takes long. */
  async #with(name: SystemName, when: string, lead: number, use: (system: System) => Promise<void>): Promise<void> {
    const { storage, transport, snapshotEntries, profile, warmUp } = this.#plan
    const directory = join(this.#bench.directory, `${name}-${++this.#starts}`)
    const build = { storage, transport, snapshotEntries, directory, ...(profile !== undefined && { profile }) }
    let system: System | undefined
    try {
      system = await starts[name](build)
      await system.fill(readKeys)
      if (lead > 0) await system.fill(lead)
      await system.run({ ...this.#work({ outstanding: 64 }), warmUp: 0, seconds: warmUp })
      await use(system)
    } catch (error) {
      if (error instanceof Untrue) throw error
      const failure = `${words[name]} failed in ${when}, and what was left of it there is missing: ${(error as Error).message}`
      this.notes.push(failure)
      this.#bench.say(failure)
    } finally {
      await system?.stop()
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    }
  }

  async #put(
    round: number,
    key: Subject['key'],
    system: System,
    load: Pick<Work, 'outstanding' | 'rate' | 'connections' | 'depth'>,
  ): Promise<void> {
    const before = await system.standing()
    const sample = await system.run(this.#work(load))
    const after = await system.standing()
    const { total = 0, lost = 0, done = 0 } = sample
    const happened = after.puts - before.puts
    // kv counts by its log, which holds sessions as well.
    const others = key.system === 'kv' || key.system === kvPiped ? 100 + total / 100 : 0
    if (done === 0) throw new Error(`${label(key)}: nothing was put`)
    if (happened < total || happened > total + lost + others)
      throw new Untrue(
        `${label(key)}: ${total} puts were acknowledged, ${lost} failed, and the members hold ${happened}`,
      )
    const elections = after.term - before.term
    this.#keep(round, key, { ...sample, elections })
    this.#bench.say(
      `round ${round}  ${label(key)}  ${Math.round(sample.perSecond!).toLocaleString('en')} puts/s, ` +
        `p50 ${(sample.p50Us! / 1000).toFixed(2)} ms, p99 ${(sample.p99Us! / 1000).toFixed(1)} ms, ` +
        `${sample.memberCpuUs!.toFixed(0)} µs of processor${elections > 0 ? `, ${elections} elections` : ''}`,
    )
  }

  async #control(round: number, name: SystemName, system: System): Promise<void> {
    const outstanding = 256
    if (!this.#plan.control || !system.port || !isInstalled('h2load')) return
    const key = { loop: 'control', system: name, outstanding }
    try {
      const work = this.#work({ outstanding })
      const before = await system.standing()
      const watching = watch({ members: system.members.map(({ pid }) => pid), directory: this.#bench.directory })
      const { perSecond } = await control(system, name === 'etcd' ? 'grpc' : 'http', this.#bench.directory, work)
      const used = watching.stop()
      const puts = (await system.standing()).puts - before.puts
      if (puts < perSecond! * Math.floor(work.seconds)) throw new Error('its puts are not there')
      // To etcd h2load can only send one key, which is cheaper than many; so does ours, then.
      const ours = await system.run({ ...work, ...(name === 'etcd' && { keys: 1 }) })
      const sample = {
        perSecond: perSecond!,
        memberCpuUs: used(puts).memberCpuUs!,
        oursPerSecond: ours.perSecond!,
        oursCpuUs: ours.memberCpuUs!,
      }
      this.#keep(round, key, sample)
      this.#bench.say(
        `round ${round}  ${label(key)}  ${Math.round(sample.perSecond!).toLocaleString('en')} puts/s by h2load`,
      )
    } catch (error) {
      this.notes.push(`The control by h2load of ${name} did not run: ${(error as Error).message}`)
    }
  }

  async #reads(round: number, name: SystemName, system: System): Promise<void> {
    // Sessions do not matter to reads: one embedded system is enough.
    if (name === 'commands') return
    const modes = name === 'etcd' ? (['linearizable', 'stale'] as const) : (['linearizable', 'lease', 'stale'] as const)
    for (const consistency of modes)
      for (const outstanding of this.#plan.readCounts) {
        const key = { loop: 'reads', system: name, consistency, outstanding }
        const load = { request: 'get', consistency, outstanding, keys: readKeys } as const
        const seconds = Math.min(this.#plan.seconds, 2)
        const sample = await system.run({ ...load, warmUp: seconds / 6, seconds })
        if (sample.done === 0) throw new Error(`${label(key)}: nothing was read`)
        this.#keep(round, key, sample)
        this.#bench.say(`round ${round}  ${label(key)}  ${Math.round(sample.perSecond!).toLocaleString('en')} reads/s`)
      }
  }

  #work(load: Pick<Work, 'outstanding' | 'rate' | 'connections' | 'depth'>): Work {
    const { seconds } = this.#plan
    return { request: 'put', keys: defaultKeys, ...load, warmUp: Math.min(0.5, seconds / 2), seconds }
  }

  #keep(round: number, key: Subject['key'], sample: Sample): void {
    const name = label(key)
    const kept = this.#series.get(name) ?? { key, samples: [], rounds: [] }
    this.#series.set(name, kept)
    kept.samples.push(sample)
    kept.rounds.push(round)
  }
}
