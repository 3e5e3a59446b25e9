import { row } from '../harness/pairs.ts'
import type { Part, Subject } from '../harness/part.ts'
import { memory, type Work } from './memory.ts'

export const calibrate: Part = {
  name: 'calibrate',
  answers: 'what can this machine do: flushes, round trips, copies, checksums, hand-offs between threads?',
  seconds: 1,
  cases: { memory },
  async run(bench) {
    const works: readonly Work[] = ['copy', 'checksum', 'checksum of zlib']
    const subjects = works.flatMap((kind): Subject[] =>
      [256, 65_536].map((size) => ({ key: { work: kind, bytes: size }, case: 'memory', input: { kind, size } })),
    )
    const found = await bench.interleave(subjects)
    return {
      tables: [
        {
          name: 'memory',
          title: 'Memory and processor',
          columns: [
            { field: 'work', title: 'work' },
            { field: 'bytes', title: 'bytes at a time' },
            { field: 'gbPerSecond', title: 'GB/s' },
          ],
          rows: found.map(row),
        },
      ],
      figures: [],
    }
  },
}
