import { isDeepStrictEqual } from 'node:util'
import { copyValue, decodeValue, encodeValue, Reader, readValue, Writer, writeValue } from '@raftkit/bytes'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOf, expectRefusal, hexOf } from './refusal.ts'

fc.configureGlobal({ seed: 20_260_101 })

const scalar = fc.oneof(
  fc.constantFrom(null, undefined, true, false, -0, Number.NaN, '__proto__', 'constructor'),
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  fc.string({ unit: 'grapheme' }),
  fc.uint8Array({ maxLength: 20 }),
)
const key = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom('__proto__', 'constructor', '0', '10', '9', '4294967295', '01'),
)
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map((entries) => plain(entries)),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => new Set(items)),
  ),
}))

function plain(entries: [string, unknown][]): object {
  const object = {}
  for (const [name, value] of entries)
    Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true })
  return object
}

describe('a value', () => {
  test('is decoded as it was encoded, order included, and encoded again to the same bytes', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = encodeValue(value)
        const decoded = decodeValue(bytes)
        expect(isDeepStrictEqual(decoded, value)).toBe(true)
        expect(hexOf(encodeValue(decoded))).toBe(hexOf(bytes))
      }),
      { numRuns: 500 },
    )
  })

  test('keeps the order of keys, and -0', () => {
    const value = { z: 1, a: 2, 3: 4, 1: 5 }
    expect(Object.keys(copyValue(value) as object)).toEqual(['1', '3', 'z', 'a'])
    expect([
      ...(
        copyValue(
          new Map([
            ['z', 1],
            ['a', 2],
          ]),
        ) as Map<string, number>
      ).keys(),
    ]).toEqual(['z', 'a'])
    expect(Object.is(copyValue(-0), -0)).toBe(true)
    expect(hexOf(encodeValue(0))).not.toBe(hexOf(encodeValue(-0)))
  })

  test('shares nothing with its copy, nor with the bytes it came from', () => {
    const value = { list: [1], bytes: new Uint8Array([1]), map: new Map([['a', { b: 1 }]]) }
    const copy = copyValue(value) as typeof value
    copy.list.push(2)
    copy.bytes[0] = 9
    copy.map.get('a')!.b = 2
    expect(value).toEqual({ list: [1], bytes: new Uint8Array([1]), map: new Map([['a', { b: 1 }]]) })

    const encoded = encodeValue(value)
    const decoded = decodeValue(encoded) as typeof value
    encoded.fill(255)
    expect(decoded).toEqual(value)
    expect(decoded.bytes.buffer.byteLength).toBe(1)
  })

  test('read from a Buffer is no view of it, and no Buffer', () => {
    const source = Buffer.from(encodeValue([Uint8Array.of(1, 2)]))
    const [decoded] = decodeValue(source) as [Uint8Array]
    source.fill(0)
    expect(decoded).toEqual(Uint8Array.of(1, 2))
    expect(Object.getPrototypeOf(decoded)).toBe(Uint8Array.prototype)
  })

  test('of a Buffer is its bytes, and of a null prototype a plain object', () => {
    const decoded = decodeValue(encodeValue({ a: Buffer.from('x'), b: Object.assign(Object.create(null), { c: 1 }) }))
    expect(decoded).toStrictEqual({ a: new Uint8Array([120]), b: { c: 1 } })
    expect(Object.getPrototypeOf((decoded as { b: object }).b)).toBe(Object.prototype)
  })

  test('may hold the same object twice; each becomes an object of its own', () => {
    const shared = { n: 1 }
    const [a, b] = copyValue([shared, shared]) as [object, object]
    expect(a).toEqual(b)
    expect(a).not.toBe(b)
  })

  test('stands behind and before other fields', () => {
    const writer = new Writer().u8(1)
    writeValue(writer, ['x'])
    const reader = new Reader(writer.u8(2).finish())
    expect([reader.u8(), readValue(reader), reader.u8()]).toEqual([1, ['x'], 2])
    reader.end()
  })

  test('may be 64 collections deep, and no more', () => {
    const nest = (depth: number): unknown => (depth === 0 ? 1 : [nest(depth - 1)])
    expect(copyValue(nest(64))).toEqual(nest(64))
    expectRefusal(() => encodeValue(nest(65)), 'INVALID_VALUE')
    const bytes = bytesOf(`${'0901000000'.repeat(65)}00`)
    expect(decodeValue(bytes.subarray(5))).toBeInstanceOf(Array)
    expectRefusal(() => decodeValue(bytes), 'MALFORMED')
    expectRefusal(() => decodeValue(bytesOf('0901000000'.repeat(100_000))), 'MALFORMED')
  })
})

