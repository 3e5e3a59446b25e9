import { checkHistory, checkOrder, type KeyValueOperation } from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'

const sound: KeyValueOperation = {
  client: 'a',
  key: 'k',
  input: { op: 'put', value: 1 },
  call: 1,
  return: 2,
  ok: true,
  index: 1,
}

/** What both oracles say of the history; they must say the same. */
function objection(...history: unknown[]): string {
  const said = [checkHistory, checkOrder].map((check) => {
    try {
      check(history as KeyValueOperation[])
      return ''
    } catch (error) {
      expect(error).toMatchObject({ code: 'HISTORY_MALFORMED' })
      return (error as Error).message
    }
  })
  return said[0] === said[1] ? said[0]! : said.join(' | ')
}

describe('a malformed history', () => {
  test('an empty one is no success', () => {
    expect(objection()).toMatch(/empty/)
  })

  test.each<[string, object, RegExp]>([
    ['no client', { client: undefined }, /client must be/],
    ['a client that is no name', { client: {} }, /client must be/],
    ['no key', { key: undefined }, /key must be/],
    ['a key that is a number', { key: 1 }, /key must be/],
    ['no call', { call: undefined }, /call time/],
    ['a call that is a text', { call: '1' }, /call time/],
    ['a call beyond 2^53', { call: 2 ** 53 }, /call time/],
    ['a call that is no number', { call: Number.NaN }, /call time/],
    ['no return', { return: undefined }, /return time/],
    ['no return of a failure', { return: undefined, ok: false }, /return time/],
    ['a return before the call', { call: 5, return: 4 }, /returns at 4, before its call at 5/],
    ['another outcome', { ok: 'maybe' }, /ok must be true, false or "unknown", not "maybe"/],
    ['no outcome', { ok: undefined }, /ok must be/],
    ['an index that is none', { index: 1.5 }, /index must be/],
    ['a negative index', { index: -1 }, /index must be/],
  ])('%s', (_, change, message) => {
    expect(objection(sound, { ...sound, client: 'b', index: 2, ...change })).toMatch(message)
  })

  test('its number is told, and of a text of strangers not much', () => {
    const message = objection(sound, { ...sound, ok: 'x'.repeat(1_000_000) })
    expect(message).toMatch(/^operation 2: /)
    expect(message.length).toBeLessThan(200)
  })

  test('a client with two operations at a time', () => {
    const twice = [sound, { ...sound, call: 1.5, return: 3, key: 'other' }]
    expect(() => checkHistory(twice)).toThrow(/operation 2: client "a" calls at 1.5, while operation 1 is open until 2/)
    expect(() => checkHistory(twice.reverse())).toThrow(/operation 1: client "a" calls at 1.5, while operation 2/)
    expect(checkHistory([sound, { ...sound, call: 2, return: 2 }, { ...sound, call: 2, return: 3 }]).verdict).toBe('ok')
  })

  test('a failed operation is open until it returns, too', () => {
    expect(() =>
      checkHistory([
        { ...sound, ok: false },
        { ...sound, call: 1.5 },
      ]),
    ).toThrow(/while operation 1 is open/)
  })

  test('a client that is heard of again after an unknown outcome', () => {
    for (const input of [sound.input, { op: 'get' } as const]) {
      const history = [
        { ...sound, input, ok: 'unknown' as const },
        { ...sound, call: 100, return: 101 },
      ]
      expect(() => checkHistory(history)).toThrow(/calls again after the unknown outcome of operation 1/)
    }
  })

  test('clients 1 and "1" are two', () => {
    expect(
      checkHistory([
        { ...sound, client: 1 },
        { ...sound, client: '1' },
      ]),
    ).toMatchObject({ clients: 2 })
  })
})
