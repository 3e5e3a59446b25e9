import { join } from 'node:path'
import { adapterFlags, adaptersOf } from '../cluster/systems/adapters.ts'
import { row } from '../harness/pairs.ts'
import type { Bench, Figure, Part, Sample } from '../harness/part.ts'
import { median, medians } from '../harness/statistics.ts'
import { distribution } from '../recovery/leader-loss.ts'
import { Four, ids } from './four.ts'
import { member } from './member.ts'
import { signing } from './signing.ts'

const electionTimeout = 500

interface Load {
  readonly name: string
  readonly batch: number
  readonly outstanding: number
  /** Requests per second that are surely not reached: so many are signed ahead. */
  readonly fastest: number
}

const loads: readonly Load[] = [
  { name: 'one client', batch: 1, outstanding: 1, fastest: 800 },
  { name: 'one signature per request', batch: 1, outstanding: 256, fastest: 4000 },
  { name: 'batches of 32', batch: 32, outstanding: 64, fastest: 1500 },
]

/** Not measured: for its first thousands of requests a process mostly translates its program, and one client alone would not come that far. */
const warming: Load = { name: 'warming up', batch: 1, outstanding: 256, fastest: 4000 }

export const bft: Part = {
  name: 'bft',
  answers:
    'certified Raft, four durable members on this machine: operations per second, beside what the signatures alone allow',
  seconds: 5,
  pairs: 3,
  flags: {
    kills: { type: 'string', what: 'how often the leader is killed (default: 10)' },
    'profile-to': { type: 'string', what: 'a directory for a CPU profile of each member' },
    ...adapterFlags,
  },
  cases: { member, signing },
  async run(bench) {
    const kills = Number(bench.flags.kills ?? (bench.quick ? 1 : 10))
    const profile = bench.flags['profile-to']
    const build = {
      ...{ ...adaptersOf(bench), electionTimeout, directory: join(bench.directory, 'four') },
      ...(typeof profile === 'string' && { profile }),
    }
    const found = new Map<Load, Sample[]>(loads.map((load) => [load, []]))
    const crypto: { sign: Sample[]; verify: Sample[] } = { sign: [], verify: [] }
    for (let round = 1; round <= bench.pairs; round++) {
      for (const what of ['sign', 'verify'] as const) crypto[what].push(await four(bench, what))
      // A cluster for each round: its log would grow, and with it what a member holds.
      const system = await Four.start({ ...build, directory: `${build.directory}-${round}` })
      try {
        await run(bench, system, warming, round)
        for (const load of loads) found.get(load)!.push(await run(bench, system, load, round))
      } finally {
        await system.stop()
      }
    }
    const losses = await leaderLoss({ ...build, directory: join(bench.directory, 'loss') }, kills, bench.say)
    const cost = { sign: medians(crypto.sign).cpuUs!, verify: medians(crypto.verify).cpuUs! }
    /** The share of two cores that signatures take, made and verified as in the run. */
    const share = (sample: Sample): number =>
      (sample.signs! * cost.sign + sample.verifies! * cost.verify) / (cores * 1e6 * sample.seconds!)
    const rows = loads.map((load) =>
      row({
        key: { load: load.name, outstanding: load.outstanding },
        samples: found.get(load)!.map((sample) => ({
          ...sample,
          operationsPerSecond: sample.perSecond! * load.batch,
          signaturesShare: share(sample),
          limitPerSecond: (sample.perSecond! * load.batch) / share(sample),
          p50Ms: sample.p50Us! / 1000,
          p99Ms: sample.p99Us! / 1000,
          verifiesPerRequest: sample.verifies! / ids.length / sample.done!,
          signsPerRequest: sample.signs! / ids.length / sample.done!,
        })),
      }),
    )
    const of = (name: string): Sample => medians(found.get(loads.find((load) => load.name === name)!)!)
    const lost = distribution(losses)
    /** Each member verifies each request once, and nothing else is signed: no protocol whatsoever is above it. */
    const ceiling = (cores * 1e6) / (ids.length * cost.verify)
    const figures: Figure[] = [
      {
        measure: 'operations/s, one signature per request',
        at: '256 outstanding',
        value: of('one signature per request').perSecond!,
        ...{ unit: '', must: { atLeast: 1200 }, goal: { atLeast: 2000 } },
      },
      {
        measure: 'operations/s, batches of 32 under one signature',
        at: '64 outstanding',
        value: of('batches of 32').perSecond! * 32,
        ...{ unit: '', must: { atLeast: 8000 }, goal: { atLeast: 15_000 } },
      },
      {
        measure: 'share of what verifying the clients’ signatures alone allows',
        at: 'one signature per request',
        value: of('one signature per request').perSecond! / ceiling,
        ...{ unit: '', goal: { atLeast: 0.6 } },
      },
      {
        measure: 'share of what all signatures of the run alone allow',
        at: 'one signature per request',
        value: median(found.get(loads[1]!)!.map(share)),
        unit: '',
      },
      {
        measure: 'share of what all signatures of the run alone allow',
        at: 'batches of 32',
        value: median(found.get(loads[2]!)!.map(share)),
        unit: '',
      },
      {
        measure: 'p50 of one closed-loop client',
        value: of('one client').p50Us! / 1000,
        unit: 'ms',
        goal: { atMost: 4 },
      },
      {
        measure: 'leader killed: the next put, median',
        at: `${losses.length} kills`,
        value: lost.p50,
        ...{ unit: 'ms', goal: { atMost: 2 * electionTimeout + 100 } },
      },
    ]
    return {
      tables: [
        {
          name: 'operations',
          title: 'Operations of 264 B, signed ahead, submitted to the leader in its own process, closed loop',
          columns: [
            { field: 'load', title: 'clients' },
            { field: 'outstanding', title: 'outstanding requests' },
            { field: 'operationsPerSecond', title: 'operations/s' },
            { field: 'limitPerSecond', title: 'if signatures were all' },
            { field: 'p50Ms', title: 'p50 ms' },
            { field: 'p99Ms', title: 'p99' },
            { field: 'memberCpuUs', title: 'CPU µs per request, members' },
            { field: 'verifiesPerRequest', title: 'verified per request and member' },
            { field: 'signsPerRequest', title: 'signed per request and member' },
          ],
          rows,
        },
        {
          name: 'signatures',
          title: 'Ed25519, four processes at once',
          columns: [
            { field: 'what', title: '' },
            { field: 'perSecond', title: 'per second, all four' },
            { field: 'cpuUs', title: 'CPU µs' },
          ],
          rows: (['sign', 'verify'] as const).map((what) => row({ key: { what }, samples: crypto[what] })),
        },
        {
          name: 'leader-loss',
          title: `From SIGKILL of the leader to the next acknowledged put, election timeout ${electionTimeout} ms`,
          columns: [
            { field: 'kills', title: 'kills' },
            { field: 'p50Ms', title: 'median ms' },
            { field: 'p90Ms', title: 'p90' },
            { field: 'maxMs', title: 'max' },
          ],
          rows: [{ kills: losses.length, p50Ms: lost.p50, p90Ms: lost.p90, maxMs: lost.max }],
        },
      ],
      figures,
      notes: [
        'Four members as processes of this machine, with their default options, each flushing to the same disk before it votes. They have run for a while before ' +
          'anything is measured. Requests are signed before the load begins, so what clients spend is not in it. ' +
          'The load sits in the leader’s process, and waits for that one member’s word: a client that trusts nobody waits for f + 1.',
        `Signatures alone: an Ed25519 verification takes ${cost.verify.toFixed(0)} µs of processor here, a signature ${cost.sign.toFixed(0)} µs, with four processes on ${cores} cores. ` +
          `If each member verified each request once and did nothing else, ${ceiling.toFixed(0)} requests per second would be the end.`,
        'Leader loss: the survivors propose something at once; nobody suspects before an election timeout has passed.',
      ],
    }
  },
}