describe('keys never touch a prototype', () => {
  test('__proto__, constructor and the like are data', () => {
    const value = JSON.parse('{"__proto__":{"admin":true},"constructor":1,"toString":2,"hasOwnProperty":3,"x":4}')
    const copy = copyValue(value) as Record<string, unknown>
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    expect(copy.admin).toBeUndefined()
    expect(Object.keys(copy)).toEqual(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'x'])
    expect(Object.getOwnPropertyDescriptor(copy, '__proto__')).toEqual({
      value: { admin: true },
      configurable: true,
      enumerable: true,
      writable: true,
    })
    expect(({} as Record<string, unknown>).admin).toBeUndefined()
  })
})

describe('what is not a value is refused, with its place', () => {
  class Point {
    x = 1
  }
  const loop: unknown[] = []
  loop.push({ loop })
  const sparse = [1, 2]
  sparse[3] = 4
  const cases: [string, unknown, RegExp][] = [
    ['a function', () => 1, /at the top: a function/],
    ['a symbol', [Symbol('s')], /at \[0\]: a symbol/],
    ['a Date', { items: [1, 2, 3, { when: new Date() }] }, /at \.items\[3\]\.when: a Date;/],
    ['an instance of a class', { 'my point': new Point() }, /at \["my point"\]: a Point/],
    ['a subclass of Map', new (class Index extends Map {})(), /an Index/],
    ['a promise', { a: Promise.resolve() }, /at \.a: a Promise/],
    ['an error', [new Error('x')], /at \[0\]: an Error/],
    ['another typed array', new Float32Array(1), /a Float32Array/],
    ['an ArrayBuffer', new ArrayBuffer(1), /an ArrayBuffer/],
    ['a boxed string', Object('x'), /a String/],
    ['an inherited object', Object.create({ a: 1 }), /an object with a prototype of its own/],
    ['a sparse array', { sparse }, /at \.sparse\[2\]: a hole/],
    ['an enormous sparse array', new Array(2 ** 32 - 1), /a hole/],
    ['an array with properties', [/a/.exec('a')], /at \[0\]: an array with named properties/],
    ['a Map with properties', Object.assign(new Map(), { a: 1 }), /named properties/],
    ['an object with a symbol key', { a: { [Symbol.iterator]: 1 } }, /at \.a: an object with a symbol/],
    [
      'an accessor',
      {
        a: {
          get b() {
            return 1
          },
        },
      },
      /at \.a\.b: an accessor/,
    ],
    ['a hidden property', Object.defineProperty({}, 'h', { value: 1 }), /at \.h: an accessor or a hidden/],
    ['a value that holds itself', loop, /levels deep, or a value that holds itself/],
    ['half of a surrogate pair', { a: ['\ud800'] }, /at \.a\[0\]: a text with half/],
    ['half of a surrogate pair in a key', { '\ud800': 1 }, /at \["\\ud800"\]: a text with half/],
    ['a key of a Map', new Map([[{ f: () => 1 }, 1]]), /at \.keys\(\)\[0\]\.f: a function/],
    [
      'a value of a Map',
      new Map<number, unknown>([
        [1, 1],
        [2, () => 1],
      ]),
      /at \.values\(\)\[1\]: a function/,
    ],
    ['an item of a Set', new Set([1, () => 1]), /at \.values\(\)\[1\]: a function/],
    ['an enormous bigint', [2n ** 524_288n], /at \[0\]: a bigint of 65537 bytes/],
    [
      'a proxy that throws',
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('trap')
          },
        },
      ),
      /cannot be read: Error: trap/,
    ],
    ['a proxy of a Map', new Proxy(new Map(), {}), /cannot be read: TypeError/],
  ]
  test.each(cases)('%s', (_, value, message) => {
    expect(expectRefusal(() => encodeValue(value), 'INVALID_VALUE')).toMatch(message)
    expectRefusal(() => copyValue(value), 'INVALID_VALUE')
  })

  test('an accessor is refused, not called', () => {
    let called = false
    const value = {
      get a() {
        called = true
        return 1
      },
    }
    expectRefusal(() => encodeValue(value), 'INVALID_VALUE')
    expect(called).toBe(false)
  })
})

