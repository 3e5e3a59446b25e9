/** Numbers that the seed decides: mulberry32. Each purpose has a stream of its own. */
export class Random {
  readonly seed: string
  #state: number

  constructor(seed: number | string) {
    this.seed = String(seed)
    // FNV-1a over the text.
    this.#state = 0x811c9dc5
    for (let at = 0; at < this.seed.length; at++)
      this.#state = Math.imul(this.#state ^ this.seed.charCodeAt(at), 0x01000193)
  }

  /** A stream that depends on the seed and the purpose alone, not on what was drawn before. */
  split(purpose: string): Random {
    return new Random(`${this.seed}/${purpose}`)
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** An integer of `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(among: readonly T[]): T {
    return among[Math.floor(this.next() * among.length)]!
  }

  shuffled<T>(items: readonly T[]): T[] {
    const order = [...items]
    for (let at = order.length - 1; at > 0; at--) {
      const other = this.between(0, at)
      ;[order[at], order[other]] = [order[other]!, order[at]!]
    }
    return order
  }
}
