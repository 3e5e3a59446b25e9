/** A stream of numbers that a text decides (sfc32). */
export class Random {
  #a = 0x9e3779b9
  #b = 0x243f6a88
  #c = 0xb7e15162
  #count = 1

  constructor(seed: string) {
    for (let i = 0; i < seed.length; i++) {
      this.#a = Math.imul(this.#a ^ seed.charCodeAt(i), 0x85ebca6b)
      this.#b ^= (this.#a >>> 13) | (this.#a << 19)
    }
    for (let i = 0; i < 12; i++) this.u32()
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#count++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  /** An integer from 0 to below `n`. */
  below(n: number): number {
    return n <= 1 ? 0 : this.u32() % n
  }

  chance(share: number): boolean {
    return this.u32() < share * 0x1_0000_0000
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) bytes[i] = this.u32()
    return bytes
  }
}
