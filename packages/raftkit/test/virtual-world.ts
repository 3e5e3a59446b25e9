import type { Environment } from '@raftkit/contract'

/** Numbers in [0, 1) that a seed decides (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Due {
  readonly time: number
  readonly order: number
  readonly run: () => void
}

/** Virtual time: what is due runs in order of time, and all promises settle in between. */
export class VirtualWorld implements Environment {
  readonly random: (into: Uint8Array) => void
  readonly next: () => number
  #now = 0
  #count = 0
  #due: Due[] = []

  constructor(seed: number) {
    this.next = randomOf(seed)
    this.random = (into) => {
      for (let i = 0; i < into.length; i++) into[i] = Math.floor(this.next() * 256)
    }
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_700_000_000_000 + Math.floor(this.#now)
  }

  at(time: number, run: () => void): () => void {
    const item = { time: Math.max(time, this.#now), order: this.#count++, run }
    this.#due.push(item)
    return () => {
      const place = this.#due.indexOf(item)
      if (place >= 0) this.#due.splice(place, 1)
    }
  }

  soon(run: () => void): void {
    this.at(this.#now, run)
  }

  after(milliseconds: number, run: () => void): void {
    this.at(this.#now + milliseconds, run)
  }

  /** What still waits for its time. */
  get pending(): number {
    return this.#due.length
  }

  /** Until nothing is due any more, or until `time`. */
  async run(until: number = Number.POSITIVE_INFINITY): Promise<void> {
    for (;;) {
      await settled()
      let first: Due | undefined
      for (const item of this.#due)
        if (!first || item.time < first.time || (item.time === first.time && item.order < first.order)) first = item
      if (!first || first.time > until) break
      this.#due.splice(this.#due.indexOf(first), 1)
      this.#now = first.time
      first.run()
    }
    if (until !== Number.POSITIVE_INFINITY) this.#now = Math.max(this.#now, until)
  }
}

/** After all promises that can settle without the outside. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
