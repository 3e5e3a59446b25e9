import { elsewhere, processor } from '../calibrate/processor.ts'
import { row, type Series } from '../harness/pairs.ts'
import type { Chart, Figure, Part } from '../harness/part.ts'
import { median } from '../harness/statistics.ts'
import type { Carriage } from './lock-step.ts'
import { lockStep } from './lock-step-case.ts'

/** etcd-io/raft 3.4, three RawNodes in one thread, 256 B, the same lock step on the machine of `elsewhere`: µs per entry, by batch. */
const rival: Readonly<Record<number, number>> = { 1: 11.6, 16: 8.6, 128: 8.0, 1024: 3.5 }

export const core: Part = {
  name: 'core',
  answers: 'what does an entry cost three cores, from proposal to commit on all of them, without disk and network?',
  seconds: 1,
  cases: { lockStep, processor },
  async run(bench) {
    const batches = bench.quick ? [1, 128] : [1, 16, 128, 1024]
    const sizes = bench.quick ? [256] : [0, 128, 256, 1024]
    const carriages: readonly Carriage[] = ['wire', 'direct']
    const series = await bench.interleave(
      sizes.flatMap((size) =>
        batches.flatMap((batch) =>
          // Only the size that is set beside the rival's goes both ways.
          carriages
            .filter((carriage) => carriage === 'wire' || size === 256)
            .map((carriage) => ({
              key: { size, batch, carriage },
              case: 'lockStep',
              input: { size, batch, carriage },
            })),
        ),
      ),
    )
    const deeds = await bench.interleave(
      Object.keys(elsewhere).map((deed) => ({ key: { deed }, case: 'processor', input: { deed }, seconds: 0.5 })),
    )
    const slower = median(deeds.map(row).map(({ factor }) => factor as number))
    return {
      tables: [
        {
          name: 'lock-step',
          title: 'Three cores in one thread, in lock step: per entry committed by all three',
          columns: [
            { field: 'size', title: 'bytes' },
            { field: 'batch', title: 'batch' },
            { field: 'carriage', title: 'messages' },
            { field: 'usPerEntry', title: 'µs' },
            { field: 'cpuUsPerEntry', title: 'CPU-µs' },
            { field: 'bytesPerEntry', title: 'bytes allocated' },
            { field: 'messagesPerEntry', title: 'messages' },
          ],
          rows: series.map((each) => withDigest(each)),
        },
      ],
      figures: series.filter(({ key }) => key.size === 256 && key.carriage === 'wire').map(figure),
      charts: [chart(series, batches)],
      notes: [
        'wire: every message is encoded, copied end to end into the receiver’s memory and decoded there, so that each node has bytes of its own; heads and ' +
          'records as in the real runtime, without the frame around them. direct: messages are handed over as they are, which is what the figures of ' +
          'etcd-io/raft’s RawNode stand for. There, nothing is encoded or checksummed; here, records are, either way: each once, and verified by each follower.',
        'Writes are durable at once; 64 rounds before the warm-up give the digest, which must be the same in all processes.',
        `The bars are another machine’s figures, as they were measured there. This one takes ${slower.toPrecision(3)} times its processor time for signatures.`,
      ],
    }
  },
}

/** The digest of the first rounds depends on what was proposed, and on nothing else. */
function withDigest(series: Series): ReturnType<typeof row> {
  const digests = new Set(series.samples.map(({ digest }) => digest))
  if (digests.size !== 1) throw new Error(`processes committed different things: ${[...digests].join(', ')}`)
  return row(series)
}

function figure(series: Series): Figure {
  const batch = series.key.batch as number
  const must = rival[batch]!
  return {
    measure: 'core, µs per committed entry over all three nodes, 256 B',
    at: `batch ${batch}`,
    beside: 'etcd-io/raft 3.4, on a machine of its own',
    value: row(series).usPerEntry as number,
    unit: 'µs',
    must: { atMost: must },
    goal: { atMost: must / 2 },
  }
}

function chart(series: readonly Series[], batches: readonly number[]): Chart {
  const values = (carriage: Carriage): (number | null)[] =>
    batches.map((batch) => {
      const found = series.find(({ key }) => key.size === 256 && key.batch === batch && key.carriage === carriage)
      return found ? (row(found).usPerEntry as number) : null
    })
  return {
    name: 'core',
    title: 'An entry of 256 B, committed by three cores in one thread',
    unit: 'µs',
    scale: 'log',
    groups: batches.map((batch) => `batch ${batch}`),
    series: [
      { name: 'wire', values: values('wire') },
      { name: 'direct', values: values('direct') },
      { name: 'etcd-io/raft 3.4, elsewhere', values: batches.map((batch) => rival[batch] ?? null) },
    ],
  }
}
