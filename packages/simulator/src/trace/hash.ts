/**
 * 64 bits that name a sequence of numbers, texts and truths, taken in one after the other. Only integer arithmetic of 32 bits, so every
 * platform agrees. It tells runs apart by accident, not by intent.
 */
export class RollingHash {
  #a = 0x243f6a88
  #b = 0x85a308d3

  /** A number of at most three decimals. */
  number(n: number): void {
    if (n >= 0 && n <= 0x7fff_ffff && (n | 0) === n) return this.#word(n)
    const thousandths = Math.round(n * 1000)
    this.#word(-1)
    this.#word(thousandths | 0)
    this.#word(Math.floor(thousandths / 0x1_0000_0000) | 0)
  }

  text(text: string): void {
    const { length } = text
    let a = length
    let b = 0x2545f491
    for (let at = 0; at < length; at++) {
      const unit = text.charCodeAt(at)
      a = Math.imul(a ^ unit, 0x01000193)
      b = Math.imul(b + unit, 0x9e3779b1)
    }
    this.#word(-2)
    this.#word(a)
    this.#word(b)
  }

  truth(value: boolean): void {
    this.#word(value ? -3 : -4)
  }

  absent(): void {
    this.#word(-5)
  }

  /** 16 hex digits. */
  toString(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
    return hex(finish(this.#a)) + hex(finish(this.#b))
  }

  #word(word: number): void {
    const a = Math.imul(this.#a ^ word, 0x9e3779b1)
    this.#a = a ^ (a >>> 15)
    const b = Math.imul(((this.#b << 13) | (this.#b >>> 19)) + word, 0x85ebca6b)
    this.#b = b ^ (b >>> 13)
  }
}

function finish(word: number): number {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
