import type { Environment } from '@raftkit/contract'

export interface Due {
  /** By the environment's clock; `Infinity`: never. Does not change while it waits. */
  readonly deadline: number
  /** It has come. */
  expire(): void
}

/** Two looks at all that waits are so far apart at least, in milliseconds: when many deadlines come one by one, some come that much late. */
const pause = 10

/** One timer for all that waits: nearly every deadline is called off before it comes, and a timer for each would cost more than what it guards. */
export class Deadlines {
  readonly #environment: Environment
  readonly #waiting = new Set<Due>()
  /** Rings at the earliest deadline of all that wait, or before it. */
  #timer: { readonly at: number; cancel(): void } | undefined
  #rang = Number.NEGATIVE_INFINITY

  constructor(environment: Environment) {
    this.#environment = environment
  }

  add(due: Due): void {
    if (due.deadline === Number.POSITIVE_INFINITY) return
    this.#waiting.add(due)
    this.#arm(due.deadline)
  }

  /** It is called off; nothing happens if it does not wait. */
  delete(due: Due): void {
    if (!this.#waiting.delete(due) || this.#waiting.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(time: number): void {
    const at = Math.max(time, this.#rang + pause)
    if (this.#timer && this.#timer.at <= at) return
    this.#timer?.cancel()
    this.#timer = { at, cancel: this.#environment.at(at, () => this.#ring()) }
  }

  #ring(): void {
    this.#timer = undefined
    this.#rang = this.#environment.now()
    let next = Number.POSITIVE_INFINITY
    for (const due of this.#waiting) {
      if (due.deadline > this.#rang) next = Math.min(next, due.deadline)
      else if (this.#waiting.delete(due)) due.expire()
    }
    if (this.#waiting.size > 0) this.#arm(next)
  }
}
