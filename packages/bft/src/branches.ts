import type { Index } from '@raftkit/contract'
import { bytesOf, type Entry, headerHash } from './entry.ts'
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
  #nodes: Map<Hash, Node>
  #root: Node
  /** Known to lie before the root: all that is here descends from them, too. */
  #buried: ReadonlySet<Hash>
  /** What is committed of them: one chain, so that of two the lower is behind the higher, however far it is from one to the other. */
  #trunk: Set<Hash>

  constructor(digest: Digest, root: Entry, buried: readonly Hash[] = []) {
    this.#digest = digest
    const hash = headerHash(digest, root.header)
    this.#root = { hash, entry: root, isValid: true }
    this.#nodes = new Map([[hash, this.#root]])
    this.#buried = new Set(buried)
    this.#trunk = new Set([hash])
  }

  fork(): Branches {
    const copy = new Branches(this.#digest, this.#root.entry)
    copy.#nodes = new Map(this.#nodes)
    copy.#buried = this.#buried
    copy.#trunk = new Set(this.#trunk)
    return copy
  }

  /** The oldest that is kept. */
  get root(): Node {
    return this.#root
  }

  get buried(): readonly Hash[] {
    return [...this.#buried]
  }

  isBuried(hash: Hash | undefined): boolean {
    return hash !== undefined && this.#buried.has(hash)
  }

  /** Only what descends from `hash` stays; of what lies before it, those of `named` are remembered as such. */
  prune(hash: Hash, named: readonly (Hash | undefined)[]): void {
    const root = this.#nodes.get(hash)!
    const buried = named.filter((one): one is Hash => one !== undefined && one !== hash && this.holds(one, hash))
    const kept = new Map([[hash, root]])
    // Parents come before their children.
    for (const [key, node] of this.#nodes) if (kept.has(node.entry.header.parent)) kept.set(key, node)
    this.#nodes = kept
    for (const one of this.#trunk) if (!kept.has(one)) this.#trunk.delete(one)
    this.#root = root
    this.#buried = new Set(buried)
  }

  *[Symbol.iterator](): Generator<Hash> {
    yield* this.#nodes.keys()
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

  /** It was committed, the one before it too. */
  commit(hash: Hash): void {
    this.#trunk.add(hash)
  }

  holds(older: Hash, newer: Hash): boolean {
    if (older === newer) return true
    const to = this.#nodes.get(older)?.entry.header.index
    if (to === undefined) return this.#buried.has(older) && this.#nodes.has(newer)
    const isCommitted = this.#trunk.has(older)
    let node = this.#nodes.get(newer)
    for (; node && node.entry.header.index > to; node = this.#nodes.get(node.entry.header.parent))
      if (isCommitted && this.#trunk.has(node.hash)) return true
    return node?.hash === older
  }

  /** From `hash` down to what is not above `above`: no more bytes than `most`, but one entry at least. */
  down(hash: Hash, above: Index, most: number): Entry[] {
    const entries: Entry[] = []
    let bytes = 0
    for (let node = this.#nodes.get(hash); node; node = this.#nodes.get(node.entry.header.parent)) {
      bytes += bytesOf(node.entry)
      if (node.entry.header.index <= above || (bytes > most && entries.length > 0)) break
      entries.push(node.entry)
    }
    return entries
  }
}
