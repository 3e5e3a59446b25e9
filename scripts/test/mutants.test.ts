import { expect, test } from 'vitest'
import * as bft from '../mutants/bft.mjs'
import * as raft from '../mutants/catalogue.mjs'
import { placesOf } from '../mutants/plant.mjs'

const planted = [...raft.chapters, ...bft.chapters].flatMap(({ mutants }) => mutants)

test.each(planted)('“$id” can be planted: its text stands in the source exactly once', ({ changes }) => {
  for (const change of changes)
    expect([placesOf(change), change.file, change.find]).toEqual([1, change.file, change.find])
})

test('every defect that the Byzantine variants before us had is planted, or it is said why not', () => {
  const rows = [
    ...bft.chapters.flatMap(({ mutants }) => mutants.flatMap(({ row }) => row.split(', '))),
    ...bft.inapplicable,
  ]
  for (let defect = 1; defect <= 18; defect++)
    expect(
      rows.some((row) => new RegExp(`^D${defect}\\b`).test(row)),
      `D${defect}`,
    ).toBe(true)
})
