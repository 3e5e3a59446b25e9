import { decodeValue, encodeValue, fromHex, toHex } from '@raftkit/bytes'
import { roundTrip, type Target } from './target.ts'

const samples: readonly unknown[] = [
  null,
  undefined,
  [true, false, 0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY],
  'text with ä, 漢, 😀 and more than sixteen characters of ASCII behind it',
  [0n, 1n, -1n, 2n ** 64n, -(2n ** 200n)],
  Uint8Array.of(1, 2, 3),
  { 0: 'a', 7: 'b', name: 'c', nested: { list: [1, [2, [3]]] } },
  JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toString":2}'),
  new Map<unknown, unknown>([
    ['a', 1],
    [1, new Set([1, 2, '3'])],
    [{ of: 'objects' }, new Map()],
  ]),
  new Set<unknown>(['x', null, undefined, 5n]),
  { key: 'user/1', value: 'x'.repeat(300), expect: { revision: 12 } },
]

const bytes = (...all: number[]): Uint8Array => Uint8Array.from(all)

/** The values of commands, results, states and configuration requests. */
export const value: Target = {
  name: 'value',
  weight: 12,
  parsers: {
    'packages/bytes/src/value.ts':
      /^(decodeValue|readValue|read|readArray|readObject|arrayIndex|readMap|readSet|keyCount|readMagnitude|unlike)$/,
    'packages/bytes/src/reader.ts': /./,
    'packages/bytes/src/text.ts': /^decode/,
  },
  // Tags, with the count of one: repeated, they nest.
  tokens: [...Array(16).keys()].flatMap((tag) => [bytes(tag), bytes(tag, 1, 0, 0, 0), bytes(tag, 0, 0, 0, 0)]),
  seeds: async () => samples.map(encodeValue),
  open: async () => ({ take: (input) => roundTrip(input, decodeValue, encodeValue, true) }),
}

/** Identities in state and configurations. */
export const hex: Target = {
  name: 'hex',
  weight: 0.3,
  parsers: {
    'packages/bytes/src/hash.ts': /^(fromHex|digit)$/,
  },
  seeds: async () => ['', '00', 'ff', '0123456789abcdef0123456789abcdef'].map((text) => Buffer.from(text)),
  open: async () => ({
    take: (input) =>
      roundTrip(
        input,
        (bytes) => fromHex(Buffer.from(bytes).toString('latin1')),
        (bytes) => Buffer.from(toHex(bytes), 'latin1'),
        true,
      ),
  }),
}
