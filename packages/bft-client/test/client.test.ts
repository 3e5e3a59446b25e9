import { decodeRequest } from '@raftkit/bft'
import { type Outcome, RaftkitError } from '@raftkit/contract'
import { ed25519, generateKey, verifier } from '@raftkit/ed25519'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  type AnsweringMember,
  type BftClient,
  type BftClientOptions,
  bftClient,
  type Report,
  receiptVerifier,
} from '../src/index.ts'
import { Quartet } from './quartet.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString()
const never = (): Promise<never> => new Promise(() => {})

function gate(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((then) => {
    resolve = then
  })
  return { promise, resolve }
}

let quartet: Quartet
let reports: Report[]
let client: BftClient

const opened = (more: Partial<BftClientOptions> = {}): BftClient =>
  bftClient({
    trust: quartet.trust,
    signatures: ed25519(generateKey()),
    wire: quartet.wire,
    patience: 50,
    report: (report) => void reports.push(report),
    ...more,
  })

/** The error's code and outcome. */
async function failure(call: Promise<unknown>): Promise<[string, Outcome | undefined]> {
  const error = (await call.then(
    () => undefined,
    (reason) => reason,
  )) as RaftkitError
  return [error.code, error.outcome]
}

beforeEach(() => {
  quartet = new Quartet()
  reports = []
  client = opened()
})

describe('a request', () => {
  test('is signed, executed, and answered alike by f + 1 members', async () => {
    const done = await client.submit([bytes('one'), bytes('two')])
    expect(done.results.map(text)).toEqual(['ONE', 'TWO'])
    expect(done.position).toBe(2)
    expect(done.by).toHaveLength(2)
    expect(quartet.log).toEqual(['one', 'two'])
    expect(decodeRequest(done.request).client).toEqual(client.key)
    expect(reports).toEqual([])
  })

  test('is sent to f + 1 members, he who is said to lead first, as long as they agree', async () => {
    const patient = opened({ patience: 60_000 })
    await patient.submit([bytes('who leads?')])
    quartet.asked.clear()
    await patient.submit([bytes('m2 does')])
    expect([...quartet.asked]).toEqual([
      ['m2', 1],
      ['m3', 1],
    ])
  })

  test('of many at once takes numbers one behind the other, and no more than the members can tell apart', async () => {
    const all = Array.from({ length: 30 }, (_, at) =>
      client.submit(Array.from({ length: 20 }, (_, n) => bytes(`${at} ${n}`))),
    )
    const done = await Promise.all(all)
    expect(new Set(quartet.log).size).toBe(600)
    const numbers = quartet.executed.map(({ seq }) => seq).sort((a, b) => a - b)
    expect(numbers).toEqual(Array.from({ length: 30 }, (_, at) => 1 + 20 * at))
    expect(done.map(({ results }) => results.length)).toEqual(Array(30).fill(20))
  })

  test('waits while 256 operations are open, and is refused as not begun when its time is over', async () => {
    for (const id of ['m0', 'm1', 'm2', 'm3']) quartet.lies.set(id, () => ({ submit: never }))
    const stuck = new AbortController()
    const open = Array.from({ length: 4 }, () =>
      failure(client.submit(Array(64).fill(bytes('x')), { signal: stuck.signal })),
    )
    expect(await failure(client.submit([bytes('late')], { timeout: 30 }))).toEqual(['TIMEOUT', 'refused'])
    const aborted = new AbortController()
    const waiting = failure(client.submit([bytes('late too')], { signal: aborted.signal }))
    aborted.abort()
    expect(await waiting).toEqual(['ABORTED', 'refused'])
    stuck.abort()
    expect(await Promise.all(open)).toEqual(Array(4).fill(['ABORTED', 'unknown']))
    quartet.lies.clear()
    expect((await client.submit([bytes('room again')])).results.map(text)).toEqual(['ROOM AGAIN'])
  })

  test('that cannot be one is refused before anything is signed', async () => {
    for (const wrong of [[], Array(65).fill(bytes('x')), [new Uint8Array()]])
      expect(await failure(client.submit(wrong))).toEqual(['INVALID_OPTION', 'refused'])
    expect(quartet.asked.size).toBe(0)
  })
})

