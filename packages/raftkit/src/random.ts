import type { Index } from '@raftkit/contract'

/**
 * A series in [0, 1) that depends on nothing but `seed` (32 bits) and `index`: sfc32 (Chris Doty-Humphrey's small fast counter), 53 bits per number.
 */
export function seededRandom(seed: number, index: Index): () => number {
  let a = seed | 0
  let b = index | 0
  let c = Math.floor(index / 0x1_0000_0000) | 0
  let counter = 1
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  // As many rounds as its author takes until every bit of the seed has reached every bit of the state.
  for (let round = 0; round < 12; round++) next()
  return () => ((next() >>> 5) * 0x400_0000 + (next() >>> 6)) / 0x20_0000_0000_0000
}
