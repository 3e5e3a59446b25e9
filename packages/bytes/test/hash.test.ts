import { fromHex, hash128, toHex } from '@raftkit/bytes'
import { expect, test } from 'vitest'
import { expectRefusal } from './refusal.ts'

test('a hash depends on every bit and on the length, not on where the bytes lie', () => {
  const bytes = new Uint8Array(70).map((_, i) => i * 37)
  const seen = new Set([toHex(hash128(bytes))])
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const other = bytes.slice()
    other[bit >> 3]! ^= 1 << (bit & 7)
    seen.add(toHex(hash128(other)))
  }
  for (let length = 0; length < bytes.length; length++) seen.add(toHex(hash128(new Uint8Array(length))))
  expect(seen.size).toBe(1 + 8 * bytes.length + bytes.length)

  const moved = new Uint8Array(100)
  moved.set(bytes, 13)
  expect(hash128(moved.subarray(13, 83))).toEqual(hash128(bytes))
})

test('one bit of the input changes about half of the hash', () => {
  let changed = 0
  const bytes = new Uint8Array(48)
  const before = hash128(bytes)
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const other = bytes.slice()
    other[bit >> 3]! ^= 1 << (bit & 7)
    hash128(other).forEach((byte, i) => {
      for (let difference = byte ^ before[i]!; difference > 0; difference &= difference - 1) changed++
    })
  }
  const average = changed / (8 * bytes.length)
  expect(average).toBeGreaterThan(60)
  expect(average).toBeLessThan(68)
})

test('hex goes both ways, in lower case only', () => {
  const bytes = new Uint8Array(256).map((_, i) => i)
  expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'))
  expect(fromHex(toHex(bytes))).toEqual(bytes)
  expect(fromHex('')).toEqual(new Uint8Array(0))
  for (const wrong of ['a', 'abc', 'AB', '0g', ' 0', '0x', 'üü', '\u{1d11e}'])
    expectRefusal(() => fromHex(wrong), 'MALFORMED')
})
