import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { describe, expect, test } from 'vitest'
import { createNode, defineMachine, type NodeOptions } from '../src/index.ts'

const machine = defineMachine({ initial: () => ({ n: 0 }), commands: { add: (state) => ++state.n } })
const good = (): NodeOptions<typeof machine> => ({
  id: 'n1',
  cluster: 'test',
  machine,
  members: { n1: 'a1', n2: 'a2' },
  storage: memoryStorage(),
  transport: memoryNetwork().transport(),
})

describe('createNode refuses, and says which option and what to do', () => {
  const cases: [string, object, RegExp][] = [
    ['no id', { id: undefined }, /id must be at most 64/],
    ['an id with a slash', { id: 'a/b' }, /id must be/],
    ['a long cluster', { cluster: 'c'.repeat(65) }, /cluster must be/],
    ['no machine', { machine: undefined }, /machine is missing/],
    ['half a machine', { machine: { version: 1, apply() {} } }, /machine has no method query/],
    ['no members', { members: undefined }, /members is missing.*join: true/],
    ['members without itself', { members: { n2: 'a2' } }, /members does not list n1/],
    ['members as a list', { members: ['n1', 'n2'] }, /members must be an object/],
    ['a member without an address', { members: { n1: 'a1', n2: '' } }, /no address for n2/],
    ['one address twice', { members: { n1: 'a1', n2: 'a1' } }, /gives a1 to two nodes/],
    ['a storage that is none', { storage: {} }, /storage has no method groups; is it the right package/],
    ['no transport', { transport: undefined }, /transport is missing/],
    ['a membership that is none', { membership: { begin() {} } }, /membership has no method isQuorum/],
    ['a drift above a half', { leases: { drift: 0.6 } }, /leases.drift must be a share/],
    ['a text as timeout', { timeout: 'soon' }, /timeout is soon; give a number/],
    ['a negative limit', { limits: { waitingCalls: -1 } }, /limits.waitingCalls is -1/],
    ['snapshots after nothing', { snapshots: { everyEntries: 0 } }, /snapshots.everyEntries is 0/],
    ['half an environment', { environment: { now: () => 0 } }, /environment has no method wall/],
    ['a protocol that is none', { protocol: { name: 'x' } }, /protocol has no method open/],
  ]
  test.each(cases)('%s', async (_, difference, message) => {
    const failure = await createNode({ ...good(), ...difference } as NodeOptions<typeof machine>).catch(
      (error) => error,
    )
    expect(failure.message).toMatch(message)
    expect(failure.code).toBe('INVALID_OPTION')
  })

  test('an adapter of another major of the contract, with the fix', async () => {
    const storage = Object.assign(Object.create(memoryStorage()), { contract: 2 })
    const failure = await createNode({ ...good(), storage }).catch((error) => error)
    expect(failure).toMatchObject({ code: 'CONTRACT_MISMATCH' })
    expect(failure.message).toMatch(/storage follows contract 2.*install versions/)
  })
})
