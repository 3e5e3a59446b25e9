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
  const took = warmUp(context.warmUp, () => {
    rounds(1)
    agreed(cluster)
  })
  const perStretch = Math.max(1, Math.round(context.seconds / stretches / took))

  const times: number[] = []
  let cpu = 0
  const sentBefore = cluster.messages
  for (let stretch = 0; stretch < stretches; stretch++) {
    const cpuBefore = process.cpuUsage()
    const before = performance.now()
    rounds(perStretch)
    times.push(((performance.now() - before) * 1000) / (perStretch * batch))
    const { user, system } = process.cpuUsage(cpuBefore)
    cpu += user + system
    agreed(cluster)
  }
  const entries = stretches * perStretch * batch
  const messagesPerEntry = (cluster.messages - sentBefore) / entries
  const many = Math.ceil(256 / batch)
  const bytesPerEntry = allocated(() => rounds(many)) / (many * batch)
  agreed(cluster)
  return {
    usPerEntry: median(times),
    cpuUsPerEntry: cpu / entries,
    bytesPerEntry,
    messagesPerEntry,
    entries,
    digest: checksum,
  }
}

/** Seconds that one call takes, once it is warm. */
function warmUp(seconds: number, run: () => void): number {
  const end = performance.now() + seconds * 1000
  let begun = performance.now()
  let calls = 0
  for (let half = false; performance.now() < end; calls++) {
    run()
    if (half || end - performance.now() > seconds * 500) continue
    half = true
    begun = performance.now()
    calls = 0
  }
  return (performance.now() - begun) / 1000 / Math.max(1, calls)
}

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
  for (let tries = 0; tries < 200; tries++) {
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
