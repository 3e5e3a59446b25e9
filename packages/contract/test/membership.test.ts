import { expect, test } from 'vitest'
import { type Config, findMember, isVoter, type Role } from '../src/index.ts'

const member = (id: string, incarnation: string, role: Role) => ({ id, incarnation, role })

test('votes in some half of a configuration: all but learners and who is joining', () => {
  const roles: Role[] = ['voter', 'incoming', 'outgoing', 'demoted', 'leaving', 'retiring', 'learner', 'joining']
  expect(roles.filter((role) => isVoter(member('a', '1', role)))).toEqual(roles.slice(0, 6))
})

test('a member is an id under one incarnation; after a wipe it is another', () => {
  const config: Config = { format: 1, members: [member('a', '1', 'leaving'), member('a', '2', 'joining')] }
  expect(findMember(config, 'a', '2')?.role).toBe('joining')
  expect(findMember(config, 'a', '3')).toBeUndefined()
  expect(findMember(config, 'b', '1')).toBeUndefined()
})
