import { checkHistory, createChecker, type Json, type KeyValueOperation } from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'
import { linearizable, random } from './random-history.ts'

type Rest = Partial<KeyValueOperation>
let clients = 0
const put = (value: Json, call: number, end: number, rest: Rest = {}): KeyValueOperation => {
  return { client: ++clients, key: 'k', input: { op: 'put', value }, call, return: end, ok: true, ...rest }
}
const get = (output: Json, call: number, end: number, rest: Rest = {}): KeyValueOperation => {
  return { client: ++clients, key: 'k', input: { op: 'get' }, output, call, return: end, ok: true, ...rest }
}
const verdict = (...history: KeyValueOperation[]): string => checkHistory(history).verdict

describe('the order of time', () => {
  test('a read that begins after a newer one returned must not go back', () => {
    const writes = [put(1, 0, 1), put(2, 2, 10)]
    expect(verdict(...writes, get(1, 3, 4), get(2, 5, 6))).toBe('ok')
    expect(verdict(...writes, get(2, 3, 4), get(1, 5, 6))).toBe('illegal')
    expect(verdict(...writes, get(2, 3, 5), get(1, 4, 6))).toBe('ok')
  })

  test('intervals are closed: what touches is concurrent', () => {
    expect(verdict(put(1, 0, 5), put(2, 5, 9), get(1, 10, 11))).toBe('ok')
    expect(verdict(put(1, 0, 5), put(2, 6, 9), get(1, 10, 11))).toBe('illegal')
    expect(verdict(put(1, 3, 3), get(null, 3, 3), get(1, 3, 3))).toBe('ok')
  })

  test('the order in which operations are handed over does not matter', () => {
    const history = linearizable(random(5), {
      operations: 200,
      clients: 5,
      keys: 3,
      values: 4,
      unknown: 0.05,
      ops: ['get', 'put', 'cas'],
    })
    expect(checkHistory(history.slice().reverse()).verdict).toBe('ok')
    expect(checkHistory(history).steps).toBe(checkHistory(history).steps)
  })
})

describe('unknown outcomes', () => {
  const unknown = { ok: 'unknown' } as const

  test('a write may take effect at any time after its call, or never', () => {
    expect(verdict(put(1, 0, 1), put(2, 2, 3, unknown), get(1, 50, 51))).toBe('ok')
    expect(verdict(put(1, 0, 1), put(2, 2, 3, unknown), get(1, 50, 51), get(2, 60, 61))).toBe('ok')
    expect(verdict(put(1, 0, 1), put(2, 2, 3, unknown), get(2, 50, 51), get(1, 60, 61))).toBe('illegal')
  })

  test('not before its call, and not twice', () => {
    expect(verdict(put(1, 0, 1), get(2, 2, 3), put(2, 4, 5, unknown))).toBe('illegal')
    expect(verdict(put(2, 0, 1, unknown), get(2, 2, 3), put(1, 4, 5), get(2, 6, 7))).toBe('illegal')
  })

  test('what it is said to have answered, or when, is ignored', () => {
    const cas: KeyValueOperation = {
      client: 'x',
      key: 'k',
      input: { op: 'cas', from: 7, to: 8 },
      output: true,
      call: 3,
      ok: 'unknown',
      return: 1,
    }
    expect(verdict(put(1, 0, 1), cas, get(1, 5, 6))).toBe('ok')
  })

  test('a read of unknown outcome is left out', () => {
    expect(checkHistory([put(1, 0, 1), get(9, 2, 3, unknown)])).toMatchObject({
      verdict: 'ok',
      checked: 1,
      dropped: 1,
      unknown: 1,
    })
  })

  test('one that failed is left out, and must have had no effect', () => {
    const failed = { ok: false } as const
    expect(checkHistory([put(1, 0, 1), put(2, 2, 3, failed), get(1, 4, 5)])).toMatchObject({
      verdict: 'ok',
      dropped: 1,
    })
    expect(verdict(put(1, 0, 1), put(2, 2, 3, failed), get(2, 4, 5))).toBe('illegal')
  })

  test('a hundred of them that nobody noticed cost little', () => {
    const lost = Array.from({ length: 100 }, (_, i) => put(`lost ${i}`, i, i, unknown))
    const seen = Array.from({ length: 200 }, (_, i) => [
      put(i, 200 + i * 10, 204 + i * 10),
      get(i, 205 + i * 10, 208 + i * 10),
    ])
    const report = checkHistory([...lost, ...seen.flat(), get('stale', 5000, 5001), put('stale', 6000, 6001)])
    expect(report).toMatchObject({ verdict: 'illegal', unknown: 100 })
    expect(report.steps).toBeLessThan(300_000)
  })
})

