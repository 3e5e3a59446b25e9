import { type Command, checkHistory, type Json, type KeyValueOperation } from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'

/** One client, one operation after the other: what the store answered in this order. */
function inTurn(...steps: readonly (readonly [Command, Json?])[]): string {
  const history = steps.map(([input, output], i): KeyValueOperation => {
    return { client: 'a', key: 'k', input, output, call: i * 10, return: i * 10 + 5, ok: true }
  })
  return checkHistory(history).verdict
}

const get: Command = { op: 'get' }
const put = (value: Json): Command => ({ op: 'put', value })
const cas = (from: Json, to: Json): Command => ({ op: 'cas', from, to })
const append = (text: string): Command => ({ op: 'append', text })
const remove: Command = { op: 'delete' }

describe('one key of the store', () => {
  test('is absent at first, which a get tells by null', () => {
    expect(inTurn([get, null])).toBe('ok')
    expect(inTurn([get, 0])).toBe('illegal')
    expect(inTurn([get, ''])).toBe('illegal')
  })

  test('holds what was put last', () => {
    expect(inTurn([put(1)], [put(2)], [get, 2])).toBe('ok')
    expect(inTurn([put(1)], [put(2)], [get, 1])).toBe('illegal')
    expect(inTurn([put(1)], [get, '1'])).toBe('illegal')
  })

  test('compares values as JSON, whatever the order of their members', () => {
    expect(inTurn([put({ a: 1, b: [2, { c: null }] })], [get, { b: [2, { c: null }], a: 1 }])).toBe('ok')
    expect(inTurn([put({ a: 1, b: [2] })], [get, { a: 1, b: ['2'] }])).toBe('illegal')
    expect(inTurn([put([1, 2])], [cas([1, 2], [3]), true], [get, [3]])).toBe('ok')
    expect(inTurn([put('[1]')], [get, [1]])).toBe('illegal')
    expect(inTurn([put('\0[1]')], [put([1])], [get, [1]])).toBe('ok')
  })

  test('is swapped by a cas that expects what it is, and only then', () => {
    expect(inTurn([put(1)], [cas(1, 2), true], [get, 2])).toBe('ok')
    expect(inTurn([put(1)], [cas(1, 2), false])).toBe('illegal')
    expect(inTurn([put(1)], [cas(3, 2), false], [get, 1])).toBe('ok')
    expect(inTurn([put(1)], [cas(3, 2), true])).toBe('illegal')
    expect(inTurn([put(1)], [cas(1, 2)], [get, 2])).toBe('ok')
    expect(inTurn([put(1)], [cas(3, 2)], [get, 1])).toBe('ok')
  })

  test('a cas from null expects an absent key', () => {
    expect(inTurn([cas(null, 1), true], [get, 1])).toBe('ok')
    expect(inTurn([put(0)], [cas(null, 1), true])).toBe('illegal')
    expect(inTurn([put(0)], [remove], [cas(null, 1), true])).toBe('ok')
  })

  test('is added to by append, from nothing if absent', () => {
    expect(inTurn([append('a')], [append('b'), 'ab'], [get, 'ab'])).toBe('ok')
    expect(inTurn([append('a')], [append('b'), 'ba'])).toBe('illegal')
    expect(inTurn([append('')], [get, ''])).toBe('ok')
    expect(inTurn([put(1)], [append('b')])).toBe('illegal')
  })

  test('is absent after a delete, that may tell whether it was there', () => {
    expect(inTurn([put(1)], [remove], [get, null])).toBe('ok')
    expect(inTurn([put(1)], [remove, true], [get, null])).toBe('ok')
    expect(inTurn([remove, false], [get, null])).toBe('ok')
    expect(inTurn([remove, true])).toBe('illegal')
    expect(inTurn([put(1)], [remove, false])).toBe('illegal')
    expect(inTurn([put(1)], [remove], [get, 1])).toBe('illegal')
  })

  test.each(['__proto__', 'constructor', 'hasOwnProperty', 'toString', ''])('may be called %j', (key) => {
    const at = (i: number, input: Command, output?: Json): KeyValueOperation => {
      return { client: key, key, input, output, call: i, return: i + 0.5, ok: true }
    }
    const legal = [at(0, get, null), at(1, put(key)), at(2, get, key)]
    expect(checkHistory(legal)).toMatchObject({ verdict: 'ok', keys: 1, clients: 1 })
    expect(checkHistory([...legal, at(3, get, null)])).toMatchObject({ verdict: 'illegal', offending: [{ key }] })
    const value = JSON.parse('{"__proto__": {"polluted": true}}') as Json
    expect(checkHistory([at(0, put(value)), at(1, get, value)]).verdict).toBe('ok')
    expect(checkHistory([at(0, put(value)), at(1, get, {})]).verdict).toBe('illegal')
    expect('polluted' in {}).toBe(false)
  })

  test.each<[string, Command, Json | undefined, boolean | 'unknown']>([
    ['a get without its answer', get, undefined, true],
    ['a put of null', put(null), undefined, true],
    ['a put of nothing', { op: 'put' } as unknown as Command, undefined, true],
    ['a cas to null', cas(1, null), undefined, 'unknown'],
    ['a cas that answers neither true nor false', cas(1, 2), 'true', true],
    ['an append of a number', append(1 as unknown as string), undefined, false],
    ['an append that answers no text', append('a'), 1, true],
    ['a delete that answers a value', remove, 'x', true],
    ['what is no operation', { op: 'increment' } as unknown as Command, undefined, true],
  ])('refuses %s', (_, input, output, ok) => {
    const history = [{ client: 1, key: 'k', input, output, call: 1, return: 2, ok }]
    expect(() => checkHistory(history)).toThrow(expect.objectContaining({ code: 'HISTORY_MALFORMED', line: 1 }))
  })
})
