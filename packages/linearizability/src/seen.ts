/**
 * The configurations that the search has been in. One is: the first return that is pending, the state, the calls
 * before that return that are pending (a bit set), and the unknown operations that are not used up (another one).
 *
 * One that has the same return, state and pending calls as another, but fewer unknown operations left, can do
 * nothing that the other could not: it counts as seen. Without this, every unknown write doubles the work.
 *
 * Open addressing in one array of 32-bit words: the memory is known, and no entry costs the collector anything.
 */
export class Seen {
  /** The configuration to ask for: return (> 0), state, then the words of the two bit sets. */
  readonly asked: Int32Array
  /** Words that were compared; the price of many sets of unknown operations. */
  probes = 0

  readonly #keyWords: number
  readonly #words: number
  readonly #capacityMax: number
  #capacity = 256
  #table: Int32Array
  #count = 0

  /** @param bytes what the table may take, at least 64 KiB */
  constructor(pendingWords: number, unknownWords: number, bytes: number) {
    this.#keyWords = 2 + pendingWords
    this.#words = this.#keyWords + unknownWords
    this.asked = new Int32Array(this.#words)
    this.#table = new Int32Array(this.#capacity * this.#words)
    // While it grows, the old table and the new one stand side by side.
    this.#capacityMax = Math.max(256, Math.floor(bytes / (6 * this.#words)))
  }

  /** True if `asked` was seen; otherwise it is from now on. 'full': there is no room for it. */
  has(): boolean | 'full' {
    const mask = this.#capacity - 1
    let entry = this.#hash(this.asked, 0) & mask
    for (; ; entry = (entry + 1) & mask) {
      const offset = entry * this.#words
      if (this.#table[offset] === 0) break
      this.probes++
      if (!this.#sameKey(offset)) continue
      if (this.#leavesNoLess(this.#table, offset, this.asked, 0)) return true
      if (this.#leavesNoLess(this.asked, 0, this.#table, offset)) {
        this.#table.set(this.asked, offset)
        return false
      }
    }
    this.#table.set(this.asked, entry * this.#words)
    this.#count++
    if (this.#count * 5 > this.#capacity * 3) {
      if (this.#capacity * 2 > this.#capacityMax) return 'full'
      this.#grow()
    }
    return false
  }

  #grow(): void {
    const old = this.#table
    this.#capacity *= 2
    this.#table = new Int32Array(this.#capacity * this.#words)
    const mask = this.#capacity - 1
    for (let offset = 0; offset < old.length; offset += this.#words) {
      if (old[offset] === 0) continue
      let entry = this.#hash(old, offset) & mask
      while (this.#table[entry * this.#words] !== 0) entry = (entry + 1) & mask
      for (let i = 0; i < this.#words; i++) this.#table[entry * this.#words + i] = old[offset + i]!
    }
  }

  #sameKey(offset: number): boolean {
    for (let i = 0; i < this.#keyWords; i++) if (this.#table[offset + i] !== this.asked[i]) return false
    return true
  }

  /** Whether the unknown operations that `a` has left are all that `b` has, or more. */
  #leavesNoLess(a: Int32Array, atA: number, b: Int32Array, atB: number): boolean {
    for (let i = this.#keyWords; i < this.#words; i++) if ((b[atB + i]! & ~a[atA + i]!) !== 0) return false
    return true
  }

  #hash(words: Int32Array, offset: number): number {
    let hash = 0x811c9dc5
    for (let i = 0; i < this.#keyWords; i++) {
      hash = Math.imul(hash ^ words[offset + i]!, 0x01000193)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash, 0x2c1b3c6d)
    return (hash ^ (hash >>> 13)) >>> 0
  }
}
