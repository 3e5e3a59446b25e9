import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { compare, row, type Series } from '../harness/pairs.ts'
import type { Chart, Column, Figure, Findings, Row, Subject, Table } from '../harness/part.ts'
import { hottest, type Profile, profileTable } from '../harness/profile.ts'
import { median, medians } from '../harness/statistics.ts'
import { etcdEach, kvPiped, type Plan, words } from './plan.ts'
import type { Rounds } from './rounds.ts'
import { valueBytes } from './wire/keys.ts'

/** Whole rows, in milliseconds where a person reads them. */
function shown(series: Series): Row {
  const plain = row({
    key: { ...series.key, system: words[series.key.system as keyof typeof words] },
    samples: series.samples.map((sample) => ({
      ...sample,
      ...(sample.p50Us !== undefined && {
        p50Ms: sample.p50Us / 1000,
        p90Ms: sample.p90Us! / 1000,
        p99Ms: sample.p99Us! / 1000,
        p999Ms: sample.p999Us! / 1000,
        maxMs: sample.maxUs! / 1000,
      }),
    })),
  })
  return plain
}

const latency: readonly Column[] = [
  { field: 'p50Ms', title: 'p50 ms' },
  { field: 'p90Ms', title: 'p90' },
  { field: 'p99Ms', title: 'p99' },
  { field: 'p999Ms', title: 'p99.9' },
  { field: 'maxMs', title: 'max' },
]
const processor: readonly Column[] = [
  { field: 'memberCpuUs', title: 'CPU µs, members' },
  { field: 'generatorCpuUs', title: 'CPU µs, generator' },
]

/** A column, if any row has its field: what etcd or a partition does not tell is left out. */
const having = (rows: readonly Series[], field: string, title: string): Column[] =>
  rows.some(({ samples }) => samples[0]?.[field] !== undefined) ? [{ field, title }] : []

export function findings(plan: Plan, rounds: Rounds, etcd: string | undefined): Findings {
  const closed = rounds.all({ loop: 'closed' })
  const open = rounds.all({ loop: 'open' })
  const reads = rounds.all({ loop: 'reads' })
  const strace = rounds.all({ loop: 'strace' })
  if (closed.length === 0) throw new Error(`no system could be measured:\n${rounds.notes.join('\n')}`)
  const tables: Table[] = [
    {
      name: 'puts',
      title: 'Puts of 256 B, closed loop: so many always outstanding',
      columns: [
        { field: 'system', title: 'system' },
        { field: 'outstanding', title: 'outstanding' },
        { field: 'perSecond', title: 'puts/s' },
        ...latency,
        ...processor,
        ...having(closed, 'diskBytes', 'disk B per put and member'),
        ...having(closed, 'snapshotBytes', 'of them snapshots'),
        ...having(closed, 'diskFlushes', 'disk flushes per put and member'),
        { field: 'memoryMiB', title: 'MiB, largest member' },
        ...having(closed, 'loopP999Ms', 'loop delay p99.9 ms'),
        { field: 'elections', title: 'elections' },
      ],
      rows: closed.map(shown),
    },
  ]
  if (open.length > 0)
    tables.push({
      name: 'open',
      title: 'Puts of 256 B, open loop: latency from when each was due',
      columns: [
        { field: 'system', title: 'system' },
        { field: 'share', title: 'share of the slower maximum' },
        { field: 'perSecond', title: 'puts/s' },
        ...latency,
        ...processor,
        { field: 'overrun', title: 'gave up' },
        { field: 'elections', title: 'elections' },
      ],
      rows: open.map(shown),
    })
  if (reads.length > 0)
    tables.push({
      name: 'reads',
      title: 'Reads of 256 B, closed loop',
      columns: [
        { field: 'system', title: 'system' },
        { field: 'consistency', title: 'consistency' },
        { field: 'outstanding', title: 'outstanding' },
        { field: 'perSecond', title: 'reads/s' },
        ...latency,
        ...processor,
      ],
      rows: reads.map(shown),
    })
  const controls = rounds.all({ loop: 'control' })
  if (controls.length > 0)
    tables.push({
      name: 'control',
      title:
        'The same puts by h2load, and again by our generator: does it bound what it measures? (To etcd both send one key only: h2load knows no other way.)',
      columns: [
        { field: 'system', title: 'system' },
        { field: 'outstanding', title: 'outstanding' },
        { field: 'perSecond', title: 'puts/s by h2load' },
        { field: 'oursPerSecond', title: 'by our generator' },
        { field: 'memberCpuUs', title: 'CPU µs, members, h2load' },
        { field: 'oursCpuUs', title: 'by our generator' },
      ],
      rows: controls.map(shown),
    })
  if (strace.length > 0)
    tables.push({
      name: 'flushes',
      title: 'Flushes that members ask for, counted by strace (no time is measured in these runs)',
      columns: [
        { field: 'system', title: 'system' },
        { field: 'outstanding', title: 'outstanding' },
        { field: 'flushesPerPut', title: 'flushes per put, most of a member', digits: 3 },
        { field: 'leastFlushesPerPut', title: 'least of a member', digits: 3 },
        { field: 'bytesPerPut', title: 'bytes written to files per put' },
        { field: 'puts', title: 'puts counted' },
      ],
      rows: strace.map(shown),
    })
  if (plan.profile !== undefined) tables.push(profileTable(profiles(plan.profile)))
  return { tables, figures: figures(plan, rounds), charts: [chart(plan, rounds)], notes: notes(plan, rounds, etcd) }
}

