import { createHash } from 'node:crypto'
import { encodeValue } from '@raftkit/bytes'
import type { Command } from '@raftkit/contract'
import { describe, expect, it } from 'vitest'
import { commandEntry, openEntry } from '../src/entry.ts'
import { defineMachine } from '../src/machine.ts'
import { type ReplicatedMachine, replicate } from '../src/replicate.ts'

const store = defineMachine({
  initial: () => ({ log: [] as unknown[], names: new Map<unknown, unknown>(), seen: new Set<unknown>() }),
  commands: {
    keep: (state, value: unknown, { index, random }) => {
      state.log.push([index, random(), value])
      state.names.set(value, index)
      state.seen.add(value)
      return state.log.length
    },
    grow: (state, bytes: number) => {
      state.log.push(new Uint8Array(bytes).fill(7))
    },
  },
  queries: { log: (state) => state.log },
})

const values = [
  null,
  undefined,
  true,
  -0,
  Number.NaN,
  2 ** 53,
  'ä😀',
  10n ** 30n,
  new Uint8Array([1, 2]),
  [[]],
  { a: { b: 1 } },
]

function entries(count: number): Command[] {
  return Array.from({ length: count }, (_, i) => {
    const index = i + 1
    const data =
      index % 10 === 1
        ? openEntry(new Uint8Array(16).fill(index), 5)
        : commandEntry(
            { session: Math.floor(i / 10) * 10 + 1, seq: i % 10, low: 1 },
            'keep',
            encodeValue(values[index % values.length]),
          )
    return { index, time: 1_000 + index, seed: index * 31, data }
  })
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return new Uint8Array(Buffer.concat(parts))
}

async function* asChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const read = (machine: ReplicatedMachine): unknown => machine.query({ name: 'log', input: undefined })

describe("a machine's snapshot", () => {
  it('replaces what a machine held before: a key that is not in it is gone (jgroups-raft#301)', async () => {
    const keys = defineMachine({
      initial: () => new Map<string, number>(),
      commands: { set: (state, key: string) => void state.set(key, 1) },
      queries: { all: (state) => [...state.keys()] },
    })
    const [one, two] = [replicate(keys), replicate(keys)]
    const set = (index: number, key: string): Command => ({
      index,
      time: 0,
      seed: 0,
      data: commandEntry(undefined, 'set', encodeValue(key)),
    })
    one.apply([set(1, 'a')])
    two.apply([set(1, 'b')])
    await two.restore(one.snapshot())
    expect(two.query({ name: 'all', input: undefined })).toEqual(['a'])
    expect(hex(two.encode())).toBe(hex(one.encode()))
  })

  it('B59: holds state, sessions and index of one moment, whichever entry it is taken after', async () => {
    const log = entries(60)
    const whole = replicate(store)
    whole.apply(log)
    for (let cut = 0; cut <= log.length; cut++) {
      const machine = replicate(store)
      machine.apply(log.slice(0, cut))
      const restored = replicate(store)
      await restored.restore(machine.snapshot())
      expect(restored.applied).toBe(cut)
      expect(hex(restored.encode())).toBe(hex(machine.encode()))
      restored.apply(log.slice(cut))
      expect(hex(restored.encode())).toBe(hex(whole.encode()))
    }
  })

  it('is frozen on return and streamed while apply goes on, in chunks of at most 256 KiB', async () => {
    const machine = replicate(store)
    const grow = (index: number): Command => ({
      index,
      time: 0,
      seed: 0,
      data: commandEntry(undefined, 'grow', encodeValue(400_000)),
    })
    machine.apply([grow(1), grow(2)])
    const before = machine.encode()
    const sizes: number[] = []
    const parts: Uint8Array[] = []
    let index = 3
    for await (const chunk of machine.snapshot()) {
      machine.apply([grow(index++)])
      sizes.push(chunk.length)
      parts.push(chunk)
    }
    expect(sizes.length).toBeGreaterThan(3)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256 * 1024)
    const restored = replicate(store)
    await restored.restore(asChunks(Buffer.concat(parts), 100_000))
    expect(hex(restored.encode())).toBe(hex(before))
    expect(restored.applied).toBe(2)
  })

  it('replaces everything, in pieces of any size', async () => {
    const log = entries(40)
    const source = replicate(store)
    source.apply(log.slice(0, 20))
    const bytes = await bytesOf(source.snapshot())
    for (const size of [1, 7, bytes.length]) {
      const target = replicate(store)
      target.apply(log)
      await target.restore(asChunks(bytes, size))
      expect(hex(target.encode())).toBe(hex(source.encode()))
    }
  })

  it('is refused when cut or altered anywhere, and has then changed nothing', async () => {
    const machine = replicate(store)
    machine.apply(entries(25))
    const good = await bytesOf(machine.snapshot())
    const target = replicate(store)
    target.apply(entries(5))
    const before = target.encode()
    for (let at = 0; at < good.length; at++) {
      const bad = good.slice()
      bad[at]! ^= 1 << (at % 8)
      const code = at === 0 ? 'UNKNOWN_FORMAT' : 'DAMAGED'
      await expect(target.restore(asChunks(bad, 4096))).rejects.toMatchObject({ code })
      await expect(target.restore(asChunks(good.subarray(0, at), 4096))).rejects.toMatchObject({ code: 'DAMAGED' })
    }
    expect(hex(target.encode())).toBe(hex(before))
    target.apply(entries(6).slice(5))
    expect(target.applied).toBe(6)
  })

  it('B60: says which index it holds, and takes no entry at or below it', async () => {
    const log = entries(30)
    const machine = replicate(store)
    machine.apply(log.slice(0, 20))
    const restored = replicate(store)
    await restored.restore(machine.snapshot())
    expect(restored.applied).toBe(20)
    expect(() => restored.apply(log.slice(19))).toThrow(expect.objectContaining({ code: 'INVARIANT' }))
  })

  it('Q12: answers queries as the machine it was taken of', async () => {
    const machine = replicate(store)
    machine.apply(entries(30))
    const restored = replicate(store)
    await restored.restore(machine.snapshot())
    expect(read(restored)).toEqual(read(machine))
  })
})

