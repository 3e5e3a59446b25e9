import { getHeapStatistics } from 'node:v8'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { median } from '../harness/statistics.ts'
import { type Carriage, LockStep } from './lock-step.ts'

export interface Input {
  readonly batch: number
  /** Bytes of each payload. */
  readonly size: number
  readonly carriage: Carriage
}

interface Measure {
  readonly entries: number
  readonly us: number
  /** Of all threads of the process, the collector's and the compiler's too. */
  readonly cpuUs: number
}

/** The measured time is cut into so many stretches; the middle one counts, so that one stop of the machine does not. */
const stretches = 7
/** Rounds before anything else: their digest is the same in every process. */
const prelude = 64

/** One case in this process. Throws if the three did not commit the same. */
export async function lockStep({ batch, size, carriage }: Input, context: CaseContext): Promise<Sample> {
  const payloads = makePayloads(size)
  const cluster = new LockStep(carriage)
  const rounds = (count: number): void => {
    for (let done = 0; done < count; done++) cluster.round(payloads, batch)
  }
  rounds(prelude)
  const { checksum } = agreed(cluster)
  /** What was committed is summed, and forgotten, often and off the clock: kept for long, it would cost the collector more than the cores do. */
  const perCheck = Math.ceil(256 / batch)
  const measure = (seconds: number): Measure => {
    const measured = { entries: 0, us: 0, cpuUs: 0 }
    // By processor time: on a busy machine, too, the compiler has seen enough of it.
    while (measured.cpuUs < seconds * 1e6) {
      const cpuBefore = process.cpuUsage()
      const before = performance.now()
      rounds(perCheck)
      measured.us += (performance.now() - before) * 1000
      const { user, system } = process.cpuUsage(cpuBefore)
      measured.cpuUs += user + system
      measured.entries += perCheck * batch
      agreed(cluster)
    }
    return measured
  }
  measure(context.warmUp)
  const sentBefore = cluster.messages
  const measured = Array.from({ length: stretches }, () => measure(context.seconds / stretches))
  const entries = sum(measured, ({ entries }) => entries)
  const messagesPerEntry = (cluster.messages - sentBefore) / entries
  const many = Math.ceil(64 / batch)
  const bytesPerEntry = allocated(() => rounds(many)) / (many * batch)
  agreed(cluster)
  return {
    usPerEntry: median(measured.map(({ us, entries }) => us / entries)),
    cpuUsPerEntry: sum(measured, ({ cpuUs }) => cpuUs) / entries,
    bytesPerEntry,
    messagesPerEntry,
    entries,
    digest: checksum,
  }
}

const sum = (measured: readonly Measure[], field: (each: Measure) => number): number =>
  measured.reduce((total, each) => total + field(each), 0)

/** What all three committed. */
function agreed(cluster: LockStep): { readonly commit: number; readonly checksum: number } {
  const [first, ...others] = cluster.digests()
  for (const { commit, checksum } of others)
    if (commit !== first!.commit || checksum !== first!.checksum)
      throw new Error(`three servers committed different things: ${JSON.stringify([first, ...others])}`)
  return first!
}

/** Bytes that one run allocates, in the heap and outside: the mean of many, those left out in which the collector ran. */
function allocated(run: () => void): number {
  let bytes = 0
  let counted = 0
  for (let tries = 0; tries < 50; tries++) {
    const before = getHeapStatistics()
    run()
    const after = getHeapStatistics()
    const heap = after.used_heap_size - before.used_heap_size
    const external = after.external_memory - before.external_memory
    if (heap < 0 || external < 0) continue
    bytes += heap + external
    counted++
  }
  return bytes / Math.max(1, counted)
}

/** Different ones, of random-looking bytes. */
function makePayloads(size: number): Uint8Array[] {
  let state = 0x9e3779b9
  return Array.from({ length: 256 }, () =>
    Uint8Array.from({ length: size }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state >>> 24
    }),
  )
}
