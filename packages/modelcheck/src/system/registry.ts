import { toHex } from '@raftkit/bytes'

/** Small numbers for values: equal when the values' digests are, under the identity. Keeps the first of equal values, and hash words of each. */
export class Registry<T> {
  readonly values: T[] = []
  words: Int32Array = new Int32Array(1 << 12)
  readonly #ids = new Map<string, number>()
  readonly #permutations: number

  constructor(permutations: number) {
    this.#permutations = permutations
  }

  /** The newest of equal values is kept, for a test that it makes no difference. */
  keepsNewest = false

  /** `digest`: 16 bytes for a permutation. */
  intern(value: T, digest: (permutation: number) => Uint8Array): { readonly id: number; readonly isNew: boolean } {
    const first = digest(0)
    const key = toHex(first)
    const known = this.#ids.get(key)
    if (known !== undefined) {
      if (this.keepsNewest) this.values[known] = value
      return { id: known, isNew: false }
    }
    const id = this.values.length
    this.#ids.set(key, id)
    this.values.push(value)
    const at = 2 * id * this.#permutations
    if (at + 2 * this.#permutations > this.words.length) {
      const grown = new Int32Array(this.words.length * 2)
      grown.set(this.words)
      this.words = grown
    }
    for (let permutation = 0; permutation < this.#permutations; permutation++) {
      const bytes = permutation === 0 ? first : digest(permutation)
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      this.words[at + 2 * permutation] = view.getInt32(0, true)
      this.words[at + 2 * permutation + 1] = view.getInt32(4, true)
    }
    return { id, isNew: true }
  }
}
