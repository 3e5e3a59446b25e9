import type { Answer, RaftkitError, SignatureCheck, Signatures } from '@raftkit/contract'
import { expect, test } from 'vitest'
import { Answers } from '../src/answers.ts'
import { decodeResult, encodeCommand, replicate } from '../src/index.ts'
import { carryOut } from '../src/signing.ts'
import { counters } from './cluster.ts'

const bytes = Uint8Array.of(1, 2, 3)
const check: SignatureCheck = { key: bytes, bytes, signature: bytes }

/** What came of the two asks, in order. */
async function asked(signatures: Signatures | undefined): Promise<(Answer | RaftkitError)[]> {
  const came: (Answer | RaftkitError)[] = []
  const put = (one: Answer | RaftkitError): void => void came.push(one)
  carryOut({ type: 'sign', id: 1, bytes }, signatures, put, put)
  carryOut({ type: 'verify', id: 2, checks: [check] }, signatures, put, put)
  await new Promise((resolve) => setImmediate(resolve))
  return came
}

test('what signs or verifies at once is answered at once, what takes its time later', async () => {
  const expected = [
    { type: 'sign', signature: bytes },
    { type: 'verify', valid: [true] },
  ]
  const came: Answer[] = []
  const never = (error: RaftkitError): never => {
    throw error
  }
  const direct: Signatures = { key: bytes, sign: () => bytes, verify: () => [true] }
  carryOut({ type: 'sign', id: 1, bytes }, direct, (answer) => came.push(answer), never)
  expect(came).toEqual([expected[0]])
  expect(await asked(direct)).toEqual(expected)
  expect(await asked({ key: bytes, sign: async () => bytes, verify: async () => [true] })).toEqual(expected)
})

test('signatures that throw, reject or are missing stop the replica, with the reason', async () => {
  const fail = (): never => {
    throw new Error('the device is gone')
  }
  const reject = async (): Promise<never> => fail()
  for (const broken of [
    { key: bytes, sign: fail, verify: fail },
    { key: bytes, sign: reject, verify: reject },
  ])
    for (const error of await asked(broken))
      expect(error).toMatchObject({ code: 'SIGNING_FAILED', message: expect.stringContaining('the device is gone') })
  for (const error of await asked(undefined)) expect(error).toMatchObject({ code: 'INVARIANT' })
})

test('results are kept for those who ask again, the newest of them, within bounds of number and bytes', () => {
  const answers = new Answers(3, 100)
  for (let index = 1; index <= 5; index++) answers.add(index, Uint8Array.of(index))
  expect([1, 2, 3, 4, 5].map((index) => answers.get(index)?.[0])).toEqual([undefined, undefined, 3, 4, 5])
  answers.add(6, new Uint8Array(99))
  expect([4, 5, 6].map((index) => answers.get(index)?.length)).toEqual([undefined, 1, 99])
})

test('a command that a client encodes for itself is executed by the machine, and its result is read', () => {
  const machine = replicate(counters)
  const apply = (data: Uint8Array) => machine.apply([{ index: machine.applied + 1, time: 0, seed: 0, data }])[0]!
  expect(decodeResult(apply(encodeCommand('add', { key: 'a', by: 2 })))).toBe(2)
  expect(decodeResult(apply(encodeCommand('add', { key: 'a', by: 3 })))).toBe(5)
  expect(() => decodeResult(apply(encodeCommand('take', 'b')))).toThrow('there is none')
  expect(() => encodeCommand('add', () => 0)).toThrow('INVALID_VALUE')
})
