import { Writer } from '@raftkit/bytes'
import { type Digest, type Hash, hashOf, rawHash } from './hash.ts'

/*
 * The tree over an entry's items (RFC 6962's shape): a left subtree is the largest full one. Leaves, nodes and the root are hashed under
 * different domains, so that no node passes for an item; the root covers the count, so that a place in the tree has one meaning.
 */

/** Of an item: what the tree is made of. */
export const leaf = (digest: Digest, item: Uint8Array): Hash => hashOf(digest, 'raftkit item 1', item)
const node = (digest: Digest, left: Hash, right: Hash): Hash =>
  hashOf(digest, 'raftkit node 1', new Writer(64).raw(rawHash(left)).raw(rawHash(right)).finish())

function crown(digest: Digest, count: number, top: Hash | undefined): Hash {
  const writer = new Writer(36).u32(count)
  return hashOf(digest, 'raftkit root 1', (top === undefined ? writer : writer.raw(rawHash(top))).finish())
}

/** The tree level by level, the leaves first. A hash without a neighbour goes up as it is: so left subtrees are the largest full ones. */
export class Merkle {
  readonly leaves: readonly Hash[]
  readonly root: Hash
  readonly #levels: (readonly Hash[])[]

  constructor(digest: Digest, leaves: readonly Hash[]) {
    this.leaves = leaves
    this.#levels = [leaves]
    for (let level = leaves; level.length > 1; this.#levels.push(level)) {
      const below = level
      level = Array.from({ length: Math.ceil(below.length / 2) }, (_, at) => {
        const [left, right] = [below[2 * at]!, below[2 * at + 1]]
        return right === undefined ? left : node(digest, left, right)
      })
    }
    this.root = crown(digest, leaves.length, this.#levels.at(-1)![0])
  }

  /** The hashes beside the way from leaf `at` up to the root, the lowest first. */
  path(at: number): Hash[] {
    return this.#levels.flatMap((level, height) => level[Math.floor(at / 2 ** height) ^ 1] ?? [])
  }
}

const overItems = (digest: Digest, items: readonly Uint8Array[]): Merkle =>
  new Merkle(
    digest,
    items.map((item) => leaf(digest, item)),
  )

export const merkleRoot = (digest: Digest, items: readonly Uint8Array[]): Hash => overItems(digest, items).root

/** The hashes beside the way from item `at` up to the root, the lowest first. */
export const merklePath = (digest: Digest, items: readonly Uint8Array[], at: number): Hash[] =>
  overItems(digest, items).path(at)

/** Whether `item` is number `at` of the `count` items under `root`. */
export function provesItem(
  digest: Digest,
  root: Hash,
  item: Uint8Array,
  at: number,
  count: number,
  path: readonly Hash[],
): boolean {
  if (!(at >= 0 && at < count)) return false
  const turns: boolean[] = []
  for (let place = at, size = count; size > 1; ) {
    const split = leftSize(size)
    const isLeft = place < split
    turns.unshift(isLeft)
    size = isLeft ? split : size - split
    if (!isLeft) place -= split
  }
  if (turns.length !== path.length) return false
  let hash = leaf(digest, item)
  for (const [i, isLeft] of turns.entries()) hash = isLeft ? node(digest, hash, path[i]!) : node(digest, path[i]!, hash)
  return crown(digest, count, hash) === root
}

/** The largest power of two below `size`. */
function leftSize(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}