describe('what is reported', () => {
  test('the operation that cannot be placed, the longest order, and the values that are possible there', () => {
    const [one, two, three] = [put(1, 0, 1), put(2, 2, 3), put(3, 2, 4)]
    const [stale, later] = [get(1, 5, 6), get(3, 7, 8)]
    const report = checkHistory([later, stale, three, two, one])
    expect(report).toMatchObject({ verdict: 'illegal', operations: 5, checked: 5, keys: 1, illegal: 1, undecided: 0 })
    const offence = report.offending[0]!
    expect(offence).toMatchObject({
      key: 'k',
      verdict: 'illegal',
      operation: stale,
      history: [one, three, two, stale, later],
    })
    expect(offence.placed).toHaveLength(3)
    expect(offence.placed[0]).toBe(one)
    expect([...offence.states].sort()).toEqual([2, 3])
  })

  test('one bad key among good ones, and no more than 20 of many', () => {
    const good = Array.from({ length: 50 }, (_, i) => put(i, i, i + 1, { key: `good ${i}` }))
    expect(checkHistory([...good, get(1, 5, 6, { key: 'bad' })])).toMatchObject({
      verdict: 'illegal',
      keys: 51,
      illegal: 1,
      offending: [{ key: 'bad' }],
    })
    const bad = Array.from({ length: 50 }, (_, i) => get(i, i, i + 1, { key: `bad ${i}` }))
    const report = checkHistory([...good, ...bad])
    expect(report).toMatchObject({ illegal: 50 })
    expect(report.offending).toHaveLength(20)
  })

  test('keys do not influence each other', () => {
    expect(
      verdict(
        put(1, 0, 1, { key: 'a' }),
        put(2, 0, 1, { key: 'b' }),
        get(1, 2, 3, { key: 'a' }),
        get(2, 2, 3, { key: 'b' }),
      ),
    ).toBe('ok')
    expect(verdict(put(1, 0, 1, { key: 'a' }), get(1, 2, 3, { key: 'b' }))).toBe('illegal')
  })
})

/** Forty writes that overlap, of which no order ends as the read says: 40 · 2^40 configurations. */
const hopeless = [...Array.from({ length: 40 }, (_, i) => put(i, 0, 10)), get(null, 11, 12)]

