import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { adapterFlags, adaptersOf } from '../cluster/systems/adapters.ts'
import { Embedded, ids } from '../cluster/systems/embedded.ts'
import { Kv } from '../cluster/systems/kv.ts'
import type { Counts } from '../cluster/systems/member.ts'
import type { System } from '../cluster/systems/system.ts'
import { Etcd } from '../etcd/etcd.ts'
import { etcdVersion } from '../etcd/install.ts'
import { cpuOf, memoryOf } from '../harness/machine.ts'
import { row, type Series } from '../harness/pairs.ts'
import type { Bench, Figure, Part, Sample } from '../harness/part.ts'
import { median } from '../harness/statistics.ts'

/** A cluster that was asked for nothing for this long has done what it had to do after its start. Seconds. */
const settle = 3

export const idle: Part = {
  name: 'idle',
  answers: 'three members that nobody asks for anything: processor, timers, frames',
  seconds: 10,
  pairs: 3,
  flags: { peer: { type: 'string', what: 'etcd: three members of it as well' }, ...adapterFlags },
  cases: {},
  async run(bench) {
    const adapters = adaptersOf(bench)
    const { peer } = bench.flags
    if (peer !== undefined && peer !== 'etcd') throw new Error('--peer is etcd; there is no other yet')
    if (peer === 'etcd') etcdVersion(bench.say)
    const build = (name: string) => ({ ...adapters, snapshotEntries: 100_000, directory: join(bench.directory, name) })
    const series: (Series & { samples: Sample[] })[] = []
    const keep = (system: string, sample: Sample) => {
      const one = series.find(({ key }) => key.system === system)
      if (one) one.samples.push(sample)
      else series.push({ key: { system }, samples: [sample] })
      bench.say(`${system}  ${sample.cpuShare!.toFixed(2)} % of a core, all members`)
    }
    for (let round = 1; round <= bench.pairs; round++) {
      // Counting costs a little, so it has a run of its own.
      const plain = await Embedded.start('proposals', build(`plain-${round}`))
      keep('embedded', await rest(plain, bench))
      const counting = await Embedded.start('proposals', build(`counting-${round}`), { count: true })
      keep('embedded, counted', await rest(counting, bench, () => countsOf(counting)))
      keep('apps/kv', await rest(await Kv.start(build(`kv-${round}`)), bench))
      if (peer === 'etcd') keep('etcd', await rest(await Etcd.start(build(`etcd-${round}`)), bench))
    }
    const of = (system: string, field: string) =>
      median(series.find(({ key }) => key.system === system)!.samples.map((sample) => sample[field]!))
    const figures: Figure[] = [
      { measure: 'idle: CPU of three members', value: of('embedded', 'cpuShare'), unit: '% of a core' },
      { measure: 'idle: timers per second, all members', value: of('embedded, counted', 'timersPerSecond'), unit: '' },
      { measure: 'idle: frames per second, all members', value: of('embedded, counted', 'framesPerSecond'), unit: '' },
    ]
    return {
      tables: [
        {
          name: 'idle',
          title: 'Three members at rest',
          columns: [
            { field: 'system', title: 'system' },
            { field: 'cpuShare', title: '% of a core, all members' },
            { field: 'timersPerSecond', title: 'timers/s' },
            { field: 'framesPerSecond', title: 'frames/s' },
            { field: 'bytesPerSecond', title: 'bytes/s in them' },
            { field: 'memoryMiB', title: 'MiB, largest member' },
          ],
          rows: series.map(row),
        },
      ],
      figures,
      notes: [
        'Heartbeats every 100 ms. The kernel counts processor time in steps of 10 ms. Timers, with turns of the event loop that were ' +
          'asked for, are those of the runtime, without those of Node itself.',
      ],
    }
  },
}

async function rest(system: System, { seconds, quick }: Bench, count?: () => Promise<Sample>): Promise<Sample> {
  try {
    await pause((quick ? Math.min(settle, seconds) : settle) * 1000)
    const before = await count?.()
    const cpu = cpuOfAll(system)
    const began = performance.now()
    await pause(seconds * 1000)
    const took = (performance.now() - began) / 1000
    const cpuShare = (cpuOfAll(system) - cpu) / took / 1e4
    const after = await count?.()
    const counted = Object.entries(after ?? {}).map(([field, value]) => [field, (value - before![field]!) / took])
    const memoryMiB = Math.max(...system.members.map(({ pid }) => memoryOf(pid))) / 2 ** 20
    return { cpuShare, memoryMiB, ...Object.fromEntries(counted) }
  } finally {
    await system.stop()
  }
}

const cpuOfAll = ({ members }: System): number => members.reduce((sum, { pid }) => sum + cpuOf(pid), 0)

async function countsOf(system: Embedded): Promise<Sample> {
  const all = await Promise.all(ids.map((_, at) => system.ask<Counts>(at, { type: 'counts' })))
  const sum = (field: keyof Counts) => all.reduce((sum, counts) => sum + counts[field], 0)
  return { timersPerSecond: sum('timers'), framesPerSecond: sum('frames'), bytesPerSecond: sum('frameBytes') }
}
