import { describe, expect, test } from 'vitest'
import { judge } from '../src/local/verdict.ts'
import type { LedgerEntry } from '../src/machine.ts'

const entry = (number: number, content: string, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
  ...{ number, position: number + 1, time: 0, author: '', content, hash: `${content} at ${number}` },
  ...more,
})
const [a, b, c] = [entry(1, 'a'), entry(2, 'b'), entry(3, 'c')]
const acknowledged = new Map([a, b].map((one) => [String(one.content), one]))
const unknown = new Set(['c'])
const nothing = { lost: 0, moved: 0, duplicated: 0, phantom: 0 }

describe('the verdict on a ledger', () => {
  test('is clean where all that was acknowledged is there as it was, whatever became of what is unknown', () => {
    expect(judge({ acknowledged, unknown, ledger: [a, b] })).toEqual(nothing)
    expect(judge({ acknowledged, unknown, ledger: [a, b, c] })).toEqual(nothing)
  })

  test('counts what is missing, moved, doubled and never written', () => {
    expect(judge({ acknowledged, unknown, ledger: [a] })).toEqual({ ...nothing, lost: 1 })
    expect(judge({ acknowledged, unknown, ledger: [a, { ...b, hash: 'another' }] })).toEqual({ ...nothing, moved: 1 })
    expect(judge({ acknowledged, unknown, ledger: [a, { ...b, position: 9 }] })).toEqual({ ...nothing, moved: 1 })
    expect(judge({ acknowledged, unknown, ledger: [a, b, c, { ...c, number: 4 }] })).toEqual({
      ...nothing,
      duplicated: 1,
    })
    expect(judge({ acknowledged, unknown, ledger: [a, b, entry(3, 'who?')] })).toEqual({ ...nothing, phantom: 1 })
  })
})
