import { type Digest, type Entry, headerHash, type Place } from '@raftkit/bft'

/** Every entry that anybody ever sent or wrote, by hash: what stands on what. */
export class Chain {
  readonly #digest: Digest
  readonly #genesis: string
  readonly #entries: Map<string, Entry> = new Map()

  /** `genesis`: of the founding, which is no entry that anybody sends. */
  constructor(digest: Digest, genesis: string) {
    this.#digest = digest
    this.#genesis = genesis
  }

  learn(entry: Entry): string {
    const hash = headerHash(this.#digest, entry.header)
    if (!this.#entries.has(hash)) this.#entries.set(hash, entry)
    return hash
  }

  get(hash: string): Entry | undefined {
    return this.#entries.get(hash)
  }

  extends(older: string, newer: string): boolean {
    if (older === newer || older === this.#genesis) return true
    const least = this.#entries.get(older)?.header.index ?? Number.POSITIVE_INFINITY
    for (let at = this.#entries.get(newer); at && at.header.index > least; at = this.#entries.get(at.header.parent))
      if (at.header.parent === older) return true
    return false
  }

  isOne(a: Place, b: Place): boolean {
    return a.index <= b.index ? this.extends(a.hash, b.hash) : this.extends(b.hash, a.hash)
  }

  /** A configuration between them, the upper one itself left out. */
  configurationBelow(hash: string, above: number): Entry | undefined {
    let at = this.#entries.get(hash)
    for (at = at && this.#entries.get(at.header.parent); at && at.header.index > above; )
      if (at.header.kind === 'config') return at
      else at = this.#entries.get(at.header.parent)
    return undefined
  }
}
