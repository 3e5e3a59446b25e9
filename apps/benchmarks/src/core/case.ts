import { getHeapStatistics } from 'node:v8'
import { type Carriage, LockStep } from './lock-step.ts'

export interface Case {
  readonly batch: number
  /** Bytes of each payload. */
  readonly size: number
  readonly carriage: Carriage
}

export interface CaseResult extends Case {
  readonly entries: number
  /** Median of the samples, by the clock. */
  readonly usPerEntry: number
  /** Of all threads of the process, the collector's and the compiler's too. */
  readonly cpuUsPerEntry: number
  readonly bytesPerEntry: number
  readonly messagesPerEntry: number
  readonly digest: string
}

const samples = 7

/** One case in this process: warmed up, then measured for about `seconds`. Throws if the three did not commit the same. */
export function runCase(which: Case, seconds: number): CaseResult {
  const { batch, size, carriage } = which
  const payloads = makePayloads(size)
  const cluster = new LockStep(carriage)
  const rounds = (count: number): void => {
    for (let done = 0; done < count; done++) cluster.round(payloads, batch)
  }
  const warmUp = performance.now() + seconds * 1000
  let perSample = 0
  for (; performance.now() < warmUp; perSample++) {
    rounds(1)
    if (perSample % 64 === 0) agreed(cluster)
  }
  perSample = Math.max(1, Math.round(perSample / samples))

  const times: number[] = []
  let cpu = 0
  const sentBefore = cluster.messages
  for (let sample = 0; sample < samples; sample++) {
    const cpuBefore = process.cpuUsage()
    const before = performance.now()
    rounds(perSample)
    times.push(((performance.now() - before) * 1000) / (perSample * batch))
    const { user, system } = process.cpuUsage(cpuBefore)
    cpu += user + system
    agreed(cluster)
  }
  const entries = samples * perSample * batch
  const messagesPerEntry = (cluster.messages - sentBefore) / entries
  const many = Math.ceil(256 / batch)
  const bytesPerEntry = allocated(() => rounds(many)) / (many * batch)
  return {
    ...which,
    entries,
    usPerEntry: times.sort((a, b) => a - b)[samples >> 1]!,
    cpuUsPerEntry: cpu / entries,
    bytesPerEntry,
    messagesPerEntry,
    digest: agreed(cluster),
  }
}

/** The one digest of all three. */
function agreed(cluster: LockStep): string {
  const [first, ...others] = cluster.digests()
  for (const other of others)
    if (other !== first) throw new Error(`three servers committed different things: ${[first, ...others].join(', ')}`)
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
