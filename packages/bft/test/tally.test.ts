import { describe, expect, test } from 'vitest'
import type { Phase, Place } from '../src/index.ts'
import { Tally } from '../src/tally.ts'

const place: Place = { term: 1, index: 3, hash: 'aa' }
const other: Place = { ...place, hash: 'bb' }

function tallied(...votes: readonly [signer: number, place: Place, phase?: Phase][]): Tally {
  const tally = new Tally()
  for (const [signer, voted, phase = 'append'] of votes)
    tally.record({ signer, phase, place: voted, signature: new Uint8Array([signer]), isVerified: false })
  return tally
}

const signersOf = (tally: Tally, phase: Phase = 'append', of = place): number[] =>
  tally.for(phase, of).map(({ signer }) => signer)

describe('votes are counted', () => {
  test('for the very place they are for: no other entry, term, index or phase (Tangaroa, D4)', () => {
    const tally = tallied(
      [0, place],
      [1, other],
      [2, { ...place, term: 2 }],
      [3, { ...place, index: 4 }],
      [4, place, 'commit'],
    )
    expect(signersOf(tally)).toEqual([0])
    expect(signersOf(tally, 'append', other)).toEqual([1])
    expect(signersOf(tally, 'commit')).toEqual([4])
  })

  test('once for each signer, whatever it says again (D3, D4)', () => {
    expect(signersOf(tallied([0, place], [0, place], [0, other], [0, place]))).toEqual([0])
  })

  test('whatever others say: a wrong vote stands in nobody’s way (D5)', () => {
    const tally = tallied([3, other], [0, place], [1, place], [2, place])
    expect(signersOf(tally)).toEqual([0, 1, 2])
    expect(signersOf(tally, 'append', other)).toEqual([3])
  })

  test('of the newest term of each signer: an older one comes too late', () => {
    const newer = { ...place, term: 2 }
    const tally = tallied([0, newer], [0, place], [1, place], [1, newer])
    expect(signersOf(tally)).toEqual([])
    expect(signersOf(tally, 'append', newer)).toEqual([0, 1])
  })
})

test('two votes of one signer for two entries in one place are a contradiction that is handed out', () => {
  const vote = { phase: 'append', signature: new Uint8Array(1), isVerified: true } as const
  const tally = tallied([0, place])
  expect(tally.record({ ...vote, signer: 0, place: other })?.place).toEqual(place)
  expect(tally.record({ ...vote, signer: 1, place: other })).toBeUndefined()
})
