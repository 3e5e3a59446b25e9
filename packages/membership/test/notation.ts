import type { Config, ErrorCode, Member, Role, Standing } from '@raftkit/contract'
import { isRaftkitError } from '@raftkit/contract'
import { expect } from 'vitest'

/*
 * Configurations as text: `a b@2 c:learner` is a voter a under incarnation 1, a voter b under incarnation 2, and a learner c.
 */
export function config(text: string): Config {
  const members = text.split(' ').map((word): Member => {
    const [who = '', role = 'voter'] = word.split(':')
    const [id = '', incarnation = '1'] = who.split('@')
    return { id, incarnation, role: role as Role }
  })
  return { format: 1, members }
}

export function text({ members }: Config): string {
  return members
    .map(
      ({ id, incarnation, role }) =>
        id + (incarnation === '1' ? '' : `@${incarnation}`) + (role === 'voter' ? '' : `:${role}`),
    )
    .join(' ')
}

/** All are up to date but these. */
export function without(...ids: string[]): Standing {
  const accepts = ({ id, incarnation }: Member): boolean => !ids.includes(id) && !ids.includes(`${id}@${incarnation}`)
  return { caughtUp: accepts, reachable: accepts }
}

export const allWell: Standing = without()

export function expectRefusal(run: () => unknown, code: ErrorCode, message: RegExp = /./): void {
  let result: unknown
  try {
    result = run()
  } catch (error) {
    if (!isRaftkitError(error)) throw error
    expect([error.code, error.outcome]).toEqual([code, 'refused'])
    expect(error.message).toMatch(message)
    return
  }
  expect.fail(`nothing was refused: ${JSON.stringify(result)}`)
}