/** Of what lies in the directory, older ones too. */
function profiles(directory: string): Profile[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.cpuprofile'))
  return files.map((name) => ({ of: basename(name, '.cpuprofile'), hot: hottest(join(directory, name), 10) }))
}

function figures(plan: Plan, rounds: Rounds): Figure[] {
  const found: Figure[] = []
  const ratio = (
    what: Pick<Figure, 'measure' | 'at' | 'must' | 'goal'>,
    ours: Subject['key'],
    field: string,
    [system, beside] = ['etcd', 'etcd'],
  ): void => {
    const pairs = rounds.pairs(ours, { ...ours, system })
    if (!pairs) return
    const { value, low, high } = compare(...pairs, field)
    found.push({ ...what, beside, value, low, high, unit: '×' })
  }
  const closed = (system: string, outstanding: number) => ({ loop: 'closed', system, outstanding })
  const bars: Readonly<Record<string, Pick<Figure, 'must' | 'goal'>>> = {
    proposals: { must: { atLeast: 3 }, goal: { atLeast: 8 } },
    commands: {},
    kv: { must: { atLeast: 1 }, goal: { atLeast: 2 } },
  }
  for (const system of plan.systems.filter((system) => system !== 'etcd'))
    for (const outstanding of plan.counts) {
      const what = { measure: `puts/s, ${words[system]}`, at: `${outstanding} outstanding` }
      ratio({ ...what, ...(outstanding >= 64 && bars[system]) }, closed(system, outstanding), 'perSecond')
      if (system !== 'kv') continue
      const piped = { ...what, measure: `puts/s, ${words[kvPiped]}` }
      ratio({ ...piped, ...bars.kv }, closed(kvPiped, outstanding), 'perSecond', ['etcd', 'etcd, as many connections'])
      // Without a bar of its own: the harder comparison has it.
      ratio(what, closed(system, outstanding), 'perSecond', [etcdEach, 'etcd, a connection for each'])
    }
  const { trip, flush } = rounds.ideal
  for (const system of plan.systems) {
    const one = rounds.series(closed(system, 1))
    if (!one) continue
    const at = '1 outstanding'
    const isOurs = system === 'proposals' || system === 'kv'
    if (isOurs) ratio({ measure: `p50, ${words[system]}`, at, must: { atMost: 1 } }, closed(system, 1), 'p50Us')
    // Who calls from the leader's own process saves the client's round trip, and so does the ideal it is held against.
    const trips = system === 'proposals' || system === 'commands' ? 1 : 2
    found.push({
      measure: `p50, share of the ideal, ${words[system]}`,
      at,
      beside: `${trips} round trip${trips > 1 ? 's' : ''} + 1 flush`,
      value: (trips * trip + flush) / medians(one.samples).p50Us!,
      unit: '',
      ...(isOurs && { goal: { atLeast: 0.7 } }),
    })
  }
  ratio(
    {
      measure: 'CPU-µs per put, all members, embedded',
      at: '256 outstanding',
      must: { atMost: 0.4 },
      goal: { atMost: 0.15 },
    },
    closed('proposals', 256),
    'memberCpuUs',
  )
  ratio(
    { measure: 'CPU-µs per put, all members, kv over HTTP', at: '256 outstanding' },
    closed('kv', 256),
    'memberCpuUs',
  )
  for (const [outstanding, most] of [
    [64, 0.1],
    [1000, 0.01],
  ] as const) {
    const counted = rounds.series({ loop: 'strace', system: 'proposals', outstanding })
    if (!counted) continue
    const { flushesPerPut } = medians(counted.samples)
    found.push({
      measure: 'flushes per put per member, embedded',
      at: `${outstanding} outstanding`,
      value: flushesPerPut!,
      unit: '',
      must: { atMost: most },
    })
  }
  for (const outstanding of [64, 256, 1000]) {
    const samples = rounds.series(closed('proposals', outstanding))?.samples ?? []
    const { diskBytes } = medians(samples)
    const { bytesPerPut } = medians(rounds.series({ loop: 'strace', system: 'proposals', outstanding })?.samples ?? [])
    const at = `${outstanding} outstanding`
    if (bytesPerPut !== undefined)
      found.push({
        measure: 'bytes written to files per put ÷ payload, embedded',
        at,
        value: bytesPerPut / valueBytes,
        unit: '',
      })
    if (diskBytes !== undefined)
      found.push({
        measure: 'disk bytes per put ÷ payload per member, embedded',
        at,
        value: diskBytes / valueBytes,
        unit: '',
        ...(outstanding === 256 && { must: { atMost: 2 }, goal: { atMost: 1.3 } }),
      })
    // A snapshot falls into one sample and not into the next, so it is taken off each.
    if (diskBytes !== undefined)
      found.push({
        measure: 'the same without snapshots',
        at,
        value: median(samples.map((sample) => sample.diskBytes! - sample.snapshotBytes!)) / valueBytes,
        unit: '',
      })
  }
  for (const outstanding of plan.readCounts) {
    const key = { loop: 'reads', system: 'proposals', consistency: 'linearizable', outstanding }
    const must = outstanding === 256 && { must: { atLeast: 3 }, goal: { atLeast: 10 } }
    ratio({ measure: 'linearizable reads/s, embedded', at: `${outstanding} outstanding`, ...must }, key, 'perSecond')
    ratio(
      { measure: 'linearizable reads/s, kv over HTTP', at: `${outstanding} outstanding` },
      { ...key, system: 'kv' },
      'perSecond',
    )
  }
  for (const system of ['proposals', 'kv'] as const) {
    const high = { loop: 'open', system, share: 0.7 }
    ratio({ measure: `p99.9 in the open loop, ${words[system]}`, at: '70 % of the slower maximum' }, high, 'p999Us')
  }
  const elections = rounds
    .all({})
    .flatMap(({ samples }) => samples)
    .reduce((sum, sample) => sum + (sample.elections ?? 0), 0)
  found.push({ measure: 'elections in all runs', value: elections, unit: '', must: { atMost: 0 } })
  return found
}

