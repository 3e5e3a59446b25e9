import { Reader, Writer } from '@raftkit/bytes'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOf, expectRefusal, hexOf } from './refusal.ts'

fc.configureGlobal({ seed: 20_260_101 })

/** Every field, in an order that leaves none aligned. */
function sample(writer = new Writer(1)): Uint8Array {
  return writer
    .u8(1)
    .u64(2 ** 40 + 3)
    .u16(4)
    .text('five ü')
    .u32(6)
    .f64(0.7)
    .bytes(new Uint8Array([8]))
    .finish()
}

function readSample(reader: Reader): unknown[] {
  const fields = [reader.u8(), reader.u64(), reader.u16(), reader.text(), reader.u32(), reader.f64(), reader.bytes()]
  reader.end()
  return fields
}

describe('what is written is read', () => {
  test('every field, one behind the other', () => {
    expect(readSample(new Reader(sample()))).toEqual([1, 2 ** 40 + 3, 4, 'five ü', 6, 0.7, new Uint8Array([8])])
  })

  test('any fields, in any order, from any capacity, in the middle of other bytes', () => {
    const field = fc.oneof(
      fc.record({ kind: fc.constant('u8' as const), value: fc.integer({ min: 0, max: 0xff }) }),
      fc.record({ kind: fc.constant('u16' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
      fc.record({ kind: fc.constant('u32' as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
      fc.record({ kind: fc.constant('u64' as const), value: fc.maxSafeNat() }),
      fc.record({ kind: fc.constant('f64' as const), value: fc.double() }),
      fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'grapheme', maxLength: 60 }) }),
      fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array() }),
    )
    fc.assert(
      fc.property(fc.array(field), fc.nat({ max: 300 }), fc.nat({ max: 9 }), (fields, capacity, margin) => {
        const writer = new Writer(capacity).raw(new Uint8Array(margin))
        for (const { kind, value } of fields) (writer[kind] as (value: unknown) => Writer).call(writer, value)
        const length = writer.length
        const bytes = writer.raw(new Uint8Array(margin)).finish()
        const reader = new Reader(bytes, margin, length)
        for (const { kind, value } of fields) expect(reader[kind]()).toEqual(value)
        expect(reader.remaining).toBe(0)
        reader.end()
      }),
    )
  })

  test('texts of every length agree with the platform, wherever the first character beyond ASCII stands', () => {
    const platform = new TextEncoder()
    for (let length = 0; length < 70; length++)
      for (let at = 0; at < length; at++)
        for (const odd of ['', 'ü', '€', '𝄞']) {
          const text = `${'a'.repeat(at)}${odd}${'b'.repeat(length - at)}`
          const bytes = new Writer(0).text(text).finish()
          if (hexOf(bytes.subarray(4)) !== hexOf(platform.encode(text))) expect.fail(`writes ${text}`)
          if (new Reader(bytes).text() !== text) expect.fail(`reads ${text}`)
        }
  })

  test('a text longer than any buffer inside, wherever a buffer ends', () => {
    for (const before of ['', 'x', 'xx', 'xxx']) {
      const text = `${before}${'a€𝄞'.repeat(20_000)}`
      expect(new Reader(new Writer().text(text).finish()).text()).toBe(text)
    }
  })

  test('-0 stays -0, and every NaN is the same', () => {
    expect(new Reader(new Writer().f64(-0).finish()).f64()).toBe(-0)
    const [odd] = new Float64Array(bytesOf('010000000000f0ff').buffer)
    expect(hexOf(new Writer().f64(odd!).finish())).toBe('000000000000f87f')
  })

  test('two writers at once do not share a byte, and one that is finished can go on', () => {
    const a = new Writer(10).u32(1)
    const b = new Writer(10).u32(2)
    const firstOfA = a.finish()
    const c = new Writer(10).u32(3)
    a.u32(4)
    b.u32(5)
    c.u32(6)
    expect([firstOfA, a.finish(), b.finish(), c.finish()].map(hexOf)).toEqual([
      '01000000',
      '0100000004000000',
      '0200000005000000',
      '0300000006000000',
    ])
  })

  test('a writer that goes on after it has finished touches nobody else', () => {
    const a = new Writer(10).u32(1)
    const first = a.finish()
    const b = new Writer(10).u32(2)
    a.u32(3)
    expect([first, a.finish(), b.finish()].map(hexOf)).toEqual(['01000000', '0100000003000000', '02000000'])
  })

  test('views, the rest and the position', () => {
    const bytes = bytesOf('0102030405')
    const reader = new Reader(bytes, 1)
    expect(reader.raw(2).buffer).toBe(bytes.buffer)
    expect([reader.position, reader.remaining]).toEqual([3, 2])
    expect(hexOf(reader.rest())).toBe('0405')
    reader.end()
  })
})

// Buffers slice to views, Uint8Arrays to copies: a replicated program would see the difference.
test('what is read from a Buffer is no Buffer', () => {
  const reader = new Reader(Buffer.from(new Writer().raw(new Uint8Array(2)).bytes(new Uint8Array(3)).u8(0).finish()))
  for (const view of [reader.raw(2), reader.bytes(), reader.rest()])
    expect(Object.getPrototypeOf(view)).toBe(Uint8Array.prototype)
})

