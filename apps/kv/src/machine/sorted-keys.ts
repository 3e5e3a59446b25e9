/** Blocks stay this small so that an insertion moves few keys, and this large so that few blocks are searched. */
const maxBlock = 512

/**
 * Keys in order of their UTF-16 code units, in blocks that are split when full.
 * Insertion and removal touch one block; a walk from any key costs a search and then one step per key.
 */
export class SortedKeys {
  #blocks: string[][] = []

  constructor(keys: Iterable<string> = []) {
    const sorted = [...keys].sort((a, b) => (a < b ? -1 : 1))
    for (let at = 0; at < sorted.length; at += maxBlock / 2) this.#blocks.push(sorted.slice(at, at + maxBlock / 2))
  }

  /** The key must not be there yet. */
  add(key: string): void {
    const at = Math.min(this.#block(key), this.#blocks.length - 1)
    const block = this.#blocks[at]
    if (block === undefined) {
      this.#blocks.push([key])
      return
    }
    block.splice(lowerBound(block, key), 0, key)
    if (block.length > maxBlock) this.#blocks.splice(at + 1, 0, block.splice(maxBlock / 2))
  }

  remove(key: string): void {
    const at = this.#block(key)
    const block = this.#blocks[at]
    if (block === undefined) return
    const place = lowerBound(block, key)
    if (block[place] !== key) return
    block.splice(place, 1)
    if (block.length === 0) this.#blocks.splice(at, 1)
  }

  /** Every key that is not before `from`, in order. */
  *walk(from: string): Generator<string> {
    for (let at = this.#block(from); at < this.#blocks.length; at++) {
      const block = this.#blocks[at]!
      for (let place = lowerBound(block, from); place < block.length; place++) yield block[place]!
    }
  }

  /** The first block whose last key is not before `key`: where it is, or belongs. */
  #block(key: string): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#blocks[middle]!.at(-1)! < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

function lowerBound(block: readonly string[], key: string): number {
  let low = 0
  let high = block.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (block[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}
