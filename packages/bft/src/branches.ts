import type { Index } from '@raftkit/contract'
import { type Entry, headerHash } from './entry.ts'
import type { Digest, Hash } from './hash.ts'
import type { Tree } from './rules.ts'

/** An entry in the tree, with its hash and whether everything about it was checked (V): then it may be voted for. */
export interface Node {
  readonly hash: Hash
  readonly entry: Entry
  readonly isValid: boolean
}

/** All entries that are known and hang together: the log, and the branches of terms that came to nothing. Every parent is there but the root's. */
export class Branches implements Tree {
  readonly #digest: Digest
  readonly #nodes: Map<Hash, Node>

  constructor(digest: Digest, root: Entry | ReadonlyMap<Hash, Node>) {
    this.#digest = digest
    this.#nodes = new Map('header' in root ? [] : root)
    if ('header' in root) {
      const hash = headerHash(digest, root.header)
      this.#nodes.set(hash, { hash, entry: root, isValid: true })
    }
  }

  fork(): Branches {
    return new Branches(this.#digest, this.#nodes)
  }

  get(hash: Hash): Node | undefined {
    return this.#nodes.get(hash)
  }

  has(hash: Hash): boolean {
    return this.#nodes.has(hash)
  }

  hashOf(entry: Entry): Hash {
    return headerHash(this.#digest, entry.header)
  }

  /** Its parent must be there. */
  add(entry: Entry): Node {
    const hash = this.hashOf(entry)
    const known = this.#nodes.get(hash)
    if (known) return known
    const node = { hash, entry, isValid: false }
    this.#nodes.set(hash, node)
    return node
  }

  /** It and all before it: checked here, or vouched for by a certificate, whose honest signers checked it. */
  validate(hash: Hash): void {
    for (let node = this.#nodes.get(hash); node && !node.isValid; node = this.#nodes.get(node.entry.header.parent))
      this.#nodes.set(node.hash, { ...node, isValid: true })
  }

  /** Those behind `older` up to `newer`, in order; undefined: `newer` is on another branch. */
  between(older: Hash, newer: Hash): Node[] | undefined {
    const from = this.#nodes.get(older)
    const nodes: Node[] = []
    for (let node = this.#nodes.get(newer); from && node; node = this.#nodes.get(node.entry.header.parent)) {
      if (node.hash === older) return nodes.reverse()
      if (node.entry.header.index <= from.entry.header.index) return undefined
      nodes.push(node)
    }
    return undefined
  }

  holds(older: Hash, newer: Hash): boolean {
    return older === newer || this.between(older, newer) !== undefined
  }

  /** From `hash` down to what is not above `above`, at most `most`. */
  down(hash: Hash, above: Index, most: number): Entry[] {
    const entries: Entry[] = []
    for (let node = this.#nodes.get(hash); node && entries.length < most; ) {
      if (node.entry.header.index <= above) break
      entries.push(node.entry)
      node = this.#nodes.get(node.entry.header.parent)
    }
    return entries
  }
}