describe('malformed bytes are refused', () => {
  const sample = {
    a: [1, 'two', 3n, -4n, null, undefined, true],
    m: new Map<unknown, unknown>([['k', new Set([1, 2])]]),
    b: new Uint8Array(3),
  }

  test('when cut, at every byte', () => {
    const bytes = encodeValue(sample)
    for (let length = 0; length < bytes.length; length++)
      expectRefusal(() => decodeValue(bytes.subarray(0, length)), 'MALFORMED')
  })

  test('when a bit is flipped, unless they are the bytes of another value', () => {
    const bytes = encodeValue(sample)
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const altered = bytes.slice()
      altered[bit >> 3]! ^= 1 << (bit & 7)
      onlyCanonical(altered)
    }
  })

  test('whatever they are', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), onlyCanonical), { numRuns: 2000 })
    // Mostly tags and small counts: reaches deeper than noise does.
    const likely = fc.array(fc.oneof(fc.nat({ max: 12 }), fc.constant(0), fc.constant(1)), { maxLength: 60 })
    fc.assert(
      fc.property(likely, (bytes) => onlyCanonical(new Uint8Array(bytes))),
      { numRuns: 5000 },
    )
  })

  /** Either refused, or exactly what the decoded value is encoded to. */
  function onlyCanonical(bytes: Uint8Array): void {
    let value: unknown
    try {
      value = decodeValue(bytes)
    } catch {
      expectRefusal(() => decodeValue(bytes), 'MALFORMED')
      return
    }
    expect(hexOf(encodeValue(value))).toBe(hexOf(bytes))
  }

  test.each([
    ['nothing at all', ''],
    ['an unknown tag', '0d'],
    ['bytes behind the value', '0000'],
    ['a hostile count of an array', '09ffffffff00'],
    ['a hostile count of an object', '0affffffff00'],
    ['a hostile count of a Map', '0bffffff7f00'],
    ['a hostile count of a Set', '0cffffffff00'],
    ['a hostile length of a text', '05ffffffff'],
    ['a hostile length of bytes', '08ffffff7f'],
    ['a hostile length of a bigint', '06ffffffff'],
    ['a bigint of -0', '0700000000'],
    ['a bigint with a leading zero', '06020000000100'],
    ['a NaN of another kind', '04010000000000f87f'],
    ['a key that stands twice', '0a0200000001000000610001000000' + '6100'],
    ['__proto__ twice', `0a02000000${'090000005f5f70726f746f5f5f00'.repeat(2)}`],
    ['array indices out of order', '0a02000000010000003200010000003100'],
    ['an array index behind a name', '0a02000000010000006100010000003100'],
    ['a key of a Map twice', '0b02000000030003' + '00'],
    ['NaN as a key twice', `0b02000000${'04000000000000f87f00'.repeat(2)}`],
    ['-0 as a key of a Map', '0b0100000004000000000000008000'],
    ['an item of a Set twice', '0c020000000303'],
    ['-0 as an item of a Set', '0c01000000040000000000000080'],
    ['a text that is not UTF-8', '0501000000ff'],
  ])('%s', (_, hex) => {
    expectRefusal(() => decodeValue(bytesOf(hex)), 'MALFORMED')
  })
})
