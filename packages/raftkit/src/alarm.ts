import type { Environment } from '@raftkit/contract'

/** Two looks are so far apart at least, in milliseconds: when many deadlines come one by one, some are noticed that much late. */
const pause = 10

/**
 * One timer for all that waits somewhere: nearly every deadline is called off before it comes, and a timer for each would cost more
 * than what it guards. It rings at the earliest deadline of which it was told, or before it.
 */
export class Alarm {
  readonly #environment: Environment
  readonly #look: (now: number) => number
  #timer: { readonly at: number; cancel(): void } | undefined
  #rang = Number.NEGATIVE_INFINITY

  /** `look` ends all whose deadline has come by `now`, and returns the earliest of the others; `Infinity`: there is none. */
  constructor(environment: Environment, look: (now: number) => number) {
    this.#environment = environment
    this.#look = look
  }

  /** Something waits until `time`. */
  set(time: number): void {
    if (time === Number.POSITIVE_INFINITY || (this.#timer && this.#timer.at <= time)) return
    const at = Math.max(time, this.#rang + pause)
    if (this.#timer?.at === at) return
    this.#timer?.cancel()
    this.#timer = { at, cancel: this.#environment.at(at, () => this.#ring()) }
  }

  /** Nothing waits any more. */
  off(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #ring(): void {
    this.#timer = undefined
    this.#rang = this.#environment.now()
    this.set(this.#look(this.#rang))
  }
}
