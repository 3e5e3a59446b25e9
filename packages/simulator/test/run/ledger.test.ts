import { beforeEach, describe, expect, test } from 'vitest'
import { History } from '../../src/run/history.ts'
import { Ledger } from '../../src/run/workload/ledger.ts'
import { absent, type WriteInput, writeCell } from '../../src/run/workload/registers.ts'
import type { Operation } from '../../src/watcher.ts'

let ledger: Ledger

const operation = (id: number, kind = 'put'): Operation => ({ id, client: 'c', node: 'n1', kind, input: {}, begun: 0 })
const put = (id: number, key = 'k'): WriteInput => ({ id, kind: 'put', key, expect: 0 })
const broken = (invariant: string): object => expect.objectContaining({ invariant })

/** Begun, executed at `index`, acknowledged. */
function written(id: number, index: number, before: number): Operation {
  const begun = operation(id)
  ledger.began(begun)
  ledger.executed(put(id), index, { index, changed: true, before })
  ledger.wrote(begun, { index, changed: true, before })
  return begun
}

beforeEach(() => {
  ledger = new Ledger()
})

describe('the ledger', () => {
  test('takes a history that one register could have given', () => {
    written(1, 3, 0)
    written(2, 5, 1)
    const read = operation(3, 'get')
    ledger.began(read)
    const cell = writeCell(writeCell(absent, put(1))!, put(2))!
    ledger.read(read, 'k', { ...cell, index: 5 }, true)
    ledger.final('n1', 5, new Map([['k', cell]]))
  })

  test('finds a write that is executed twice', () => {
    written(1, 3, 0)
    expect(() => ledger.executed(put(1), 4, { index: 4, changed: true, before: 1 })).toThrow(broken('exactly once'))
  })

  test('finds one that nobody asked for, or that was refused', () => {
    expect(() => ledger.executed(put(9), 1, { index: 1, changed: true, before: 0 })).toThrow(broken('no phantom'))
    const refused = operation(1)
    ledger.began(refused)
    refused.outcome = 'refused'
    ledger.refused(refused)
    expect(() => ledger.executed(put(1), 1, { index: 1, changed: true, before: 0 })).toThrow(broken('honest refusal'))
  })

  test('finds a refusal of what was executed, and an acknowledgement of what was not', () => {
    const one = operation(1)
    ledger.began(one)
    expect(() => ledger.wrote(one, { index: 1, changed: true, before: 0 })).toThrow(broken('acknowledged is executed'))
    ledger.executed(put(1), 1, { index: 1, changed: true, before: 0 })
    expect(() => ledger.refused(one)).toThrow(broken('honest refusal'))
  })

  test('finds replicas that differ at one index', () => {
    written(1, 1, 0)
    ledger.began(operation(2))
    expect(() => ledger.executed(put(2), 1, { index: 1, changed: true, before: 0 })).toThrow(broken('one history'))
  })

  test('finds a write that stands before one that was known when it began', () => {
    ledger.began(operation(1))
    ledger.executed(put(1), 2, { index: 2, changed: true, before: 0 })
    written(2, 8, 1)
    ledger.began(operation(3))
    expect(() => ledger.executed(put(3), 7, { index: 7, changed: true, before: 2 })).toThrow()
  })

  test('finds a stale read, and lets one pass that promised no more', () => {
    written(1, 1, 0)
    written(2, 2, 1)
    const old = { ...writeCell(absent, put(1))!, index: 1 }
    const fresh = operation(3, 'get')
    ledger.began(fresh)
    expect(() => ledger.read(fresh, 'k', old, true)).toThrow(broken('no stale read'))
    const stale = operation(4, 'stale')
    ledger.began(stale)
    ledger.read(stale, 'k', old, false)
  })

  test('finds a read of what never was', () => {
    written(1, 1, 0)
    const read = operation(2, 'get')
    ledger.began(read)
    expect(() => ledger.read(read, 'k', { value: 7, writes: 1, chain: 0, index: 1 }, true)).toThrow(
      broken('reads a prefix'),
    )
    expect(() => ledger.read(read, 'k', { ...absent, index: 4 }, true)).toThrow(broken('reads what is committed'))
  })

  test('finds a member that ends with less', () => {
    written(1, 1, 0)
    expect(() => ledger.final('n1', 0, new Map())).toThrow(broken('nothing is lost'))
    expect(() => ledger.final('n1', 1, new Map())).toThrow(broken('nothing is lost'))
  })
})

describe('the history', () => {
  test('is judged without the log: a read that goes back is found', () => {
    const history = new History()
    const done = (id: number, kind: string, input: object, output: object): void => {
      const each: Operation = { ...operation(id, kind), client: `c${id}`, input, outcome: 'done', output }
      history.began(each)
      history.ended(each)
    }
    done(1, 'put', put(1), { index: 1, changed: true, before: 0 })
    done(2, 'put', put(2), { index: 2, changed: true, before: 1 })
    done(3, 'get', { key: 'k' }, { value: 2, index: 2 })
    expect(history.check(() => true)).toBe(3)
    done(4, 'get', { key: 'k' }, { value: 1, index: 1 })
    expect(() => history.check(() => true)).toThrow(broken('linearizable'))
  })
})
