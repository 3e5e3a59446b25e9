import { join } from 'node:path'
import { adapterFlags, adaptersOf } from '../cluster/systems/adapters.ts'
import { Embedded } from '../cluster/systems/embedded.ts'
import { Kv } from '../cluster/systems/kv.ts'
import type { System } from '../cluster/systems/system.ts'
import { defaultKeys } from '../cluster/wire/keys.ts'
import { memoryOf } from '../harness/machine.ts'
import type { Bench, Part, Row } from '../harness/part.ts'
import { median } from '../harness/statistics.ts'

interface Minute {
  readonly window: number
  readonly atSeconds: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly loopP999Ms: number
  readonly memoryMiB: number
  readonly elections: number
}

export const soak: Part = {
  name: 'soak',
  answers: 'minutes of saturation: elections, memory, delay of the event loop',
  seconds: 10,
  pairs: 1,
  flags: {
    minutes: { type: 'string', what: 'how long (default: 10; with --quick a few seconds). Long ones: --background' },
    outstanding: { type: 'string', what: 'puts that are always outstanding (default: 256)' },
    system: { type: 'string', what: 'proposals, commands or kv (default: proposals)' },
    ...adapterFlags,
  },
  cases: {},
  async run(bench) {
    const { minutes, outstanding, system: name } = wishes(bench)
    const build = { ...adaptersOf(bench), snapshotEntries: 100_000, directory: join(bench.directory, 'soak') }
    const system = name === 'kv' ? await Kv.start(build) : await Embedded.start(name, build)
    const rows: Minute[] = []
    try {
      // All keys: from here on the state is as large as it gets.
      await system.fill(bench.quick ? 1000 : defaultKeys)
      const began = performance.now()
      const { term } = await system.standing()
      let windows = Math.max(2, Math.round((minutes * 60) / bench.seconds))
      for (let window = 1; window <= windows; window++) {
        const work = { request: 'put', keys: defaultKeys, outstanding, warmUp: 0, seconds: bench.seconds } as const
        rows.push(await oneWindow(system, work, window, began, term))
        const last = rows.at(-1)!
        bench.say(
          `${window} of ${windows}  ${Math.round(last.perSecond).toLocaleString('en')} puts/s, ${last.memoryMiB.toFixed(0)} MiB`,
        )
        if (performance.now() - began > minutes * 60_000 * 1.5 && window >= 2) windows = window
      }
    } finally {
      await system.stop()
    }
    const { early, late } = memoryDrift(rows)
    const loop = Math.max(...rows.map(({ loopP999Ms }) => loopP999Ms))
    const at = `${name}, ${outstanding} outstanding, ${(rows.at(-1)!.atSeconds / 60).toFixed(1)} minutes`
    return {
      tables: [
        {
          name: 'soak',
          title: 'Saturation, window by window',
          columns: [
            { field: 'atSeconds', title: 'second' },
            { field: 'perSecond', title: 'puts/s' },
            { field: 'p50Ms', title: 'p50 ms' },
            { field: 'p99Ms', title: 'p99' },
            { field: 'maxMs', title: 'max' },
            { field: 'loopP999Ms', title: 'loop delay p99.9 ms' },
            { field: 'memoryMiB', title: 'MiB, all members' },
            { field: 'elections', title: 'elections so far' },
          ],
          rows: rows.map((one): Row => ({ ...one })),
        },
      ],
      figures: [
        { measure: 'saturation: elections', at, value: rows.at(-1)!.elections, unit: '', must: { atMost: 0 } },
        { measure: 'saturation: memory drift', at, value: (late / early - 1) * 100, unit: '%', must: { atMost: 10 } },
        { measure: 'saturation: loop delay p99.9, worst window', at, value: loop, unit: 'ms', goal: { atMost: 50 } },
      ],
      notes: [
        'Memory drift: the median resident memory of all members over the last fifth of the windows, beside that over the second fifth; ' +
          'the first fifth is warm-up. Loop delay: the worst member’s. Every window’s puts are in the state of all three members.',
      ],
    }
  },
}

async function oneWindow(
  system: System,
  work: Parameters<System['run']>[0],
  window: number,
  began: number,
  term: number,
): Promise<Minute> {
  const before = await system.standing()
  const sample = await system.run(work)
  const after = await system.standing()
  if (after.puts - before.puts < sample.total!)
    throw new Error(`${sample.total} puts were acknowledged, and the members hold ${after.puts - before.puts}`)
  return {
    window,
    atSeconds: Math.round((performance.now() - began) / 1000),
    perSecond: sample.perSecond!,
    p50Ms: sample.p50Us! / 1000,
    p99Ms: sample.p99Us! / 1000,
    maxMs: sample.maxUs! / 1000,
    loopP999Ms: sample.loopP999Ms!,
    memoryMiB: system.members.reduce((sum, { pid }) => sum + memoryOf(pid), 0) / 2 ** 20,
    elections: after.term - term,
  }
}

/** A garbage collector's memory goes up and down: medians of many moments are compared, not two of them. */
function memoryDrift(rows: readonly Minute[]): { early: number; late: number } {
  const fifth = rows.length / 5
  const of = (from: number, to: number) => median(rows.slice(from, to).map(({ memoryMiB }) => memoryMiB))
  if (fifth < 1) return { early: of(0, 1), late: of(rows.length - 1, rows.length) }
  return { early: of(Math.floor(fifth), Math.ceil(2 * fifth)), late: of(Math.floor(4 * fifth), rows.length) }
}

function wishes({ flags, quick, seconds }: Bench): {
  minutes: number
  outstanding: number
  system: 'proposals' | 'commands' | 'kv'
} {
  const minutes = Number(flags.minutes ?? (quick ? (2 * seconds) / 60 : 10))
  if (!(minutes > 0 && minutes <= 1440)) throw new Error('--minutes is a number above 0, at most 1440')
  const outstanding = Number(flags.outstanding ?? 256)
  if (!(Number.isInteger(outstanding) && outstanding > 0 && outstanding <= 1000))
    throw new Error('--outstanding is a whole number from 1 to 1000')
  const system = flags.system ?? 'proposals'
  if (system !== 'proposals' && system !== 'commands' && system !== 'kv')
    throw new Error('--system is proposals, commands or kv')
  return { minutes, outstanding, system }
}
