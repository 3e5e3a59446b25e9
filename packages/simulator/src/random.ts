/**
 * Numbers that a seed decides: sfc32, seeded by a hash of text. Integer arithmetic only, so every Node version draws the same.
 * Each purpose has a stream of its own (`split`), so that one more draw somewhere does not change everything elsewhere.
 */
export class Random {
  readonly seed: string
  #a: number
  #b: number
  #c: number
  #count = 1

  constructor(seed: number | string) {
    this.seed = String(seed)
    this.#a = hash32(this.seed, 0x811c9dc5)
    this.#b = hash32(this.seed, 0x01000193)
    this.#c = hash32(this.seed, 0x9e3779b9)
    for (let i = 0; i < 12; i++) this.bits()
  }

  /** A stream that depends on this one's seed and the purpose alone, not on what was drawn. */
  split(purpose: string): Random {
    return new Random(`${this.seed}/${purpose}`)
  }

  /** 32 bits, unsigned. */
  bits(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#count) | 0
    this.#count = (this.#count + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** At least 0, below 1. */
  next(): number {
    return this.bits() / 0x1_0000_0000
  }

  /** An integer, at least 0, below `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  /** At least `low`, below `high`. */
  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  /** Draws nothing for 0 and less, so that a fault that is off costs nothing. */
  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** A copy in another order. */
  shuffle<T>(items: readonly T[]): T[] {
    const copy = items.slice()
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const item = copy[i]!
      copy[i] = copy[j]!
      copy[j] = item
    }
    return copy
  }

  fill(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.bits() >>> 24
  }
}

/** FNV-1a with a last mix. */
function hash32(text: string, basis: number): number {
  let hash = basis | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