describe('a member that lies', () => {
  test('about the result is outvoted and reported', async () => {
    quartet.lies.set('m0', ({ submit }) => ({
      submit: async (...given) => ({ ...(await submit(...given)), results: [bytes('a lie')] }),
    }))
    expect((await client.submit([bytes('truth')])).results.map(text)).toEqual(['TRUTH'])
    expect(reports).toEqual([{ type: 'mismatch', member: 'm0' }])
  })

  test('about the position is outvoted and reported', async () => {
    quartet.lies.set('m0', ({ submit }) => ({
      submit: async (...given) => ({ ...(await submit(...given)), index: 77 }),
    }))
    expect((await client.submit([bytes('truth')])).position).toBe(2)
    expect(reports).toEqual([{ type: 'mismatch', member: 'm0' }])
  })

  test('by refusing what the others execute is outvoted and reported', async () => {
    quartet.lies.set('m0', () => ({
      submit: async () => {
        throw new RaftkitError('REFUSED', 'not today', { outcome: 'refused' })
      },
    }))
    expect((await client.submit([bytes('truth')])).results.map(text)).toEqual(['TRUTH'])
    expect(reports).toEqual([{ type: 'mismatch', member: 'm0' }])
  })

  test('by answering another request once more is outvoted and reported', async () => {
    let first: Awaited<ReturnType<AnsweringMember['submit']>> | undefined
    quartet.lies.set('m0', ({ submit }) => ({
      submit: async (...given) => {
        first ??= await submit(...given)
        return first
      },
    }))
    await client.submit([bytes('first')])
    quartet.leader = 'm0'
    await client.submit([bytes('tell me who leads')])
    expect((await client.submit([bytes('third')])).results.map(text)).toEqual(['THIRD'])
    expect(reports).toContainEqual({ type: 'mismatch', member: 'm0' })
  })

  test('and is slower than the others is heard, too: the call does not wait, the report comes', async () => {
    const { promise, resolve } = gate()
    quartet.lies.set('m0', () => ({
      submit: async () => {
        await promise
        return { index: 77, results: [bytes('a lie')] }
      },
    }))
    expect((await client.submit([bytes('truth')])).results.map(text)).toEqual(['TRUTH'])
    expect(reports).toEqual([])
    resolve()
    await expect.poll(() => reports).toEqual([{ type: 'mismatch', member: 'm0' }])
  })

  test('by silence, or with what is no answer, holds nobody up', async () => {
    quartet.lies.set('m0', () => ({ submit: never }))
    expect((await client.submit([bytes('one')])).results.map(text)).toEqual(['ONE'])
    const { wire } = quartet
    const garbled = opened({
      wire: { send: async (id, ...rest) => (id === 'm0' ? bytes('garbage') : wire.send(id, ...rest)) },
    })
    expect((await garbled.submit([bytes('two')])).results.map(text)).toEqual(['TWO'])
    expect(reports).toEqual([expect.objectContaining({ type: 'malformed', member: 'm0' })])
  })

  test('and f more that are away leave no f + 1 that agree: its outcome is unknown, and nothing is believed', async () => {
    quartet.lies.set('m0', ({ submit }) => ({
      submit: async (...given) => ({ ...(await submit(...given)), results: [bytes('a lie')] }),
    }))
    for (const id of ['m1', 'm2']) quartet.lies.set(id, () => ({ submit: never }))
    expect(await failure(client.submit([bytes('x')], { timeout: 200 }))).toEqual(['TIMEOUT', 'unknown'])
  })
})

