import { Writer } from '@raftkit/bytes'
import { type Digest, type Hash, hashOf, rawHash } from './hash.ts'

/*
 * The tree over an entry's items (RFC 6962's shape): a left subtree is the largest full one. Leaves, nodes and the root are hashed under
 * different domains, so that no node passes for an item; the root covers the count, so that a place in the tree has one meaning.
 */

const leaf = (digest: Digest, item: Uint8Array): Hash => hashOf(digest, 'raftkit item 1', item)
const node = (digest: Digest, left: Hash, right: Hash): Hash =>
  hashOf(digest, 'raftkit node 1', new Writer(64).raw(rawHash(left)).raw(rawHash(right)).finish())

function crown(digest: Digest, count: number, top: Hash | undefined): Hash {
  const writer = new Writer(36).u32(count)
  return hashOf(digest, 'raftkit root 1', (top === undefined ? writer : writer.raw(rawHash(top))).finish())
}

export function merkleRoot(digest: Digest, items: readonly Uint8Array[]): Hash {
  const leaves = items.map((item) => leaf(digest, item))
  return crown(digest, items.length, leaves.length === 0 ? undefined : top(digest, leaves))
}

/** The hashes beside the way from item `at` up to the root, the lowest first. */
export function merklePath(digest: Digest, items: readonly Uint8Array[], at: number): Hash[] {
  const path: Hash[] = []
  let leaves = items.map((item) => leaf(digest, item))
  let place = at
  while (leaves.length > 1) {
    const split = leftSize(leaves.length)
    const isLeft = place < split
    path.unshift(top(digest, isLeft ? leaves.slice(split) : leaves.slice(0, split)))
    leaves = isLeft ? leaves.slice(0, split) : leaves.slice(split)
    if (!isLeft) place -= split
  }
  return path
}

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

function top(digest: Digest, leaves: readonly Hash[]): Hash {
  if (leaves.length === 1) return leaves[0]!
  const split = leftSize(leaves.length)
  return node(digest, top(digest, leaves.slice(0, split)), top(digest, leaves.slice(split)))
}

/** The largest power of two below `size`. */
function leftSize(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}
