import { checkOrder, type Json, type KeyValueOperation } from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'

let clients = 0
const put = (
  index: number | undefined,
  value: Json,
  call: number,
  end: number,
  rest: Partial<KeyValueOperation> = {},
) =>
  ({
    client: ++clients,
    key: 'k',
    input: { op: 'put', value },
    call,
    return: end,
    ok: true,
    index,
    ...rest,
  }) as KeyValueOperation
const get = (index: number, output: Json, call: number, end: number, rest: Partial<KeyValueOperation> = {}) =>
  ({
    client: ++clients,
    key: 'k',
    input: { op: 'get' },
    output,
    call,
    return: end,
    ok: true,
    index,
    ...rest,
  }) as KeyValueOperation

describe('the order of the log', () => {
  test('is a linearization when time and answers agree with it', () => {
    const history = [put(2, 'b', 0, 9), put(1, 'a', 5, 6), get(1, 'a', 5, 7), get(2, 'b', 6, 8), get(2, 'b', 20, 21)]
    expect(checkOrder(history)).toEqual({ verdict: 'ok', operations: 5, checked: 5, dropped: 0, offending: [] })
  })

  test('a write that began after another returned stands behind it', () => {
    const [early, late] = [put(2, 'a', 0, 1), put(1, 'b', 2, 3)]
    expect(checkOrder([early, late]).offending).toEqual([{ reason: 'time', operation: late, other: early }])
    expect(checkOrder([early, { ...late, call: 1 }]).verdict).toBe('ok')
  })

  test('across keys, too', () => {
    const history = [put(2, 'a', 0, 1), put(1, 'b', 2, 3, { key: 'other' })]
    expect(checkOrder(history)).toMatchObject({ verdict: 'illegal', offending: [{ reason: 'time' }] })
  })

  test('a read sees its index and what is before it, and no read after it may see less', () => {
    const writes = [put(1, 'a', 0, 1), put(2, 'b', 2, 3)]
    const old = get(1, 'a', 4, 5)
    expect(checkOrder([...writes, old]).offending).toEqual([{ reason: 'time', operation: old, other: writes[1] }])
    expect(checkOrder([...writes, get(2, 'b', 4, 5), get(2, 'b', 6, 7)]).verdict).toBe('ok')
    const wrong = get(2, 'a', 4, 5)
    expect(checkOrder([...writes, wrong]).offending).toEqual([{ reason: 'output', operation: wrong, state: 'b' }])
  })

  test('a write that began after a read returned stands behind what it saw', () => {
    const write = put(1, 'a', 2, 3)
    expect(checkOrder([get(1, 'a', 0, 1), write]).offending).toMatchObject([{ reason: 'time', operation: write }])
  })

  test('two writes at one index', () => {
    const [one, two] = [put(1, 'a', 0, 9), put(1, 'b', 1, 9)]
    expect(checkOrder([one, two]).offending).toMatchObject([{ reason: 'index', operation: two, other: one }])
  })

  test('an unknown write is where the log has it, at any later time, or nowhere', () => {
    const unknown = { ok: 'unknown' } as const
    const history = [
      put(3, 'late', 0, 1, unknown),
      put(undefined, 'never', 0, 1, unknown),
      put(1, 'a', 2, 3),
      put(2, 'b', 4, 5),
    ]
    expect(checkOrder([...history, get(3, 'late', 6, 7)])).toMatchObject({ verdict: 'ok', checked: 4, dropped: 1 })
    expect(checkOrder([...history, get(3, 'never', 6, 7)])).toMatchObject({ verdict: 'illegal' })
    expect(checkOrder([put(2, 'a', 0, 1), put(1, 'early', 5, 6, unknown)])).toMatchObject({ verdict: 'illegal' })
  })

  test('a failed one is left out, whatever its index', () => {
    expect(checkOrder([put(1, 'a', 0, 1), put(2, 'b', 2, 3, { ok: false }), get(1, 'a', 4, 5)])).toMatchObject({
      verdict: 'ok',
      dropped: 1,
    })
  })

  test('one that succeeded needs its index', () => {
    expect(() => checkOrder([put(undefined, 'a', 0, 1)])).toThrow(/operation 1: it succeeded and has no index/)
  })

  test('a key that went wrong is reported once', () => {
    const reads = Array.from({ length: 100 }, (_, i) => get(1, 'x', 10 + i, 10.5 + i))
    expect(checkOrder([put(1, 'a', 0, 1), ...reads]).offending).toHaveLength(1)
  })
})
