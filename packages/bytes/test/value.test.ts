import { decodeValue, encodeRecords, encodeValue, hash128, readRecord, toHex, verifyRecord } from '@raftkit/bytes'
import { expect, test } from 'vitest'

test('smoke', () => {
  const value = {
    a: [1, -0, NaN, 'häß𝄞', 10n ** 40n, -5n, null, undefined, true],
    m: new Map<unknown, unknown>([[{ x: 1 }, new Set([1])]]),
    b: new Uint8Array([1, 2]),
  }
  expect(decodeValue(encodeValue(value))).toEqual(value)
  expect(() => encodeValue({ items: [1, 2, 3, { when: new Date() }] })).toThrow('at .items[3].when: a Date')
  const r = encodeRecords([{ kind: 1, index: 5, term: 2, time: 1e12, seed: 7, payload: new Uint8Array(20) }], 99)
  expect(verifyRecord(r, 0, 99, 5)).toBe(58)
  expect(readRecord(r, 0).time).toBe(1e12)
  expect(toHex(hash128(new TextEncoder().encode('The quick brown fox jumps over the lazy dog')))).toBe(
    'c383152f672ceeec6cf67b5d2c1de9e5',
  )
})
