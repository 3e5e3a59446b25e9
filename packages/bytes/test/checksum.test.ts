import { crc32 as zlibCrc32 } from 'node:zlib'
import { crc32 } from '@raftkit/bytes'
import { expect, test } from 'vitest'

// Deterministic noise.
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = 0x9e3779b9
  for (let i = 0; i < length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + i
    bytes[i] = state >>> 11
  }
  return bytes
}

test('the check value of CRC-32 is the standard one', () => {
  expect(crc32(new Uint8Array([...'123456789'].map((c) => c.charCodeAt(0))))).toBe(0xcbf43926)
  expect(crc32(new Uint8Array(0))).toBe(0)
})

test('it equals the checksum of zlib, at every length and alignment', () => {
  const bytes = noise(300)
  for (let from = 0; from < 17; from++)
    for (let to = from; to <= bytes.length; to++)
      if (crc32(bytes, 0, from, to) !== zlibCrc32(bytes.subarray(from, to))) expect.fail(`from ${from} to ${to}`)
})

test('a seed continues a checksum, as in zlib', () => {
  const bytes = noise(100)
  for (let cut = 0; cut <= bytes.length; cut++)
    expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(zlibCrc32(bytes))
  expect(crc32(bytes, 0xffff_ffff)).toBe(zlibCrc32(bytes, 0xffff_ffff))
})
