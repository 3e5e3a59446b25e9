import { Reader, Writer } from '@raftkit/bytes'
import { describe, expect, test } from 'vitest'
import type { Request } from '../src/index.ts'
import { Pool } from '../src/pool.ts'
import { Used } from '../src/used.ts'
import { mulberry } from './world.ts'

const ask = (client: number, session: number, seq: number, count = 1): Request => ({
  ...{ client: new Uint8Array([client]), session, seq, signature: new Uint8Array(0) },
  operations: Array.from({ length: count }, () => new Uint8Array(0)),
})

const bytes = (used: Used): string => Buffer.from(used.write(new Writer()).finish()).toString('hex')

describe('numbers of a session (§3.6)', () => {
  test('run once each, in any order within 256, as a list of them says', () => {
    const random = mulberry(1)
    const used = new Used()
    const seen = new Set<number>()
    let highest = -1
    for (let step = 0; step < 5000; step++) {
      const seq = Math.max(0, highest - 300 + Math.floor(random() * 400))
      const count = 1 + Math.floor(random() * 64)
      const numbers = Array.from({ length: count }, (_, at) => seq + at)
      const isFresh = seq > highest - 256 && !numbers.some((number) => seen.has(number))
      expect(used.isFresh(ask(1, 1, seq, count)), `${seq} to ${seq + count}, behind ${highest}`).toBe(isFresh)
      if (!isFresh || random() < 0.3) continue
      used.use(ask(1, 1, seq, count))
      for (const number of numbers) seen.add(number)
      highest = Math.max(highest, seq + count - 1)
    }
    expect(seen.size).toBeGreaterThan(1000)
  })

  test('of the eight highest sessions of a client are remembered, and nothing below them ever runs again', () => {
    const used = new Used()
    for (let session = 10; session < 20; session++) used.use(ask(1, session, 1))
    expect(used.isFresh(ask(1, 10, 1))).toBe(false)
    expect(used.isFresh(ask(1, 11, 7))).toBe(false)
    expect(used.isFresh(ask(1, 12, 1))).toBe(false)
    expect(used.isFresh(ask(1, 12, 2))).toBe(true)
    expect(used.isFresh(ask(1, 20, 1))).toBe(true)
    expect(used.isFresh(ask(2, 1, 1))).toBe(true)
  })

  test('are kept apart on each branch until one of them is committed', () => {
    const used = new Used()
    used.use(ask(1, 1, 1))
    const left = used.behind()
    left.use(ask(1, 1, 2))
    const right = used.behind()
    right.use(ask(1, 1, 3))
    const next = left.behind()
    expect([next.isFresh(ask(1, 1, 1)), next.isFresh(ask(1, 1, 2)), next.isFresh(ask(1, 1, 3))]).toEqual([
      ...[false, false, true],
    ])
    expect([used.isFresh(ask(1, 1, 2)), right.isFresh(ask(1, 1, 2))]).toEqual([true, true])
    used.absorb(left)
    next.use(ask(1, 1, 4))
    expect([used.isFresh(ask(1, 1, 2)), used.isFresh(ask(1, 1, 4))]).toEqual([false, true])
    used.absorb(next)
    expect(used.isFresh(ask(1, 1, 4))).toBe(false)
  })

  test('have one encoding, whatever the order in which they came, and are read back', () => {
    const [a, b] = [new Used(), new Used()]
    const asked = [ask(3, 1, 1), ask(1, 2, 5, 3), ask(1, 1, 9), ask(2, 7, 1), ask(1, 1, 4)]
    for (const one of asked) a.use(one)
    for (const one of [...asked].reverse()) b.use(one)
    expect(bytes(a)).toBe(bytes(b))
    const read = Used.read(new Reader(a.write(new Writer()).finish()))
    expect(bytes(read)).toBe(bytes(a))
    expect([read.isFresh(ask(1, 1, 4)), read.isFresh(ask(1, 1, 5))]).toEqual([false, true])
  })
})

describe('requests that wait', () => {
  const pooled = (client: number, seq: number): Parameters<Pool['add']>[0] => ({
    ...{ bytes: new Uint8Array(8), hash: `${client} ${seq}`, request: ask(client, 1, seq), since: seq },
    forwarded: undefined,
  })

  test('are taken by turns, one of each client, each client’s in their order (F19)', () => {
    const pool = new Pool()
    for (let seq = 1; seq <= 4; seq++) pool.add(pooled(1, seq))
    for (let seq = 1; seq <= 2; seq++) pool.add(pooled(2, seq))
    const taken = (): string | undefined => pool.take(() => true)?.hash
    expect([taken(), taken(), taken(), taken(), taken()]).toEqual(['1 1', '2 1', '1 2', '2 2', '1 3'])
    const last = pool.take(() => true)!
    expect([last.hash, taken(), pool.waiting]).toEqual(['1 4', undefined, 0])
    pool.giveBack(last)
    expect([taken(), pool.size]).toEqual(['1 4', 6])
    pool.restock()
    expect([taken(), taken(), taken()]).toEqual(['1 1', '2 1', '1 2'])
  })

  test('go when they were executed, and with them what their client has under the same numbers', () => {
    const pool = new Pool()
    for (let seq = 1; seq <= 3; seq++) pool.add(pooled(1, seq))
    const used = new Used()
    used.use(ask(1, 1, 2))
    pool.executed('1 2', ask(1, 1, 2), used, 0)
    expect([...pool].map(({ hash }) => hash)).toEqual(['1 1', '1 3'])
    used.use(ask(1, 1, 3))
    pool.executed('another', ask(1, 1, 3), used, 0)
    expect([...pool].map(({ hash }) => hash)).toEqual(['1 1'])
    expect(pool.rival(ask(1, 1, 1))?.hash).toBe('1 1')
    expect(pool.rival(ask(1, 2, 1))).toBeUndefined()
  })

  test('in a copy are others', () => {
    const pool = new Pool()
    pool.add(pooled(1, 1))
    const copy = pool.fork()
    copy.take(() => true)
    copy.add(pooled(1, 2))
    expect([pool.size, pool.take(() => true)?.hash, copy.take(() => true)?.hash]).toEqual([1, '1 1', '1 2'])
  })
})
