import { canWatchFlushes } from '../harness/flushes.ts'
import { compare, row, type Series } from '../harness/pairs.ts'
import type { Bar, Chart, Figure, Part, Row } from '../harness/part.ts'
import { type Adapter, adapters } from './adapters.ts'
import { type Crowd, groups, proveGroups } from './groups.ts'
import { flushesOfGroups, proof } from './proof.ts'
import { fill, replay } from './replay.ts'
import { prove, write } from './write.ts'
import { adapterKinds, type Kind, rawKinds } from './writers.ts'

const durable = (Object.keys(adapters) as Adapter[]).filter((adapter) => adapter !== 'memory')
const kinds: readonly Kind[] = [...rawKinds, ...adapterKinds, 'storage-wal, new log']

export const storage: Part = {
  name: 'storage',
  answers: 'how many records a second does each storage make durable, beside a loop that only writes and flushes?',
  seconds: 2,
  flags: { batches: { type: 'string', what: 'records per write, with commas between; default 1,16,128,1024' } },
  cases: { write, prove, groups, proveGroups, fill, replay },
  async run(bench) {
    const batches = batchesOf(bench.flags.batches) ?? (bench.quick ? [1, 128] : [1, 16, 128, 1024])
    const proven = await proof(bench)
    const rows: Row[] = []
    const figures: Figure[] = []
    const found: Series[] = []
    for (const batch of batches) {
      const series = await bench.interleave(
        kinds.map((kind) => ({ key: { kind, batch }, case: 'write', input: { kind, batch } })),
      )
      found.push(...series)
      rows.push(...series.map(row))
      figures.push(...figuresOf(series, batch))
    }
    const crowds = await bench.interleave(
      durable.map((adapter) => {
        const input: Crowd = { adapter, groups: bench.quick ? 8 : 64 }
        return { key: { storage: adapter, groups: input.groups }, case: 'groups', input }
      }),
    )
    const crowdRows: Row[] = []
    for (const series of crowds) {
      const flushes = await flushesOfGroups(bench, series.key.storage as Adapter, series.key.groups as number)
      crowdRows.push({ ...row(series), ...(flushes !== undefined && { flushesPerRound: flushes }) })
    }
    const bytes = bench.quick ? 4_000_000 : 128_000_000
    const restarts = await bench.interleave(
      durable.map((adapter) => ({ key: { storage: adapter }, case: 'replay', input: { adapter, bytes } })),
    )
    return {
      tables: [
        {
          name: 'writes',
          title: 'Records of 256 B made durable, one write at a time, the next once it is durable',
          columns: [
            { field: 'batch', title: 'batch' },
            { field: 'kind', title: 'by' },
            { field: 'perSecond', title: 'records/s' },
            { field: 'p50Us', title: 'p50 µs' },
            { field: 'p99Us', title: 'p99 µs' },
            { field: 'cpuUs', title: 'CPU-µs per record' },
            { field: 'handedPerPayload', title: 'bytes written ÷ payload' },
            { field: 'toDiskPerPayload', title: 'bytes to disk ÷ payload' },
          ],
          rows,
        },
        ...(proven.length > 0
          ? [
              {
                name: 'flushes',
                title: 'Flushes, counted by strace in a run of their own: batches of 16',
                columns: [
                  { field: 'kind', title: 'by' },
                  { field: 'writes', title: 'writes' },
                  { field: 'flushes', title: 'flushes' },
                  { field: 'bytesPerPayload', title: 'bytes written ÷ payload' },
                ],
                rows: proven,
              },
            ]
          : []),
        {
          name: 'groups',
          title: 'Many groups at once, one record of 256 B each: what waits together shares a flush',
          columns: [
            { field: 'storage', title: 'storage' },
            { field: 'groups', title: 'groups' },
            { field: 'perSecond', title: 'records/s' },
            { field: 'cpuUs', title: 'CPU-µs per record' },
            ...(canWatchFlushes() ? [{ field: 'flushesPerRound', title: 'flushes per round of all groups' }] : []),
          ],
          rows: crowdRows,
        },
        {
          name: 'restart',
          title: 'Restart: the log is found and read from its first record to its last, file cache warm',
          columns: [
            { field: 'storage', title: 'storage' },
            { field: 'megabytes', title: 'MB' },
            { field: 'openMs', title: 'ms to open' },
            { field: 'readMbPerSecond', title: 'MB/s read' },
            { field: 'mbPerSecond', title: 'MB/s in all' },
            { field: 'cpuUs', title: 'CPU-µs per record' },
          ],
          rows: restarts.map(row),
        },
      ],
      figures: [...figures, ...restarts.map(restartFigure)],
      charts: [chart(found, batches)],
      notes: [
        'But for “new log”, the storages have been in use when the clock starts: 96 MiB were written to each and compacted as a server does, 32 MiB at a time with 16 MiB kept. ' +
          'The loops write files of 32 MiB, one after the other, and remove the older ones; “over zeros” writes over one file of that size.',
        'Bytes written: what was handed to the kernel. Bytes to disk: what the disk was sent meanwhile, by whoever: blocks of 4 KiB, and the journal.',
        'storage-memory keeps nothing over a restart: it shows what an adapter costs without a disk.',
        ...(proven.length > 0
          ? []
          : ['strace is not installed: that each write was flushed is not shown by this run.']),
      ],
    }
  },
}

