import type { Outgoing } from '@raftkit/contract'

/**
 * Messages of one replica that wait for their write: nothing leaves before the state it implies is durable.
 * One watermark decides: the last write known to be durable, and all before it.
 */
export class Outbox<Message> {
  /** While a disk hangs, what waits is bounded; the oldest is given up first, as a network might lose it. */
  readonly #bound: number
  #durable = 0
  #waiting: Outgoing<Message>[] = []

  constructor(bound = 4096) {
    this.#bound = bound
  }

  get durable(): number {
    return this.#durable
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Raises the watermark; call `release` after it. */
  advance(write: number): void {
    if (write > this.#durable) this.#durable = write
  }

  /** What may leave now, in the order it was made: of what waited, and of what is new. Also how many were given up. */
  release(messages: readonly Outgoing<Message>[]): { ready: readonly Outgoing<Message>[]; dropped: number } {
    if (this.#waiting.length === 0 && messages.every(({ after }) => after <= this.#durable))
      return { ready: messages, dropped: 0 }
    const ready: Outgoing<Message>[] = []
    const waiting: Outgoing<Message>[] = []
    for (const message of this.#waiting) (message.after <= this.#durable ? ready : waiting).push(message)
    for (const message of messages) (message.after <= this.#durable ? ready : waiting).push(message)
    const dropped = Math.max(0, waiting.length - this.#bound)
    this.#waiting = dropped > 0 ? waiting.slice(dropped) : waiting
    return { ready, dropped }
  }

  clear(): void {
    this.#waiting = []
  }
}
