import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import type { Sample } from '../../harness/part.ts'
import { Latency } from '../../harness/timed.ts'

/** What is put under load. `issue` begins one operation; `finished`, set by whoever drives, is called once for each, by its slot. */
export interface Target {
  issue(slot: number): void
  finished: (slot: number, succeeded: boolean) => void
}

export interface Load {
  /** Closed loop: so many operations are always going on. Open loop: how many connections stand ready. */
  readonly outstanding: number
  /** Open loop: operations per second, begun by the clock, whatever became of those before. Absent: closed loop. */
  readonly rate?: number
  readonly warmUp: number
  readonly seconds: number
}

/** In an open loop no more than this are ever going on: a system that cannot follow would only be buried. */
const mostInFlight = 20_000
const patienceMs = 60_000
const mostInTurn = 4096

/**
 * Runs one load to its end. `begin` and `end` are called in the turn in which the measured window opens and closes.
 *
 * `done` and `perSecond` count what ended in the window. Latency counts from when an operation was sent; in an open loop from
 * when it was due, for each that was due in the window, however late it ended. `total` and `lost` count from the first operation
 * to the last: what must be found in the system afterwards. `overrun` is 1 if an open loop fell so far behind that it gave up.
 */
export async function drive(target: Target, load: Load, edges: { begin(): void; end(): void }): Promise<Sample> {
  const latency = new Latency()
  const started: number[] = []
  const free: number[] = []
  const open = load.rate !== undefined
  let [done, failed, total, lost, inFlight, overrun] = [0, 0, 0, 0, 0, 0]
  let from = Number.POSITIVE_INFINITY
  let to = Number.POSITIVE_INFINITY
  let stopping = false
  let drained = () => {}

  const issue = (slot: number, at: number): void => {
    started[slot] = at
    inFlight++
    target.issue(slot)
  }
  // What is answered within its own turn would otherwise keep the event loop from ever going on.
  let inTurn = 0
  let held: number[] = []
  const nextTurn = (): void => {
    const slots = held
    held = []
    inTurn = 0
    for (const slot of slots) again(slot)
  }
  const again = (slot: number): void => {
    if (stopping) return
    if (inTurn++ === 0) setImmediate(nextTurn)
    if (inTurn > mostInTurn) held.push(slot)
    else issue(slot, performance.now())
  }

  target.finished = (slot, succeeded) => {
    const now = performance.now()
    const began = started[slot]!
    const inside = now >= from && now < to
    inFlight--
    if (succeeded) total++
    else lost++
    if (inside && succeeded) done++
    if (inside && !succeeded) failed++
    if (succeeded && (open ? began >= from && began < to : inside)) latency.record(now - began)
    if (open) free.push(slot)
    // What fails at once must not be tried without end in one turn.
    else if (!succeeded) setTimeout(again, 10, slot)
    else again(slot)
    if (inFlight === 0) drained()
  }

  if (open) void pump(load.rate)
  else for (let slot = 0; slot < load.outstanding; slot++) issue(slot, performance.now())

  async function pump(rate: number): Promise<void> {
    const step = 1000 / rate
    const first = performance.now()
    for (let next = 0; !stopping; await pause(1)) {
      const now = performance.now()
      for (; first + next * step <= now; next++) {
        if (inFlight >= mostInFlight) {
          overrun = 1
          return
        }
        issue(free.pop() ?? started.length, first + next * step)
      }
    }
  }

  await pause(load.warmUp * 1000)
  edges.begin()
  from = performance.now()
  await pause(load.seconds * 1000)
  to = performance.now()
  edges.end()
  stopping = true
  if (inFlight > 0) {
    const given = new AbortController()
    const all = new Promise<void>((resolve) => {
      drained = resolve
    })
    const late = pause(patienceMs, true, { signal: given.signal }).catch(() => false)
    const isLate = await Promise.race([all.then(() => false), late])
    given.abort()
    if (isLate) throw new Error(`${inFlight} operations did not end within ${patienceMs / 1000} s`)
  }
  const seconds = (to - from) / 1000
  return { perSecond: done / seconds, done, failed, seconds, total, lost, overrun, ...latency.percentiles() }
}

/** Runs `count` operations and no more, `outstanding` at a time. Rejects if one fails. */
export function fill(target: Target, count: number, outstanding: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let issued = 0
    let ended = 0
    target.finished = (slot, succeeded) => {
      ended++
      if (!succeeded) reject(new Error('an operation failed while the system was being filled'))
      else if (issued < count) {
        issued++
        target.issue(slot)
      } else if (ended === count) resolve()
    }
    for (let slot = 0; slot < Math.min(count, outstanding); slot++) {
      issued++
      target.issue(slot)
    }
  })
}