describe('what is malformed is refused', () => {
  test('a cut at every byte', () => {
    const bytes = sample()
    for (let end = 0; end < bytes.length; end++) expectRefusal(() => readSample(new Reader(bytes, 0, end)), 'MALFORMED')
  })

  test('bytes that are left over', () => {
    expect(expectRefusal(() => new Reader(bytesOf('0000')).end(), 'MALFORMED')).toMatch(/2 bytes.*at byte 0/)
  })

  test('a length or a count far beyond the bytes, without allocating for it', () => {
    for (const hostile of ['ffffffff', '00000080', 'ffffff7f', '05000000']) {
      const bytes = bytesOf(`${hostile}00000000`)
      expectRefusal(() => new Reader(bytes).bytes(), 'MALFORMED')
      expectRefusal(() => new Reader(bytes).text(), 'MALFORMED')
      expectRefusal(() => new Reader(bytes).count(1), 'MALFORMED')
    }
    expect(new Reader(bytesOf('0200000000000000')).count(2)).toBe(2)
    expectRefusal(() => new Reader(bytesOf('0200000000000000')).count(3), 'MALFORMED')
  })

  test('a text whose last character goes on behind its end', () => {
    for (const hex of ['01000000c3a9', '02000000e282ac', '03000000f09d849e', '01000000f09d849e'])
      expectRefusal(() => new Reader(bytesOf(hex)).text(), 'MALFORMED')
  })

  test('more than the limit of the caller', () => {
    const bytes = new Writer().text('four').finish()
    expect(new Reader(bytes).text(4)).toBe('four')
    expectRefusal(() => new Reader(bytes).text(3), 'MALFORMED')
    expectRefusal(() => new Reader(bytes).bytes(3), 'MALFORMED')
  })

  test('a u64 beyond 2^53-1', () => {
    expect(new Reader(bytesOf('ffffffffffff1f00')).u64()).toBe(Number.MAX_SAFE_INTEGER)
    for (const hex of ['0000000000002000', '0100000000002000', 'ffffffffffffffff', '0000000000000080'])
      expectRefusal(() => new Reader(bytesOf(hex)).u64(), 'MALFORMED')
  })

  test('a NaN that is never written', () => {
    expectRefusal(() => new Reader(bytesOf('010000000000f87f')).f64(), 'MALFORMED')
    expectRefusal(() => new Reader(bytesOf('000000000000f8ff')).f64(), 'MALFORMED')
  })

  test('text that is not well-formed UTF-8: exactly what the strict decoder of the platform refuses', () => {
    const platform = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const accepted = (bytes: Uint8Array) => {
      try {
        return platform.decode(bytes)
      } catch {
        return undefined
      }
    }
    const interesting = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xf5]
    for (const ascii of ['', '61'.repeat(16)])
      for (const a of interesting)
        for (const b of interesting)
          for (const c of interesting)
            for (const d of interesting) {
              const content = bytesOf(ascii + hexOf(new Uint8Array([a, b, c, d])))
              const bytes = new Writer().bytes(content).finish()
              const expected = accepted(content)
              let read: string | undefined
              try {
                read = new Reader(bytes).text()
              } catch (error) {
                if (expected !== undefined) throw error
              }
              if (read !== expected) expect.fail(`${hexOf(content)} was read as ${read}`)
            }
  })
})

describe('what cannot be written is refused', () => {
  test('numbers that do not fit their field', () => {
    for (const n of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 256])
      expectRefusal(() => new Writer().u8(n), 'INVARIANT')
    expectRefusal(() => new Writer().u16(65_536), 'INVARIANT')
    expectRefusal(() => new Writer().u32(2 ** 32), 'INVARIANT')
    for (const n of [-1, 0.5, 2 ** 53, Number.NaN]) expectRefusal(() => new Writer().u64(n), 'INVARIANT')
  })

  test('half of a surrogate pair, wherever it stands; what was written before stays', () => {
    for (const text of [
      '\ud834',
      '\udd1e',
      'a\ud834b',
      'ü\ud834',
      '\udd1e\ud834',
      '\udd1e\udd1e',
      'x'.repeat(40).concat('\ud834\ud834'),
    ]) {
      const writer = new Writer(0).u8(7)
      expectRefusal(() => writer.text(text), 'INVALID_VALUE')
      expect(hexOf(writer.finish())).toBe('07')
    }
  })

  test('a reader outside its bytes', () => {
    expectRefusal(() => new Reader(new Uint8Array(4), 5), 'INVARIANT')
    expectRefusal(() => new Reader(new Uint8Array(4), 2, 1), 'INVARIANT')
    expectRefusal(() => new Reader(new Uint8Array(4), 0, 5), 'INVARIANT')
    expectRefusal(() => new Reader(new Uint8Array(4), 2).raw(-1), 'MALFORMED')
  })
})
