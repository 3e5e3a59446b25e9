import { expect, test } from 'vitest'
import { notSettled } from '../src/failure.ts'

test.each(['constructor', '__proto__', 'toString', 'NEW_CODE'])(
  'a refusal with the code %s, as another node may send it, is REFUSED',
  (code) => {
    expect(notSettled({ type: 'refused', id: 1, code, reason: 'so it says' })).toMatchObject({
      code: 'REFUSED',
      outcome: 'refused',
    })
  },
)
