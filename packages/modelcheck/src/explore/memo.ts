/** From pairs of small numbers to a number: an open-addressing table of typed arrays. */
export class PairTable {
  #first: Int32Array = new Int32Array(1 << 12)
  #second: Int32Array = new Int32Array(1 << 12)
  #value: Int32Array = new Int32Array(1 << 12)
  #size = 0

  /** -1: not there. */
  get(first: number, second: number): number {
    const mask = this.#first.length - 1
    // Stored one higher: 0 is an empty slot.
    for (let slot = mix(first, second) & mask; ; slot = (slot + 1) & mask) {
      const there = this.#first[slot]!
      if (there === 0) return -1
      if (there === first + 1 && this.#second[slot]! === second) return this.#value[slot]!
    }
  }

  set(first: number, second: number, value: number): void {
    if (++this.#size > this.#first.length * 0.6) this.#grow()
    this.#put(first + 1, second, value)
  }

  #put(stored: number, second: number, value: number): void {
    const mask = this.#first.length - 1
    let slot = mix(stored - 1, second) & mask
    while (this.#first[slot]! !== 0) slot = (slot + 1) & mask
    this.#first[slot] = stored
    this.#second[slot] = second
    this.#value[slot] = value
  }

  #grow(): void {
    const first = this.#first
    const second = this.#second
    const value = this.#value
    this.#first = new Int32Array(first.length * 2)
    this.#second = new Int32Array(first.length * 2)
    this.#value = new Int32Array(first.length * 2)
    for (let slot = 0; slot < first.length; slot++)
      if (first[slot]! !== 0) this.#put(first[slot]!, second[slot]!, value[slot]!)
  }
}

function mix(first: number, second: number): number {
  const mixed = Math.imul(first, 0x9e3779b1) ^ Math.imul(second + 0x7f4a7c15, 0x85ebca6b)
  return mixed ^ (mixed >>> 15)
}

/** Lists of numbers, one behind the other. */
export class Pool {
  words: Int32Array = new Int32Array(1 << 14)
  #length = 0

  /** Returns where it begins. */
  add(...numbers: readonly number[]): number {
    const at = this.#length
    while (at + numbers.length > this.words.length) {
      const grown = new Int32Array(this.words.length * 2)
      grown.set(this.words)
      this.words = grown
    }
    this.words.set(numbers, at)
    this.#length = at + numbers.length
    return at
  }
}
