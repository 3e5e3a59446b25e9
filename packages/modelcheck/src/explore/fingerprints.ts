/**
 * The states seen, as 64-bit fingerprints, each with where it was first reached from: an open-addressing table of typed arrays, about 20 bytes a
 * state. The chance that two of N states are taken for one is about N² / 2⁶⁵: 7 in 100,000 for 50 million.
 */
export class Fingerprints {
  #high: Int32Array
  #low: Int32Array
  /** Slot of the predecessor; -1: the initial state. */
  #parent: Int32Array
  #mask: number
  #limit: number
  size = 0

  constructor(capacityBits = 16) {
    const capacity = 1 << capacityBits
    this.#high = new Int32Array(capacity)
    this.#low = new Int32Array(capacity)
    this.#parent = new Int32Array(capacity)
    this.#mask = capacity - 1
    this.#limit = Math.floor(capacity * 0.7)
  }

  /** True: it was not there. `parent`: a slot, or -1. Slots change when the table grows, which is never during `add` of a state known to be there. */
  add(high: number, low: number, parent: number): boolean {
    // An empty slot is two zeros.
    if ((high | low) === 0) low = 1
    const highs = this.#high
    const lows = this.#low
    for (let slot = start(high, low) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const there = highs[slot]!
      if (there === high && lows[slot]! === low) return false
      if ((there | lows[slot]!) === 0) {
        highs[slot] = high
        lows[slot] = low
        this.#parent[slot] = parent
        this.size++
        return true
      }
    }
  }

  slotOf(high: number, low: number): number {
    if ((high | low) === 0) low = 1
    for (let slot = start(high, low) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      if (this.#high[slot]! === high && this.#low[slot]! === low) return slot
      if ((this.#high[slot]! | this.#low[slot]!) === 0) return -1
    }
  }

  /** Room for `more` states, so that slots keep their places while they are added. */
  reserve(more: number): void {
    while (this.size + more > this.#limit) this.#grow()
  }

  /** The fingerprints from the initial state to that of `slot`, both included. */
  path(slot: number): { readonly high: number; readonly low: number }[] {
    const path: { high: number; low: number }[] = []
    for (let at = slot; at >= 0; at = this.#parent[at]!) path.push({ high: this.#high[at]!, low: this.#low[at]! })
    return path.reverse()
  }

  #grow(): void {
    const { length } = this.#high
    const high = this.#high
    const low = this.#low
    const parent = this.#parent
    this.#high = new Int32Array(length * 2)
    this.#low = new Int32Array(length * 2)
    this.#parent = new Int32Array(length * 2)
    this.#mask = length * 2 - 1
    this.#limit = Math.floor(length * 2 * 0.7)
    const moved = new Int32Array(length)
    for (let old = 0; old < length; old++) {
      if ((high[old]! | low[old]!) === 0) continue
      let slot = start(high[old]!, low[old]!) & this.#mask
      while ((this.#high[slot]! | this.#low[slot]!) !== 0) slot = (slot + 1) & this.#mask
      this.#high[slot] = high[old]!
      this.#low[slot] = low[old]!
      moved[old] = slot
    }
    for (let old = 0; old < length; old++)
      if ((high[old]! | low[old]!) !== 0) this.#parent[moved[old]!] = parent[old]! < 0 ? -1 : moved[parent[old]!]!
  }
}

function start(high: number, low: number): number {
  const mixed = Math.imul(high ^ (high >>> 15), 0x2c1b3c6d) ^ Math.imul(low ^ (low >>> 13), 0x297a2d39)
  return mixed ^ (mixed >>> 16)
}