const cores = 2

/** Four processes at once, as the members are. */
async function four(bench: Bench, what: 'sign' | 'verify'): Promise<Sample> {
  const all = await Promise.all(ids.map(() => bench.start('signing', { what }).result))
  const perSecond = all.reduce((sum, sample) => sum + sample.perSecond!, 0)
  return { perSecond, cpuUs: median(all.map((sample) => sample.cpuUs!)) }
}

async function run(bench: Bench, system: Four, load: Load, round: number): Promise<Sample> {
  const { batch, outstanding, fastest } = load
  const { seconds } = bench
  const warmUp = Math.min(seconds / 2, 2)
  const before = await system.puts()
  const prepared = Math.ceil(fastest * (seconds + warmUp))
  const sample = await system.run({ outstanding, batch, seconds, warmUp, prepared })
  const after = await system.puts()
  if (after - before !== sample.total! * batch || sample.lost !== 0)
    throw new Error(
      `${after - before} puts are there, ${sample.total! * batch} were acknowledged, ${sample.lost} failed`,
    )
  bench.say(`round ${round}  ${load.name}  ${Math.round(sample.perSecond! * batch)} operations/s`)
  return sample
}

async function leaderLoss(
  build: Parameters<typeof Four.start>[0],
  times: number,
  say: Bench['say'],
): Promise<number[]> {
  const system = await Four.start(build)
  const found: number[] = []
  try {
    for (let time = 1; time <= times; time++) {
      const leader = await system.leader()
      const survivors = ids.map((_, at) => at).filter((at) => at !== leader)
      const began = performance.now()
      const killed = system.killMember(leader)
      const first = survivors.map((at) => system.ask(at, { type: 'first-put' }))
      await Promise.race(first)
      found.push(performance.now() - began)
      say(`leader killed, ${time} of ${times}: ${found.at(-1)!.toFixed(0)} ms`)
      await Promise.all([killed, ...first])
      await system.startMember(leader)
    }
  } finally {
    await system.stop()
  }
  return found
}