describe('what is sent again', () => {
  test('is executed once, however many members and times it takes', async () => {
    let lost = 6
    const { wire } = quartet
    const lossy = opened({
      wire: {
        send: async (...given) => {
          const answer = await wire.send(...given)
          if (lost-- > 0) throw new Error('the answer was lost')
          return answer
        },
      },
    })
    expect((await lossy.submit([bytes('once')])).results.map(text)).toEqual(['ONCE'])
    expect(quartet.log).toEqual(['once'])
    expect(reports.map(({ type }) => type)).toEqual(Array(4).fill('unreachable'))
  })

  test('by another process, from the bytes that were kept, is executed once too', async () => {
    const request = await client.sign([bytes('kept')])
    const [first, second] = [await client.send(request), await opened().send(request)]
    expect(second.position).toBe(first.position)
    expect(quartet.log).toEqual(['kept'])
  })

  test('after what passes by: overload, a member that closes', async () => {
    let overloaded = 5
    for (const id of ['m0', 'm1', 'm2', 'm3'])
      quartet.lies.set(id, ({ submit }) => ({
        submit: async (...given) => {
          if (overloaded-- > 0)
            throw new RaftkitError('OVERLOADED', 'too much', { outcome: 'refused', retryable: true })
          return submit(...given)
        },
      }))
    expect((await client.submit([bytes('patience')])).results.map(text)).toEqual(['PATIENCE'])
  })

  test('is given up when f + 1 members refuse it for good', async () => {
    const forger = opened({ signatures: { ...ed25519(generateKey()), sign: () => new Uint8Array(64) } })
    expect(await failure(forger.submit([bytes('forged')]))).toEqual(['REFUSED', 'refused'])
    expect(quartet.log).toEqual([])
  })

  test('ends with the caller, who is told that it may have happened', async () => {
    for (const id of ['m0', 'm1', 'm2', 'm3']) quartet.lies.set(id, () => ({ submit: never }))
    const end = new AbortController()
    const call = failure(client.submit([bytes('x')], { signal: end.signal }))
    setTimeout(() => end.abort(), 20)
    expect(await call).toEqual(['ABORTED', 'unknown'])
    expect(await failure(client.submit([bytes('y')], { signal: end.signal }))).toEqual(['ABORTED', 'refused'])
  })
})

describe('a receipt', () => {
  test('is verified before it is handed over, and again by others, offline', async () => {
    const { position, request } = await client.submit([bytes('a'), bytes('b')])
    const receipt = await client.receipt(position + 1)
    expect(receipt.proven.position).toBe(position)
    expect(receipt.proven.request).toEqual(decodeRequest(request))
    const verify = receiptVerifier({ ...quartet.trust, signatures: verifier() })
    expect(await verify(receipt.bytes)).toEqual(receipt.proven)
    expect(await failure(verify(receipt.bytes.map((byte, at) => (at === 200 ? byte ^ 1 : byte))))).toContain('REFUSED')
  })

  test('that is for something else, or for nothing, is refused and reported; the next member is asked', async () => {
    const { position } = await client.submit([bytes('a')])
    await client.submit([bytes('b')])
    quartet.leader = 'm0'
    await client.submit([bytes('tell me who leads')])
    quartet.lies.set('m0', ({ receipt }) => ({ receipt: (index) => receipt(index + 1) }))
    quartet.lies.set('m1', ({ receipt }) => ({ receipt: async (index) => (await receipt(index))?.slice(0, -1) }))
    expect((await client.receipt(position)).proven.position).toBe(position)
    expect(reports.map(({ type, member }) => [type, member])).toContainEqual(['invalidReceipt', 'm0'])
  })

  test('of what never happened is none', async () => {
    expect(await failure(client.receipt(99, { timeout: 100 }))).toEqual(['TIMEOUT', 'refused'])
  })
})

describe('a read', () => {
  test('is what f + 1 members answer alike, once those that lag have caught up', async () => {
    await client.submit([bytes('a')])
    let behind = 2
    for (const id of ['m0', 'm2'])
      quartet.lies.set(id, () => ({
        read: async (question) => new Uint8Array([...question, behind-- > 0 ? behind : 1]),
      }))
    quartet.lies.set('m3', () => ({ read: never }))
    expect(await client.read(new Uint8Array([5]))).toEqual(new Uint8Array([5, 1]))
  })

  test('of an app that answers none is refused', async () => {
    for (const id of ['m0', 'm1', 'm2', 'm3']) quartet.lies.set(id, () => ({ read: undefined as never }))
    expect(await failure(client.read(new Uint8Array([5])))).toEqual(['REFUSED', 'refused'])
  })
})

test('options that make no sense are refused', () => {
  expect(() => opened({ timeout: 0 })).toThrow('INVALID_OPTION')
  expect(() => opened({ trust: { ...quartet.trust, epochs: [] } })).toThrow('INVALID_OPTION')
})
