import { describe, expect, test } from 'vitest'
import { errorCodes, isRaftkitError, RaftkitError } from '../src/index.ts'

describe('an error', () => {
  test('carries its code, a sentence that begins with it, and what became of the operation', () => {
    const cause = new Error('the disk')
    const error = new RaftkitError('OVERLOADED', 'try again later', {
      cause,
      outcome: 'refused',
      retryable: true,
      leaderHint: 'n2',
    })
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'RaftkitError', code: 'OVERLOADED', message: 'OVERLOADED: try again later' })
    expect(error).toMatchObject({ outcome: 'refused', retryable: true, leaderHint: 'n2', cause })
  })

  test('says nothing of an outcome unless it is told to, and is not retryable', () => {
    const error = new RaftkitError('CLOSED', 'it was closed')
    expect(error.outcome).toBeUndefined()
    expect(error.retryable).toBe(false)
    expect('cause' in error).toBe(false)
  })

  test('is recognised by its brand, whichever copy of this package made it', () => {
    const foreign = Object.assign(new Error('LOCKED: elsewhere'), {
      code: 'LOCKED',
      [Symbol.for('raftkit.error')]: true,
    })
    expect(isRaftkitError(foreign)).toBe(true)
    expect(isRaftkitError(foreign, 'LOCKED')).toBe(true)
    expect(isRaftkitError(foreign, 'DAMAGED')).toBe(false)
  })

  test.each([undefined, null, 'LOCKED', 5, new Error('LOCKED'), { code: 'LOCKED' }])('is not %o', (other) => {
    expect(isRaftkitError(other)).toBe(false)
  })

  test('shows its brand to nobody who prints or copies it', () => {
    const error = new RaftkitError('LOCKED', 'another has it')
    expect(Object.getOwnPropertySymbols({ ...error })).toEqual([])
  })
})

test('every code has a sentence of its own', () => {
  const sentences = Object.values(errorCodes)
  expect(new Set(sentences).size).toBe(sentences.length)
  for (const code of Object.keys(errorCodes)) expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/)
})