/** The rows, as far as the storages are there. */
function figuresOf(series: readonly Series[], batch: number): Figure[] {
  const of = (kind: string) => series.find(({ key }) => key.kind === kind)
  const wal = of('storage-wal')
  if (!wal) return []
  const beside = (kind: Kind, bars: { must?: Bar; goal?: Bar } = {}): Figure => {
    const { value, low, high } = compare(wal, of(kind)!, 'perSecond')
    const measure = 'storage-wal, durable records/s'
    return { measure, at: `batch ${batch}`, beside: kind, value, low, high, unit: '×', ...bars }
  }
  const barred = batch === 16 ? {} : { must: { atLeast: 0.85 }, goal: { atLeast: 0.95 } }
  const overLevel = batch === 128 ? { must: { atLeast: 4 }, goal: { atLeast: 6 } } : {}
  return [
    beside('write + fdatasync', barred),
    beside('write + fdatasync, over zeros'),
    beside('write + fdatasync, over zeros, callbacks'),
    beside('storage-level', overLevel),
  ]
}

function restartFigure(series: Series): Figure {
  const { mbPerSecond } = row(series)
  const bars = series.key.storage === 'wal' ? { must: { atLeast: 150 }, goal: { atLeast: 400 } } : {}
  const at = `storage-${series.key.storage} alone`
  return { measure: 'restart: log replay', at, value: mbPerSecond as number, unit: 'MB/s', ...bars }
}

function chart(series: readonly Series[], batches: readonly number[]): Chart {
  const shown = kinds.filter((kind) => kind !== 'storage-memory')
  const at = (kind: Kind, batch: number) => {
    const found = series.find(({ key }) => key.kind === kind && key.batch === batch)
    return found ? (row(found).perSecond as number) : null
  }
  return {
    name: 'storage-writes',
    title: 'Durable records of 256 B, by records per write',
    unit: 'records/s',
    scale: 'log',
    groups: batches.map((batch) => `batch ${batch}`),
    series: shown.map((kind) => ({ name: kind, values: batches.map((batch) => at(kind, batch)) })),
  }
}

function batchesOf(text: string | boolean | undefined): number[] | undefined {
  if (typeof text !== 'string') return undefined
  const batches = text.split(',').map(Number)
  if (!batches.every((batch) => Number.isInteger(batch) && batch >= 1 && batch <= 65_536))
    throw new Error('--batches is whole numbers from 1 to 65536, with commas between')
  return batches
}
