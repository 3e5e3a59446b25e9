import { jointConsensus } from '@raftkit/membership'
import { expect, test } from 'vitest'
import { allWell, config, expectRefusal } from './notation.ts'

const policy = jointConsensus()
const begin = (request: unknown) => policy.begin(config('a b c d:learner'), request as never, allWell)

test.each<[string, unknown, RegExp]>([
  ['nothing', undefined, /an object with a type/],
  ['null', null, /an object with a type/],
  ['a list', [], /an object with a type/],
  ['a text', 'remove', /an object with a type/],
  ['no type', {}, /has the type addVoter, .*; not undefined/],
  ['an unknown type', { type: 'removeAll' }, /not "removeAll"/],
  ['a type of every object', { type: 'constructor' }, /not "constructor"/],
  ['a type that is a list', { type: ['remove'], id: 'a' }, /not a list/],
  ['no id', { type: 'remove' }, /remove\.id is 1 to 64 letters.*not undefined/],
  ['an id with a space', { type: 'remove', id: 'a b' }, /remove\.id/],
  ['an id that is too long', { type: 'remove', id: 'a'.repeat(65) }, /remove\.id/],
  ['an id that begins with a dot', { type: 'promote', id: '.a' }, /promote\.id/],
  ['an id that ends with a line break', { type: 'promote', id: 'a\n' }, /promote\.id/],
  ['no incarnation', { type: 'addVoter', id: 'e' }, /addVoter\.incarnation/],
  ['an empty incarnation', { type: 'addLearner', id: 'e', incarnation: '' }, /addLearner\.incarnation/],
  [
    'an address that is a number',
    { type: 'addVoter', id: 'e', incarnation: '1', address: 7001 },
    /addVoter\.address.*not 7001/,
  ],
  ['an empty address', { type: 'setAddress', id: 'a', address: '' }, /setAddress\.address/],
  ['an address with a space', { type: 'setAddress', id: 'a', address: 'a b' }, /setAddress\.address/],
  ['an address beyond all length', { type: 'setAddress', id: 'a', address: 'a'.repeat(1025) }, /setAddress\.address/],
  ['force that is a text', { type: 'remove', id: 'a', force: 'yes' }, /remove\.force is true or false, not "yes"/],
  [
    'force that is misspelt',
    { type: 'remove', id: 'a', Force: true },
    /remove has no field "Force"; it has type, id, force/,
  ],
  ['force where there is none', { type: 'promote', id: 'd', force: true }, /promote has no field "force"/],
  [
    'replace without whom',
    { type: 'replace', id: 'a' },
    /replace\.with is \{ id, incarnation, address\? \}, not undefined/,
  ],
  ['replace with an id alone', { type: 'replace', id: 'a', with: 'e' }, /replace\.with/],
  [
    'replace with a role',
    { type: 'replace', id: 'a', with: { id: 'e', incarnation: '1', role: 'voter' } },
    /no field "role"/,
  ],
  ['change without voters', { type: 'change', learners: ['a'] }, /change\.voters is a list/],
  ['change with one voter that is no list', { type: 'change', voters: 'a' }, /change\.voters is a list/],
  [
    'change with learners that are no list',
    { type: 'change', voters: ['a'], learners: { 0: 'b' } },
    /change\.learners is a list/,
  ],
  ['change with a number', { type: 'change', voters: ['a', 5] }, /change\.voters\[1\]/],
  ['change with a bad id', { type: 'change', voters: ['a'], learners: [''] }, /change\.learners\[0\]/],
  [
    'change with an id without incarnation',
    { type: 'change', voters: [{ id: 'a' }] },
    /change\.voters\[0\]\.incarnation/,
  ],
  ['change with a voter twice', { type: 'change', voters: ['a', { id: 'a', incarnation: '2' }] }, /lists a twice/],
  ['change with a voter and learner in one', { type: 'change', voters: ['a'], learners: ['a'] }, /lists a twice/],
])('%s is no request', (_, request, message) => {
  expectRefusal(() => begin(request), 'INVALID_OPTION', message)
})

test('fields that are undefined are absent', () => {
  expect(begin({ type: 'remove', id: 'c', force: undefined })).toEqual(begin({ type: 'remove', id: 'c' }))
  expect(begin({ type: 'change', voters: ['a'], learners: undefined })).toEqual(
    begin({ type: 'change', voters: ['a'] }),
  )
  expect(begin({ type: 'addVoter', id: 'e', incarnation: '1', address: undefined })).toEqual(
    begin({ type: 'addVoter', id: 'e', incarnation: '1' }),
  )
})

test('what does not fit is shown, but not at length', () => {
  expectRefusal(() => begin({ type: 'x'.repeat(1_000_000) }), 'INVALID_OPTION', /^.{1,400}$/s)
})
