import type { Index } from '@raftkit/contract'

/** A write that was handed out and is not known to be durable. */
interface Flight {
  readonly id: number
  readonly since: number
  /** The last index it makes durable, as far as no later change has cut it off. Undefined: it carries no records. */
  last: Index | undefined
}

/**
 * What the disk is known to hold. A durable write counts only for what it still says (design rule 2): a change that cuts the log
 * lowers what every earlier write stands for, so that the late completion of a truncated suffix acknowledges nothing.
 */
export class Writes {
  /** Id of the last write handed out. */
  issued = 0
  /** That write and all before it are durable. */
  durable = 0
  /** The log is durable up to here. */
  durableIndex: Index = 0
  /** The last write that carries a promise: term, vote, identity. Nothing leaves before it is durable. */
  promise = 0
  #flights: Flight[] = []

  issue(last: Index | undefined, now: number): number {
    this.#flights.push({ id: ++this.issued, since: now, last })
    return this.issued
  }

  complete(id: number): void {
    if (id <= this.durable) return
    this.durable = id
    while (this.#flights.length > 0 && this.#flights[0]!.id <= id) {
      const { last } = this.#flights.shift()!
      if (last !== undefined && last > this.durableIndex) this.durableIndex = last
    }
  }

  /** From `at` on, the log no longer says what the writes so far said. */
  cut(at: Index): void {
    this.durableIndex = Math.min(this.durableIndex, at - 1)
    for (const flight of this.#flights) {
      if (flight.last !== undefined) flight.last = Math.min(flight.last, at - 1)
    }
  }

  /** The next write will carry a promise. */
  promised(): void {
    this.promise = this.issued + 1
  }

  get isPromiseDurable(): boolean {
    return this.durable >= this.promise
  }

  /** When the oldest write that is still pending was handed out. */
  get oldest(): number | undefined {
    return this.#flights[0]?.since
  }

  get pending(): readonly Readonly<Flight>[] {
    return this.#flights
  }

  fork(): Writes {
    const copy = new Writes()
    copy.issued = this.issued
    copy.durable = this.durable
    copy.durableIndex = this.durableIndex
    copy.promise = this.promise
    copy.#flights = this.#flights.map((flight) => ({ ...flight }))
    return copy
  }
}