describe('R19: the hash of a machine', () => {
  it('is SHA-256 of its encoding: equal after equal entries, whatever the batches, restored or not', async () => {
    const log = entries(50)
    const [one, two, three] = [replicate(store), replicate(store), replicate(store)]
    one.apply(log)
    for (const entry of log) two.apply([entry])
    const middle = replicate(store)
    middle.apply(log.slice(0, 33))
    await three.restore(middle.snapshot())
    three.apply(log.slice(33))
    const expected = createHash('sha256').update(one.encode()).digest('hex')
    for (const machine of [one, two, three]) expect(Buffer.from(await machine.hash()).toString('hex')).toBe(expected)
    expect(two.stateBytes()).toEqual(one.stateBytes())
    expect(await middle.hash()).not.toEqual(await one.hash())
  })

  it('differs when sessions differ, though the state does not', () => {
    const [one, two] = [replicate(store), replicate(store)]
    const at = { index: 1, time: 0, seed: 0 }
    one.apply([{ ...at, data: openEntry(new Uint8Array(16).fill(1), 5) }])
    two.apply([{ ...at, data: openEntry(new Uint8Array(16).fill(2), 5) }])
    expect(two.stateBytes()).toEqual(one.stateBytes())
    expect(two.encode()).not.toEqual(one.encode())
  })

  it('differs as soon as a command is not deterministic', () => {
    let outside = 0
    const impure = defineMachine({
      initial: () => ({ n: 0 }),
      commands: {
        look: (state) => {
          state.n = ++outside
        },
      },
    })
    const [one, two] = [replicate(impure), replicate(impure)]
    const entry = { index: 1, time: 0, seed: 0, data: commandEntry(undefined, 'look', encodeValue(undefined)) }
    one.apply([entry])
    two.apply([entry])
    expect(two.encode()).not.toEqual(one.encode())
  })
})