describe('the budget', () => {
  test('of steps ends undecided, which is no success', () => {
    const report = checkHistory(hopeless, { steps: 10_000 })
    expect(report).toMatchObject({
      verdict: 'undecided',
      undecided: 1,
      offending: [{ key: 'k', verdict: 'undecided' }],
    })
    expect(report.steps).toBeLessThan(20_000)
  })

  test('of memory does, too', () => {
    expect(checkHistory(hopeless, { memory: 1024 * 1024 })).toMatchObject({ verdict: 'undecided' })
    const text = 'x'.repeat(10_000)
    const appends = Array.from({ length: 100 }, (_, i): KeyValueOperation => {
      const output = text.repeat(i + 1)
      return { client: 1, key: 'k', input: { op: 'append', text }, output, call: i, return: i + 0.5, ok: true }
    })
    expect(checkHistory(appends, { memory: 1024 * 1024 })).toMatchObject({ verdict: 'undecided' })
    expect(checkHistory(appends)).toMatchObject({ verdict: 'ok' })
  })

  test('of time is asked for now and then', () => {
    let asked = 0
    const report = checkHistory(hopeless, { expired: () => ++asked > 3 })
    expect(report.verdict).toBe('undecided')
    expect(asked).toBeLessThan(10)
  })

  test('is for each key: a hopeless one keeps no other from its verdict, and illegal outweighs undecided', () => {
    const illegal = get(1, 0, 1, { key: 'other' })
    expect(checkHistory([...hopeless, illegal], { steps: 10_000 })).toMatchObject({
      verdict: 'illegal',
      illegal: 1,
      undecided: 1,
      offending: [{ key: 'other' }, { key: 'k' }],
    })
  })

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('of %d is refused', (steps) => {
    expect(() => checkHistory([put(1, 0, 1)], { steps })).toThrow(RangeError)
    expect(() => checkHistory([put(1, 0, 1)], { memory: steps })).toThrow(RangeError)
  })
})

describe('histories of 10,000 operations', () => {
  const shape = {
    operations: 10_000,
    clients: 10,
    keys: 10,
    values: Number.POSITIVE_INFINITY,
    unknown: 0.02,
    ops: ['get', 'get', 'put', 'cas'],
  } as const

  /** One read, late, that answers what was put first. */
  function stale(history: readonly KeyValueOperation[]): KeyValueOperation[] {
    const read = history
      .slice()
      .reverse()
      .find(({ input, ok }) => input.op === 'get' && ok === true)!
    const old = history.find(({ key, input, ok }) => key === read.key && input.op === 'put' && ok === true)!
    return history.map((one) => (one === read ? { ...one, output: (old.input as { value: Json }).value } : one))
  }

  test.each([
    ['10 keys', shape, 100_000],
    ['10 keys, 50 clients', { ...shape, clients: 50 }, 400_000],
    ['100 keys, 5 % unknown', { ...shape, keys: 100, unknown: 0.05 }, 50_000],
    ['10 keys, append and get', { ...shape, ops: ['append', 'get'] as const }, 100_000],
    ['1 key, nothing unknown', { ...shape, keys: 1, unknown: 0 }, 2_000_000],
  ])('%s: in few steps, with and without a stale read', (_, drawn, steps) => {
    const history = linearizable(random(7), drawn)
    expect(checkHistory(history, { steps })).toMatchObject({ verdict: 'ok', operations: 10_000 })
    if (!drawn.ops.includes('put' as never)) return
    expect(checkHistory(stale(history), { steps })).toMatchObject({ verdict: 'illegal', illegal: 1 })
  })
})

describe('a history in pieces', () => {
  test('keys are judged and forgotten one by one', () => {
    const checker = createChecker()
    for (let i = 0; i < 100; i++) {
      checker.add(put(i, i * 10, i * 10 + 1, { key: `k${i}`, client: 'a' }))
      checker.add(get(i === 60 ? 0 : i, i * 10 + 2, i * 10 + 3, { key: `k${i}`, client: 'b' }))
      expect(checker.settle(`k${i}`)).toBe(i === 60 ? 'illegal' : 'ok')
    }
    expect(checker.finish()).toMatchObject({
      verdict: 'illegal',
      keys: 100,
      clients: 2,
      checked: 200,
      offending: [{ key: 'k60' }],
    })
  })

  test('nothing can be added to a key that is settled', () => {
    const checker = createChecker()
    checker.add(put(1, 0, 1))
    expect(checker.settle('k')).toBe('ok')
    expect(checker.settle('of nobody')).toBe('ok')
    expect(() => checker.add(get(1, 2, 3))).toThrow(expect.objectContaining({ code: 'HISTORY_MALFORMED', line: 2 }))
  })
})
