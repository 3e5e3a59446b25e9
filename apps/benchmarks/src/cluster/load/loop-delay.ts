import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Sample } from '../../harness/part.ts'

const resolution = 10
const monitor = monitorEventLoopDelay({ resolution })

/** How late the event loop comes to what is due, in milliseconds. */
export function beginLoopDelay(): void {
  monitor.enable()
  monitor.reset()
}

export function endLoopDelay(): Sample {
  monitor.disable()
  // It records the time between two beats, and beats every `resolution`.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolution)
  const at = (percent: number) => late(monitor.percentile(percent))
  return monitor.max === 0
    ? { loopP99Ms: 0, loopP999Ms: 0, loopMaxMs: 0 }
    : { loopP99Ms: at(99), loopP999Ms: at(99.9), loopMaxMs: late(monitor.max) }
}