function chart(plan: Plan, rounds: Rounds): Chart {
  return {
    name: 'cluster-puts',
    title: 'Durable puts of 256 B per second, three members on one machine',
    unit: 'puts/s',
    scale: 'log',
    groups: plan.counts.map((count) => `${count} outstanding`),
    series: plan.systems.map((system) => ({
      name: words[system],
      values: plan.counts.map((outstanding) => {
        const series = rounds.series({ loop: 'closed', system, outstanding })
        return series ? medians(series.samples).perSecond! : null
      }),
    })),
  }
}

function notes(plan: Plan, rounds: Rounds, etcd: string | undefined): string[] {
  const { trip, flush } = rounds.ideal
  const { storage, transport, snapshotEntries } = plan
  return [
    `Three members as processes of this machine, each flushing to the same disk before it acknowledges; ${storage} and ${transport}${
      etcd === undefined ? '' : `; etcd ${etcd} with heartbeats of 100 ms and elections of 1000 ms as ours`
    }; snapshots every ${snapshotEntries.toLocaleString('en')} entries. Keys of 8 B, random out of 100,000, values of 256 B.`,
    'Embedded: the calls are made in the leader’s process, and what they cost is part of its processor time. kv and etcd: one generator ' +
      'for both, a process of its own that encodes a request once and patches in its key; HTTP/1.1 with one connection for each ' +
      'outstanding request, gRPC with several requests on each of fewer connections, and each again as the other (pipelined); to the leader.',
    'Each round begins with another number of puts, so that snapshots fall into other windows than in the round before; a median of windows holds one only if most of them do.',
    `Before and after each run the members were asked what they hold: every put that was counted is there, on all three.`,
    `The ideal of one outstanding put is taken from this run: a round trip of the loopback is ${trip.toFixed(0)} µs, a flush ${flush.toFixed(0)} µs.`,
    'Disk bytes and disk flushes are the disk’s own count, of everybody on it; flushes and bytes written to files are those of a member by strace.',
    ...(etcd === undefined ? ['etcd did not run: give --peer etcd to have it measured beside.'] : []),
    ...rounds.notes,
  ]
}
