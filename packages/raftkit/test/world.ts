import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Environment } from '@raftkit/contract'

/** A clock that moves only when the test says so. Turns of the event loop are real, so that promises settle between them. */
export class World implements Environment {
  #now = 1000
  #wall = 1_700_000_000_000
  #random = 1
  #soon: (() => void)[] = []
  readonly #timers = new Set<{ readonly time: number; readonly run: () => void }>()

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#wall + this.#now
  }

  get timers(): number {
    return this.#timers.size
  }

  at(time: number, run: () => void): () => void {
    const timer = { time, run }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  soon(run: () => void): void {
    this.#soon.push(run)
  }

  random(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) {
      this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
      into[i] = this.#random >>> 24
    }
  }

  /** Runs one round of what was asked to run soon. */
  async turn(): Promise<void> {
    for (const run of this.#soon.splice(0)) run()
    await nextTurn()
  }

  /** Turns until nothing is left to do at this time. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      const due = [...this.#timers].filter(({ time }) => time <= this.#now)
      quiet = due.length + this.#soon.length === 0 ? quiet + 1 : 0
      for (const timer of due) if (this.#timers.delete(timer)) timer.run()
      await this.turn()
    }
  }

  /** Lets time pass, timer by timer. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    for (;;) {
      await this.settle()
      const next = Math.min(...[...this.#timers].map(({ time }) => time))
      if (next > end) break
      this.#now = Math.max(this.#now, next)
    }
    this.#now = end
    await this.settle()
  }

  /** The process stands still: time passes and nothing runs. */
  stall(milliseconds: number): void {
    this.#now += milliseconds
  }
}
