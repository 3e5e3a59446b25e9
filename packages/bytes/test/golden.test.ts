import { readFileSync } from 'node:fs'
import {
  crc32,
  decodeValue,
  encodeRecords,
  encodeValue,
  hash128,
  type LogRecord,
  Reader,
  readRecord,
  toHex,
  verifyRecord,
  Writer,
} from '@raftkit/bytes'
import { describe, expect, test } from 'vitest'
import { bytesOf, hexOf } from './refusal.ts'

// The vectors were computed by another implementation of the layout. A change here is a change of every disk and wire:
// it needs a new format number, not a new vector.
interface Golden {
  u16: [number, string][]
  u32: [number, string][]
  u64: [number, string][]
  f64: [string, string][]
  text: [string, string][]
  checksums: [hex: string, seed: number, checksum: number][]
  hashes: [hex: string, hash: string][]
  records: (Omit<LogRecord, 'payload'> & { payload: string; checksumSeed: number; bytes: string })[]
  values: Record<string, string>
}
const golden: Golden = JSON.parse(readFileSync(new URL('golden.json', import.meta.url), 'utf8'))

const values: Record<string, unknown> = {
  null: null,
  undefined: undefined,
  false: false,
  true: true,
  zero: 0,
  'minus zero': -0,
  'one and a half': 1.5,
  'the largest integer': 2 ** 53 - 1,
  'not a number': Number.NaN,
  'minus infinity': Number.NEGATIVE_INFINITY,
  'empty text': '',
  text: 'grün 𝄞',
  'bigint zero': 0n,
  'bigint 255': 255n,
  'bigint 256': 256n,
  'bigint minus 2^64': -(2n ** 64n),
  bytes: new Uint8Array([0, 127, 255]),
  'empty array': [],
  'nested array': [[1], undefined, null],
  'empty object': {},
  object: JSON.parse('{"b":1,"a":"x","7":7,"__proto__":null}'),
  map: new Map<unknown, unknown>([
    ['k', 1],
    [{}, new Set()],
  ]),
  set: new Set([3, 1, '1']),
}

describe('the layout never changes', () => {
  test.each(golden.u16)('u16 %d', (n, hex) => {
    expect(hexOf(new Writer().u16(n).finish())).toBe(hex)
    expect(new Reader(bytesOf(hex)).u16()).toBe(n)
  })
  test.each(golden.u32)('u32 %d', (n, hex) => {
    expect(hexOf(new Writer().u32(n).finish())).toBe(hex)
    expect(new Reader(bytesOf(hex)).u32()).toBe(n)
  })
  test.each(golden.u64)('u64 %d', (n, hex) => {
    expect(hexOf(new Writer().u64(n).finish())).toBe(hex)
    expect(new Reader(bytesOf(hex)).u64()).toBe(n)
  })
  test.each(golden.f64)('f64 %s', (n, hex) => {
    expect(hexOf(new Writer().f64(Number(n)).finish())).toBe(hex)
    expect(new Reader(bytesOf(hex)).f64()).toBe(Number(n))
  })
  test.each(golden.text)('text %j', (text, hex) => {
    expect(hexOf(new Writer().text(text).finish())).toBe(hex)
    expect(new Reader(bytesOf(hex)).text()).toBe(text)
  })
  test.each(golden.checksums)('checksum of %s after %d', (hex, seed, checksum) => {
    expect(crc32(bytesOf(hex), seed)).toBe(checksum)
  })
  test.each(golden.hashes)('hash of %s', (hex, hash) => {
    expect(toHex(hash128(bytesOf(hex)))).toBe(hash)
  })
  test.each(golden.records)('record $index of kind $kind', ({ payload, checksumSeed, bytes, ...fields }) => {
    const record = { ...fields, payload: bytesOf(payload) }
    expect(hexOf(encodeRecords([record], checksumSeed))).toBe(bytes)
    expect(verifyRecord(bytesOf(bytes), 0, checksumSeed, record.index)).toBe(bytes.length / 2)
    expect(readRecord(bytesOf(bytes), 0)).toEqual(record)
  })
  test('every value has a vector', () => {
    expect(Object.keys(values)).toEqual(Object.keys(golden.values))
  })
  test.each(Object.entries(golden.values))('value: %s', (name, hex) => {
    expect(hexOf(encodeValue(values[name]))).toBe(hex)
    expect(decodeValue(bytesOf(hex))).toStrictEqual(values[name])
  })
})
