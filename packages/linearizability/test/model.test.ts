import { checkHistory, checkOrder, createChecker, illegal, type Model, type Operation } from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'

/** A counter: add answers the new value, undefined asks for it. */
const counter: Model<number, { add?: number }, number> = {
  initial: 0,
  step: (state, { add = 0 }, output) => (output === undefined || output === state + add ? state + add : illegal),
  reads: ({ add }) => add === undefined,
}

/** A list that grows; a read answers all of it. */
const list: Model<readonly number[], { push?: number }, readonly number[]> = {
  initial: [],
  step: (state, { push }, output) => {
    if (push !== undefined) return [...state, push]
    return output === undefined || output.join() === state.join() ? state : illegal
  },
}

type Add = Operation<{ add?: number }, number>
const add = (amount: number, output: number | undefined, call: number, end: number, rest: Partial<Add> = {}): Add => {
  return { client: `${call} ${end}`, key: 'n', input: { add: amount }, output, call, return: end, ok: true, ...rest }
}

describe('another model', () => {
  test('a counter: retried once too often, it is seen', () => {
    const model = { model: counter }
    expect(checkHistory([add(1, 1, 0, 1), add(1, 2, 2, 3)], model).verdict).toBe('ok')
    expect(checkHistory([add(1, 1, 0, 1), add(1, 3, 2, 3)], model)).toMatchObject({
      verdict: 'illegal',
      offending: [{ states: [1] }],
    })
    expect(checkHistory([add(1, 2, 0, 5), add(1, 1, 0, 6)], model).verdict).toBe('ok')
    expect(checkHistory([add(1, undefined, 0, 1, { ok: 'unknown' }), add(1, 2, 2, 3)], model).verdict).toBe('ok')
  })

  test('equal operations that overlap cost no more than one', () => {
    const equal = Array.from({ length: 60 }, (_, i) => add(1, undefined, 0, 10, { client: i }))
    const report = checkHistory([...equal, add(0, 59, 11, 12)], { model: counter })
    expect(report.verdict).toBe('illegal')
    expect(report.steps).toBeLessThan(10_000)
  })

  test('a list, without any hint', () => {
    const history: Operation<{ push?: number }, readonly number[]>[] = [
      { client: 1, key: 'l', input: { push: 1 }, call: 0, return: 4, ok: true },
      { client: 2, key: 'l', input: { push: 2 }, call: 1, return: 3, ok: true },
      { client: 3, key: 'l', input: {}, output: [2, 1], call: 5, return: 6, ok: true },
    ]
    expect(checkHistory(history, { model: list }).verdict).toBe('ok')
    const other = { client: 4, key: 'l', input: {}, output: [1, 2], call: 7, return: 8, ok: true }
    expect(checkHistory([...history, other], { model: list }).offending[0]).toMatchObject({
      operation: other,
      states: [[2, 1]],
    })
    const checker = createChecker({ model: list })
    for (const operation of history) checker.add(operation)
    expect(checker.settle('l')).toBe('ok')
  })

  test('its objection refuses an operation', () => {
    const strict = {
      ...counter,
      objection: ({ add }: { add?: number }) => (add === 0 ? 'adding nothing is no operation' : undefined),
    }
    expect(() => checkHistory([add(0, 0, 0, 1)], { model: strict })).toThrow(
      'operation 1: adding nothing is no operation',
    )
    expect(() => checkOrder([add(0, 0, 0, 1)], { model: strict })).toThrow(
      'operation 1: adding nothing is no operation',
    )
  })

  test('is replayed in the order of the log', () => {
    const history = [add(1, 2, 0, 5, { index: 2 }), add(1, 1, 0, 5, { index: 1 })]
    expect(checkOrder(history, { model: counter }).verdict).toBe('ok')
    const swapped = history.map((operation) => ({ ...operation, index: 3 - operation.index! }))
    expect(checkOrder(swapped, { model: counter })).toMatchObject({
      verdict: 'illegal',
      offending: [{ reason: 'output', state: 0 }],
    })
  })
})
