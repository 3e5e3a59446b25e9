import type { Index } from '@raftkit/contract'

/** Results of what was applied last, for clients that ask again: bounded in number and bytes, and gone with the process. */
export class Answers {
  readonly #most: number
  readonly #mostBytes: number
  readonly #results = new Map<Index, Uint8Array>()
  /** Goes on where it stopped: a new one would first pass over all that was deleted. */
  readonly #oldest = this.#results.entries()
  #bytes = 0

  constructor(most: number = 65_536, mostBytes: number = 16 * 1024 * 1024) {
    this.#most = most
    this.#mostBytes = mostBytes
  }

  get(index: Index): Uint8Array | undefined {
    return this.#results.get(index)
  }

  add(index: Index, result: Uint8Array): void {
    this.#results.set(index, result)
    this.#bytes += result.length
    while (this.#results.size > this.#most || this.#bytes > this.#mostBytes) {
      const [oldest, { length }] = this.#oldest.next().value!
      this.#results.delete(oldest)
      this.#bytes -= length
    }
  }
}
