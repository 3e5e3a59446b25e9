import { describe, expect, test } from 'vitest'
import {
  decodeRequest,
  type Entry,
  encodeRequest,
  flawOfEntry,
  headerHash,
  mostOperations,
  type Request,
  requestCheck,
  span,
} from '../src/index.ts'
import { child, founding, isSigned, Key, sha256, zeros } from './keys.ts'

const text = (words: string): Uint8Array => new TextEncoder().encode(words)
const alice = new Key('alice')

function signed(key: Key, operations: readonly Uint8Array[], seq = 1, genesis = zeros): Request {
  const unsigned = { client: key.public, session: 7, seq, operations, signature: new Uint8Array(0) }
  return { ...unsigned, signature: key.sign(requestCheck(sha256, genesis, unsigned).bytes) }
}

describe('a request', () => {
  const request = signed(alice, [text('add'), text('')], 5)

  test('is signed as a whole, by its client, for one cluster (D7)', () => {
    const stands = (of: Request, genesis = zeros): boolean => isSigned(requestCheck(sha256, genesis, of))
    expect(stands(request)).toBe(true)
    expect(stands({ ...request, seq: 6 })).toBe(false)
    expect(stands({ ...request, session: 8 })).toBe(false)
    expect(stands({ ...request, operations: [text('add')] })).toBe(false)
    expect(stands({ ...request, operations: [text(''), text('add')] })).toBe(false)
    expect(stands({ ...request, client: new Key('mallory').public })).toBe(false)
    expect(stands(request, '11'.repeat(32))).toBe(false)
  })

  test('has one encoding', () => {
    const bytes = encodeRequest(request)
    expect(decodeRequest(bytes)).toEqual(request)
    expect(() => decodeRequest(new Uint8Array([...bytes, 0]))).toThrow('MALFORMED')
    for (let cut = 0; cut < bytes.length; cut++)
      expect(() => decodeRequest(bytes.subarray(0, cut))).toThrow('MALFORMED')
    expect(() => decodeRequest(new Uint8Array([9, ...bytes.subarray(1)]))).toThrow('UNKNOWN_FORMAT')
  })

  test('holds one operation at least, and no more than the limit', () => {
    const empty = Array.from({ length: mostOperations }, () => new Uint8Array(0))
    expect(decodeRequest(encodeRequest(signed(alice, empty))).operations).toHaveLength(mostOperations)
    expect(() => decodeRequest(encodeRequest(signed(alice, [...empty, text('')])))).toThrow('MALFORMED')
    expect(() => decodeRequest(encodeRequest(signed(alice, [])))).toThrow('MALFORMED')
    expect(() => decodeRequest(encodeRequest(signed(alice, [text('a')], Number.MAX_SAFE_INTEGER)))).toThrow('MALFORMED')
  })
})

describe('an entry', () => {
  const parent = child(founding, [encodeRequest(signed(alice, [text('a'), text('b'), text('c')]))])
  const entry = child(parent, [encodeRequest(signed(alice, [text('d')], 4))])
  const flaw = (of: Entry, before = parent): string | undefined => flawOfEntry(sha256, of, before)
  const with_ = (more: Partial<Entry['header']>): Entry => ({ ...entry, header: { ...entry.header, ...more } })

  test('that follows from its parent has no flaw', () => {
    expect(flaw(parent, founding)).toBeUndefined()
    expect(flaw(entry)).toBeUndefined()
    expect(flaw(child(entry), entry)).toBeUndefined()
  })

  test('counts an operation as one position, and itself where it holds none', () => {
    expect(parent.header.position).toBe(1)
    expect(span(parent)).toBe(3)
    expect(entry.header.position).toBe(4)
    expect(span(child(entry))).toBe(1)
  })

  test('is refused with a gap, another parent, older time or term, wrong position, epoch or items (D6, F21)', () => {
    expect(flaw(with_({ index: 3 }))).toContain('index')
    expect(flaw(with_({ index: 1 }))).toContain('index')
    expect(flaw(with_({ parent: zeros }))).toContain('parent')
    expect(flaw(with_({ position: 5 }))).toContain('position')
    expect(flaw(with_({ epoch: 1 }))).toContain('epoch')
    expect(flaw(with_({ root: zeros }))).toContain('items')
    expect(flaw({ ...entry, items: [...entry.items, ...entry.items] })).toContain('items')
    expect(flaw(child(parent, [], { kind: 'data' }))).toContain('0 items')
    expect(flaw(child(parent, entry.items, { kind: 'noop' }))).toContain('noop')
    expect(flaw(child(parent, [text('x'), text('y')], { kind: 'config' }))).toContain('config')
    expect(flaw(child(parent, [text('no request')], { root: '' }))).toBeDefined()
    const later = child(parent, [], { term: 3, time: 9 })
    expect(flaw(later)).toBeUndefined()
    expect(flaw(child(later, [], { term: 2 }), later)).toContain('older term')
    expect(flaw(child(later, [], { time: 8 }), later)).toContain('older than')
  })

  test('behind a configuration belongs to the next epoch (S6)', () => {
    const config = child(parent, [text('members')], { kind: 'config' })
    expect(flaw(config)).toBeUndefined()
    expect(flaw(child(config), config)).toBeUndefined()
    expect(flaw(child(config, [], { epoch: 0 }), config)).toContain('epoch')
  })

  test('has a hash that covers every field, and all entries before it', () => {
    const hash = headerHash(sha256, entry.header)
    const others: Partial<Entry['header']>[] = [
      ...[{ epoch: 1 }, { index: 3 }, { term: 1 }, { kind: 'noop' } as const],
      ...[{ parent: zeros }, { root: zeros }, { position: 9 }, { time: 1 }],
    ]
    for (const more of others) expect(headerHash(sha256, { ...entry.header, ...more })).not.toBe(hash)
  })
})
