import { expect, test } from 'vitest'
import { run } from '../src/campaign.ts'
import { scopes } from '../src/scopes/index.ts'

test.each(scopes)('nothing is wrong in the first states of “$name”: $about', ({ name }) => {
  const { violation, distinctStates } = run(name, { states: 3000, symmetry: true, reduce: true })
  expect(violation, violation?.steps.join('\n')).toBeUndefined()
  expect(distinctStates).toBeGreaterThan(500)
})
