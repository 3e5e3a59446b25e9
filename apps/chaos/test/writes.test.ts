import type { KeyValueOperation } from '@raftkit/linearizability'
import { describe, expect, test } from 'vitest'
import type { Change } from '../src/clients/watcher.ts'
import { judgeWrites } from '../src/verdict/writes.ts'

const put = (client: string, value: string, call: number, index: number): KeyValueOperation => ({
  client,
  key: 'k',
  input: { op: 'put', value },
  call,
  return: call + 1,
  ok: true,
  index,
})
const doubtfulDelete = (client: string, call: number): KeyValueOperation => ({
  client,
  key: 'k',
  input: { op: 'delete' },
  call,
  ok: 'unknown',
})

describe('who wrote what the log holds', () => {
  test('of two deletions of unknown outcome, the one that was called first is taken for the first in the log', () => {
    const late = doubtfulDelete('b', 50)
    const early = doubtfulDelete('a', 5)
    const operations = [put('c', 'x', 1, 1), late, early, put('c', 'y', 20, 3)]
    const log = new Map<number, Change>([
      [1, { revision: 1, type: 'put', key: 'k', value: 'x' }],
      [2, { revision: 2, type: 'delete', key: 'k' }],
      [3, { revision: 3, type: 'put', key: 'k', value: 'y' }],
    ])
    const { placed, lost, phantom, duplicated } = judgeWrites(operations, log)
    expect({ lost, phantom, duplicated }).toEqual({ lost: 0, phantom: 0, duplicated: 0 })
    expect(placed.find(({ index }) => index === 2)).toMatchObject({ client: 'a', call: 5 })
  })

  test('a deletion that nobody asked for is a phantom, and an acknowledged write that is not there is lost', () => {
    const log = new Map<number, Change>([[1, { revision: 1, type: 'delete', key: 'k' }]])
    expect(judgeWrites([put('c', 'x', 1, 2)], log)).toMatchObject({ lost: 1, phantom: 1, placed: [] })
  })
})
