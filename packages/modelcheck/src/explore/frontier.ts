const chunkWords = 1 << 18

/** States found and not yet looked at, first in, first out: words end to end in chunks of memory that are used again. */
export class Frontier {
  #chunks: Int32Array[] = [new Int32Array(chunkWords)]
  #free: Int32Array[] = []
  #readAt = 0
  #writeAt = 0
  size = 0

  push(state: Int32Array, length: number): void {
    let chunk = this.#chunks[this.#chunks.length - 1]!
    // A length of 0 says: go on in the next chunk.
    if (this.#writeAt + length + 2 > chunkWords) {
      chunk[this.#writeAt] = 0
      chunk = this.#free.pop() ?? new Int32Array(chunkWords)
      this.#chunks.push(chunk)
      this.#writeAt = 0
    }
    chunk[this.#writeAt++] = length
    for (let word = 0; word < length; word++) chunk[this.#writeAt + word] = state[word]!
    this.#writeAt += length
    this.size++
  }

  /** Copies the oldest into `state`; returns its length. */
  pop(state: Int32Array): number {
    if (this.#chunks[0]![this.#readAt] === 0) {
      const empty = this.#chunks.shift()!
      if (this.#free.length < 8) this.#free.push(empty)
      this.#readAt = 0
    }
    const chunk = this.#chunks[0]!
    const length = chunk[this.#readAt++]!
    for (let word = 0; word < length; word++) state[word] = chunk[this.#readAt + word]!
    this.#readAt += length
    this.size--
    return length
  }
}
