import { expect, test } from 'vitest'
import { merklePath, merkleRoot, provesItem } from '../src/index.ts'
import { sha256, zeros } from './keys.ts'

const item = (n: number): Uint8Array => new TextEncoder().encode(`item ${n}`)
const items = (count: number): Uint8Array[] => Array.from({ length: count }, (_, n) => item(n))

test('every item of every tree is proved at its own place and at no other, in no other tree', () => {
  for (let count = 1; count <= 20; count++) {
    const all = items(count)
    const root = merkleRoot(sha256, all)
    for (let at = 0; at < count; at++) {
      const path = merklePath(sha256, all, at)
      for (let claimed = 0; claimed < count; claimed++)
        expect(provesItem(sha256, root, item(at), claimed, count, path)).toBe(claimed === at)
      expect(provesItem(sha256, root, item(count), at, count, path)).toBe(false)
      expect(provesItem(sha256, root, item(at), at, count + 1, path)).toBe(false)
      expect(provesItem(sha256, root, item(at), at, count, [...path, zeros])).toBe(false)
      expect(provesItem(sha256, zeros, item(at), at, count, path)).toBe(false)
    }
  }
})

test('the root tells how many items there are, and their order', () => {
  const roots = Array.from({ length: 12 }, (_, count) => merkleRoot(sha256, items(count)))
  roots.push(merkleRoot(sha256, [item(1), item(0)]), merkleRoot(sha256, [item(0), item(1), item(1)]))
  expect(new Set(roots).size).toBe(roots.length)
})

test('a place outside the tree is proved by nothing', () => {
  const root = merkleRoot(sha256, [item(0)])
  for (const at of [-1, 1, Number.NaN]) expect(provesItem(sha256, root, item(0), at, 1, [])).toBe(false)
})
