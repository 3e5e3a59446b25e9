import {
  crc32,
  encodeRecords,
  type LogRecord,
  readRecord,
  recordEnd,
  recordHeaderBytes,
  recordIndex,
  recordKind,
  recordKindAt,
  recordLength,
  recordTerm,
  verifyRecord,
  writeRecord,
} from '@raftkit/bytes'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectRefusal } from './refusal.ts'

fc.configureGlobal({ seed: 20_260_101 })

const seed = 0x5eed
const command = (index: number, payload = 'abc'): LogRecord => ({
  kind: recordKind.command,
  index,
  term: 3,
  time: 1_700_000_000_000,
  seed: 0xcafe,
  payload: new TextEncoder().encode(payload),
})

/** As a newer version, or an author of damage, would write it: the checksum is right. */
function forged(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = encodeRecords([command(9)], seed)
  change(bytes)
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, crc32(bytes, seed, 8), true)
  return bytes
}

describe('a record', () => {
  test('is read as it was written, at any place, field by field', () => {
    const record = fc.record({
      kind: fc.constantFrom(0 as const, 1 as const, 2 as const),
      index: fc.maxSafeNat(),
      term: fc.maxSafeNat(),
      time: fc.maxSafeNat(),
      seed: fc.integer({ min: 0, max: 0xffff_ffff }),
      payload: fc.uint8Array({ maxLength: 200 }),
    })
    fc.assert(
      fc.property(record, fc.nat({ max: 20 }), fc.integer({ min: 0, max: 0xffff_ffff }), (record, offset, seed) => {
        const target = new Uint8Array(offset + recordLength(record.payload.length) + 5)
        const end = writeRecord(target, offset, record, seed)
        expect(end).toBe(target.length - 5)
        expect(verifyRecord(target, offset, seed, record.index)).toBe(end)
        expect(readRecord(target, offset)).toEqual(record)
        expect(recordKindAt(target, offset)).toBe(record.kind)
        expect(recordIndex(target, offset)).toBe(record.index)
        expect(recordTerm(target, offset)).toBe(record.term)
        expect(recordEnd(target, offset)).toBe(end)
      }),
    )
  })

  test('follows another without a gap', () => {
    const records = [command(5, ''), command(6, 'x'.repeat(1000)), { ...command(7), kind: recordKind.noop }]
    const bytes = encodeRecords(records, seed)
    const found: LogRecord[] = []
    for (let offset = 0, index = 5; offset < bytes.length; index++) {
      const end = verifyRecord(bytes, offset, seed, index)
      found.push(readRecord(bytes, offset))
      offset = end
    }
    expect(found).toEqual(records)
    expect(encodeRecords([], seed).length).toBe(0)
  })

  test('has a payload that is a view, not a copy', () => {
    const bytes = encodeRecords([command(1)], seed)
    expect(readRecord(bytes, 0).payload.buffer).toBe(bytes.buffer)
  })

  test('has a payload that is a Uint8Array and nothing else, whatever the disk gave', () => {
    const { payload } = readRecord(Buffer.from(encodeRecords([command(1)], seed)), 0)
    expect(payload).toEqual(command(1).payload)
    expect(Object.getPrototypeOf(payload)).toBe(Uint8Array.prototype)
  })
})

describe('a record is refused', () => {
  test('when it is cut, at every byte', () => {
    const bytes = encodeRecords([command(9)], seed)
    for (let length = 0; length < bytes.length; length++)
      expectRefusal(() => verifyRecord(bytes.subarray(0, length), 0, seed, 9), 'MALFORMED')
  })

  test('when any single bit of it is flipped', () => {
    const bytes = encodeRecords([command(9), command(10)], seed)
    for (let bit = 0; bit < 8 * recordLength(3); bit++) {
      const damaged = bytes.slice()
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      expectRefusal(() => verifyRecord(damaged, 0, seed, 9), 'MALFORMED')
    }
  })

  test('when up to 32 bits in a row are altered', () => {
    const bytes = encodeRecords([command(9)], seed)
    for (let at = 4; at + 4 <= bytes.length; at++) {
      const damaged = bytes.slice()
      damaged.fill(damaged[at] === 0 ? 255 : 0, at, at + 4)
      damaged[at] = ~bytes[at]!
      expectRefusal(() => verifyRecord(damaged, 0, seed, 9), 'MALFORMED')
    }
  })

  test('when its length is hostile', () => {
    for (const length of [0, 1, recordHeaderBytes - 1, recordLength(3) + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      const bytes = encodeRecords([command(9)], seed)
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, length, true)
      expectRefusal(() => verifyRecord(bytes, 0, seed, 9), 'MALFORMED')
    }
  })

  test('when it is a hole of zeros', () => {
    expectRefusal(() => verifyRecord(new Uint8Array(4096), 0, 0, 0), 'MALFORMED')
  })

  test('when it belongs to another cluster or group', () => {
    expectRefusal(() => verifyRecord(encodeRecords([command(9)], seed), 0, seed + 1, 9), 'MALFORMED')
  })

  test('when another one belongs there', () => {
    const message = expectRefusal(() => verifyRecord(encodeRecords([command(9)], seed), 0, seed, 8), 'MALFORMED')
    expect(message).toMatch(/record 9 stands where 8 belongs/)
  })

  test('when a number of it is beyond 2^53-1', () => {
    for (const at of [10, 18, 26])
      expectRefusal(
        () =>
          verifyRecord(
            forged((bytes) => bytes.fill(255, at, at + 8)),
            0,
            seed,
            9,
          ),
        'MALFORMED',
      )
  })

  test('as of an unknown format, not as damage, when it is intact', () => {
    expectRefusal(
      () =>
        verifyRecord(
          forged((bytes) => {
            bytes[8] = 2
          }),
          0,
          seed,
          9,
        ),
      'UNKNOWN_FORMAT',
    )
    expectRefusal(
      () =>
        verifyRecord(
          forged((bytes) => {
            bytes[8] = 0
          }),
          0,
          seed,
          9,
        ),
      'UNKNOWN_FORMAT',
    )
    expectRefusal(
      () =>
        verifyRecord(
          forged((bytes) => {
            bytes[9] = 3
          }),
          0,
          seed,
          9,
        ),
      'UNKNOWN_FORMAT',
    )
  })

  test('whatever the bytes are, with a typed error or not at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat({ max: 120 }), (bytes, offset) => {
        expectRefusal(() => verifyRecord(bytes, Math.min(offset, bytes.length), seed, 1), 'MALFORMED', 'UNKNOWN_FORMAT')
      }),
    )
  })
})

describe('a record is not written', () => {
  test('with a number that its field does not hold', () => {
    const target = new Uint8Array(100)
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
      for (const field of ['index', 'term', 'time', 'seed'])
        expectRefusal(() => writeRecord(target, 0, { ...command(1), [field]: wrong }, seed), 'INVARIANT')
      expectRefusal(() => writeRecord(target, 0, { ...command(1), kind: wrong as 1 }, seed), 'INVARIANT')
    }
    expectRefusal(() => writeRecord(target, 0, { ...command(1), kind: 3 as 1 }, seed), 'INVARIANT')
    expect(target.every((byte) => byte === 0)).toBe(true)
  })

  test('where there is no room', () => {
    expectRefusal(() => writeRecord(new Uint8Array(40), 0, command(1), seed), 'INVARIANT')
    expectRefusal(() => writeRecord(new Uint8Array(60), 20, command(1), seed), 'INVARIANT')
  })
})
