import { randomInt } from 'node:crypto'

/** Every system gets the same: keys of 8 bytes, values of text that all of them carry as it is. */
export const keyBytes = 8
export const defaultKeys = 100_000
export const valueBytes = 256

export const keyOf = (number: number): string => `k${String(number).padStart(keyBytes - 1, '0')}`

/** Uniform over `count` keys. Not for secrets: a fast generator (xorshift32), seeded once per process. */
export function randomKeys(count: number): () => number {
  let state = randomInt(1, 2 ** 31)
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % count
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Text that does not compress to nothing, in case a disk would try. */
export function randomValue(bytes: number): string {
  return Array.from({ length: bytes }, () => alphabet[randomInt(alphabet.length)]).join('')
}
