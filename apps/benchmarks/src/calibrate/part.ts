import { isInstalled } from '../harness/machine.ts'
import { row } from '../harness/pairs.ts'
import type { Part } from '../harness/part.ts'
import { fio, flush, type Way, writer } from './flush.ts'
import { echo, handOver, handOvers } from './hand-over.ts'
import { memory, type Work } from './memory.ts'
import { elsewhere, processor } from './processor.ts'

/** What all other results stand beside: no Raftkit in it, but for its checksum. */
export const calibrate: Part = {
  name: 'calibrate',
  answers: 'what can this machine do: flushes, round trips, copies, checksums, hand-overs between threads?',
  seconds: 2,
  cases: { writer, flush, fio, echo, handOver, memory, processor },
  async run(bench) {
    const withFio = isInstalled('fio')
    const flushes = await bench.interleave(
      [1, 3].flatMap((writers) => [
        ...(['overwrite', 'append', 'overwrite, callbacks'] satisfies Way[]).map((way) => ({
          key: { by: 'node', way, writers },
          case: 'flush',
          input: { way, writers },
        })),
        ...(withFio ? [{ key: { by: 'fio', way: 'overwrite', writers }, case: 'fio', input: { writers } }] : []),
      ]),
    )
    const seconds = bench.seconds / 2
    const hands = await bench.interleave(
      handOvers.map((way) => ({ key: { way }, case: 'handOver', input: { way }, seconds })),
    )
    const works: readonly Work[] = ['copy', 'checksum', 'checksum of zlib']
    const memories = await bench.interleave(
      works.flatMap((kind) =>
        [256, 65_536].map((size) => ({
          key: { work: kind, bytes: size },
          case: 'memory',
          input: { kind, size },
          seconds,
        })),
      ),
    )
    const deeds = await bench.interleave(
      Object.keys(elsewhere).map((deed) => ({ key: { deed }, case: 'processor', input: { deed }, seconds })),
    )
    return {
      tables: [
        {
          name: 'flushes',
          title: 'Flushes: a page of 4 KiB is written, then fdatasync. Writers are processes, each with its file',
          columns: [
            { field: 'by', title: 'by' },
            { field: 'way', title: 'way' },
            { field: 'writers', title: 'writers' },
            { field: 'perSecond', title: 'flushes/s, all writers' },
            { field: 'p50Us', title: 'p50 µs' },
            { field: 'p99Us', title: 'p99 µs' },
            { field: 'cpuUs', title: 'CPU-µs each' },
          ],
          rows: flushes.map(row),
        },
        {
          name: 'hand-overs',
          title: 'There and back, one at a time',
          columns: [
            { field: 'way', title: 'way' },
            { field: 'p50Us', title: 'p50 µs' },
            { field: 'p99Us', title: 'p99 µs' },
            { field: 'cpuUs', title: 'CPU-µs, this side' },
          ],
          rows: hands.map(row),
        },
        {
          name: 'memory',
          title: 'Memory and processor, one thread',
          columns: [
            { field: 'work', title: 'work' },
            { field: 'bytes', title: 'bytes at a time' },
            { field: 'gbPerSecond', title: 'GB/s' },
          ],
          rows: memories.map(row),
        },
        {
          name: 'processor',
          title: 'Processor time of native code, 256 B, beside the machine that figures from elsewhere were taken on',
          columns: [
            { field: 'deed', title: 'work' },
            { field: 'cpuUs', title: 'CPU-µs here' },
            { field: 'elsewhereUs', title: 'µs there' },
            { field: 'factor', title: 'here ÷ there' },
          ],
          rows: deeds.map(row),
        },
      ],
      figures: [],
      notes: withFio ? [] : ['fio is not installed, so its rows are missing.'],
    }
  },
}
