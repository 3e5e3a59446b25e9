import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Sample } from './part.ts'
import { beginProfile } from './profile.ts'

export interface Timed {
  readonly operations: number
  readonly seconds: number
  /** Of the whole process, with its threads. */
  readonly cpuMicroseconds: number
}

/**
 * Calls `step` again and again, first for the warm-up, then for the measured time. `step` says how many operations it did.
 * `begin` runs between the two: reset there what was counted.
 */
export async function timed(
  span: { readonly seconds: number; readonly warmUp: number; readonly profile?: string | undefined },
  step: () => number | Promise<number>,
  begin: () => void = () => {},
): Promise<Timed> {
  await repeat(span.warmUp, step)
  const endProfile = span.profile === undefined ? undefined : await beginProfile(span.profile)
  begin()
  const cpu = process.cpuUsage()
  const started = performance.now()
  const operations = await repeat(span.seconds, step)
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await endProfile?.()
  return { operations, seconds, cpuMicroseconds: user + system }
}

async function repeat(seconds: number, step: () => number | Promise<number>): Promise<number> {
  const end = performance.now() + seconds * 1000
  let operations = 0
  do {
    // A synchronous step is not made to wait a turn.
    const done = step()
    operations += typeof done === 'number' ? done : await done
  } while (performance.now() < end)
  return operations
}

/** The two numbers that every sample has. */
export function rates({ operations, seconds, cpuMicroseconds }: Timed): { perSecond: number; cpuUs: number } {
  return { perSecond: operations / seconds, cpuUs: cpuMicroseconds / operations }
}

/** Durations from one nanosecond to a minute, three digits of each. */
export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: 60_000_000_000, figures: 3 })

  record(milliseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(milliseconds * 1e6)))
  }

  reset(): void {
    this.#histogram.reset()
  }

  get count(): number {
    return this.#histogram.count
  }

  /** In microseconds. */
  percentiles(): Sample {
    const at = (percent: number) => this.#histogram.percentile(percent) / 1000
    return { p50Us: at(50), p90Us: at(90), p99Us: at(99), p999Us: at(99.9), maxUs: this.#histogram.max / 1000 }
  }
}
