import { encodeValue } from '@raftkit/bytes'
import type { Command } from '@raftkit/contract'
import { describe, expect, it } from 'vitest'
import { commandCalls, queryCalls } from '../src/calls.ts'
import { closeEntry, commandEntry, openEntry, readEntry, versionEntry } from '../src/entry.ts'
import { type AnyMachine, type Context, defineMachine } from '../src/machine.ts'
import { decodeCommand, encodeCommand } from '../src/operation.ts'
import { isRefusal, Refusal } from '../src/refusal.ts'
import { type ReplicatedMachine, replicate } from '../src/replicate.ts'
import { decodeResult } from '../src/result.ts'

const place = (index: number, data: Uint8Array, time = 1000 + index, seed = index * 77): Command => ({
  index,
  time,
  seed,
  data,
})
const run = (machine: ReplicatedMachine, index: number, name: string, input?: unknown): unknown =>
  decodeResult(machine.apply([place(index, commandEntry(undefined, name, encodeValue(input)))])[0]!)

const accounts = defineMachine({
  initial: () => new Map<string, number>(),
  commands: {
    deposit: (balances, { to, amount }: { to: string; amount: number }) => {
      balances.set(to, (balances.get(to) ?? 0) + amount)
      return balances.get(to)!
    },
    withdraw: (balances, { from, amount }: { from: string; amount: number }) => {
      const balance = balances.get(from) ?? 0
      if (balance < amount)
        throw new Refusal(`${from} has ${balance}`, { code: 'INSUFFICIENT', details: { balance, asked: amount } })
      balances.set(from, balance - amount)
      return balance - amount
    },
    explode: (balances) => {
      balances.set('half', 1)
      throw new TypeError('undefined is not a function')
    },
  },
  queries: {
    balance: (balances, of: string) => balances.get(of) ?? 0,
    all: (balances) => balances,
    refuse: () => {
      throw new Refusal('not today', { code: 'CLOSED_ON_SUNDAYS' })
    },
  },
})

describe('defineMachine', () => {
  it('refuses what a program without types may pass', () => {
    const define = defineMachine as (definition: unknown) => AnyMachine
    const initial = () => ({})
    for (const wrong of [
      undefined,
      { commands: {} },
      { initial },
      { initial, commands: { add: 3 } },
      { initial, commands: { '': () => 1 } },
      { initial, commands: { ['x'.repeat(300)]: () => 1 } },
      { initial, commands: {}, queries: null },
      { initial, commands: {}, version: 0 },
      { initial, commands: {}, version: 1.5 },
      { initial, commands: { later: async () => 1 } },
      { initial, commands: { *some() {} } },
      { initial, commands: {}, queries: { later: async () => 1 } },
    ])
      expect(() => define(wrong)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('is not taken by a first state that is no value, or no object', () => {
    for (const initial of [() => ({ at: new Date(0) }), () => 3 as unknown as object, () => null as unknown as object])
      expect(() => replicate(defineMachine({ initial, commands: {} }))).toThrow(
        expect.objectContaining({ code: 'INVALID_VALUE' }),
      )
  })

  it('starts every replica from a state of its own, even if the program hands out the same object', () => {
    const shared = { list: [] as number[] }
    const definition = defineMachine({
      initial: () => shared,
      commands: { push: (state, n: number) => state.list.push(n) },
    })
    const [one, two] = [replicate(definition), replicate(definition)]
    expect(run(one, 1, 'push', 5)).toBe(1)
    expect(run(two, 1, 'push', 5)).toBe(1)
    expect(shared.list).toEqual([])
  })
})

describe('a replicated machine', () => {
  it('applies commands and answers queries', () => {
    const machine = replicate(accounts)
    expect(run(machine, 1, 'deposit', { to: 'ann', amount: 5 })).toBe(5)
    expect(run(machine, 2, 'withdraw', { from: 'ann', amount: 2 })).toBe(3)
    expect(machine.query({ name: 'balance', input: 'ann' })).toBe(3)
    expect(machine.applied).toBe(2)
  })

  it('gives the caller a Refusal as the result, with code, message and a copy of the details, on every replica', () => {
    const [one, two] = [replicate(accounts), replicate(accounts)]
    const entry = place(3, commandEntry(undefined, 'withdraw', encodeValue({ from: 'bob', amount: 4 })))
    const [first] = one.apply([entry])
    expect(two.apply([entry])).toEqual([first])
    let refused: unknown
    try {
      decodeResult(first!)
    } catch (error) {
      refused = error
    }
    expect(isRefusal(refused)).toBe(true)
    expect(refused).toMatchObject({
      name: 'Refusal',
      code: 'INSUFFICIENT',
      message: 'bob has 0',
      details: { balance: 0, asked: 4 },
    })
    expect(run(one, 4, 'deposit', { to: 'bob', amount: 1 })).toBe(1)
    expect(one.encode()).not.toEqual(two.encode())
    expect(run(two, 4, 'deposit', { to: 'bob', amount: 1 })).toBe(1)
    expect(one.encode()).toEqual(two.encode())
  })

  it('keeps a refusal whose message holds half of a surrogate pair, or whose details are no value', () => {
    const machine = replicate(
      defineMachine({
        initial: () => ({}),
        commands: {
          half: () => {
            throw new Refusal('\u{1f600}'.slice(0, 1))
          },
          date: () => {
            throw new Refusal('late', { details: new Date(0) })
          },
        },
      }),
    )
    expect(() => run(machine, 1, 'half')).toThrow('\ufffd')
    expect(() => run(machine, 2, 'date')).toThrow(expect.objectContaining({ code: 'INVALID_VALUE' }))
  })

  it('tells the caller, and stops nobody, when a result is no value', () => {
    const machine = replicate(
      defineMachine({
        initial: () => ({ n: 0 }),
        commands: {
          when: (state) => {
            state.n++
            return new Date(0)
          },
          count: (state) => state.n,
        },
      }),
    )
    expect(() => run(machine, 1, 'when')).toThrow(/INVALID_VALUE: the command was applied, but its result is no value/)
    expect(run(machine, 2, 'count')).toBe(1)
  })

  it('executes what it decoded from the entry, and hands out copies', () => {
    const machine = replicate(
      defineMachine({
        initial: () => ({ kept: [] as number[][] }),
        commands: {
          keep: (state, numbers: number[]) => {
            state.kept.push(numbers)
            return numbers
          },
        },
        queries: { all: (state) => state.kept },
      }),
    )
    const input = [1, 2]
    const result = run(machine, 1, 'keep', input) as number[]
    input.push(3)
    result.push(4)
    const seen = machine.query({ name: 'all', input: undefined }) as number[][]
    expect(seen).toEqual([[1, 2]])
    seen[0]!.push(5)
    expect(machine.query({ name: 'all', input: undefined })).toEqual([[1, 2]])
  })

  it('gives index, time, version and randomness from the log: equal on replicas, different from entry to entry', () => {
    const definition = defineMachine({
      initial: () => ({}),
      commands: {
        look: (_state, _input: undefined, { index, time, version, random }: Context) => [
          index,
          time,
          version,
          random(),
          random(),
        ],
      },
    })
    const look = commandEntry(undefined, 'look', encodeValue(undefined))
    const batch = [place(7, look, 500, 1), place(8, look, 400, 1), place(9, look, 600, 2)]
    const [one, two] = [replicate(definition), replicate(definition)]
    const results = one.apply(batch).map((bytes) => decodeResult(bytes) as number[])
    expect(batch.flatMap((entry) => two.apply([entry])).map(decodeResult)).toEqual(results)
    expect(results.map(([index]) => index)).toEqual([7, 8, 9])
    expect(results.map(([, time]) => time)).toEqual([500, 500, 600])
    expect(results.map(([, , version]) => version)).toEqual([1, 1, 1])
    const drawn = results.flatMap(([, , , ...numbers]) => numbers)
    expect(new Set(drawn).size).toBe(6)
    expect(drawn.every((n) => n >= 0 && n < 1)).toBe(true)
  })

  it('draws numbers that are spread evenly, and the same for ever', () => {
    const machine = replicate(
      defineMachine({
        initial: () => ({}),
        commands: { draw: (_s, count: number, { random }) => Array.from({ length: count }, random) },
      }),
    )
    const many = run(machine, 1, 'draw', 20_000) as number[]
    const mean = many.reduce((a, b) => a + b) / many.length
    expect(mean).toBeGreaterThan(0.48)
    expect(mean).toBeLessThan(0.52)
    const buckets = Array.from({ length: 16 }, (_, i) => many.filter((n) => Math.floor(n * 16) === i).length)
    expect(Math.min(...buckets)).toBeGreaterThan(1_000)
    // A change of the generator is a change of every machine that uses it: a golden vector.
    expect(run(machine, 2 ** 40 + 5, 'draw', 2)).toEqual([0.6486336584038833, 0.333076881305404])
  })

  it('rejects a query with what it throws, and goes on', () => {
    const machine = replicate(accounts)
    expect(() => machine.query({ name: 'refuse', input: undefined })).toThrow(
      expect.objectContaining({ code: 'CLOSED_ON_SUNDAYS' }),
    )
    expect(() => machine.query({ name: 'toString', input: undefined })).toThrow(
      expect.objectContaining({ code: 'REFUSED', outcome: 'refused' }),
    )
    expect(run(machine, 1, 'deposit', { to: 'ann', amount: 1 })).toBe(1)
  })
})

describe('R17, B62: what cannot be applied stops the replica, visibly and for good', () => {
  const good = commandEntry(undefined, 'deposit', encodeValue({ to: 'ann', amount: 1 }))
  const poison: [string, Uint8Array, string][] = [
    ['a command that throws', commandEntry(undefined, 'explode', encodeValue(undefined)), 'MACHINE_MISMATCH'],
    ['a command that is not defined', commandEntry(undefined, 'steal', encodeValue(undefined)), 'MACHINE_MISMATCH'],
    ['a name that objects inherit', commandEntry(undefined, 'toString', encodeValue(undefined)), 'MACHINE_MISMATCH'],
    ['a version above its own', versionEntry(2), 'MACHINE_MISMATCH'],
    ['an entry of a newer format', Uint8Array.of(2, 1), 'UNKNOWN_FORMAT'],
    ['an entry of an unknown kind', Uint8Array.of(1, 99), 'UNKNOWN_FORMAT'],
    ['an entry that is cut', good.subarray(0, 5), 'MALFORMED'],
    ['an input that is no value', commandEntry(undefined, 'deposit', Uint8Array.of(255)), 'MALFORMED'],
  ]
  for (const [what, data, code] of poison)
    it(`${what}: ${code}, from then on for every call`, async () => {
      const machine = replicate(accounts)
      run(machine, 1, 'deposit', { to: 'ann', amount: 1 })
      const stopped = expect.objectContaining({ code })
      expect(() => machine.apply([place(2, good), place(3, data), place(4, good)])).toThrow(stopped)
      expect(() => machine.apply([place(5, good)])).toThrow(stopped)
      expect(() => machine.query({ name: 'balance', input: 'ann' })).toThrow(stopped)
      expect(() => machine.snapshot()).toThrow(stopped)
      expect(() => machine.stateBytes()).toThrow(stopped)
      await expect(machine.hash()).rejects.toThrow(stopped)
    })

  it('carries what the command threw as the cause', () => {
    const machine = replicate(accounts)
    let thrown: unknown
    try {
      run(machine, 4, 'explode')
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'MACHINE_MISMATCH', cause: expect.any(TypeError) })
    expect((thrown as Error).message).toContain('"explode" of entry 4')
  })

  it('applies no index twice', () => {
    const machine = replicate(accounts)
    machine.apply([place(5, good)])
    expect(() => machine.apply([place(5, good)])).toThrow(expect.objectContaining({ code: 'INVARIANT' }))
  })

  it('stops at a command that returns a promise, which types refuse', () => {
    const later = { initial: () => ({}), commands: { later: () => Promise.resolve(1) } }
    const machine = replicate((defineMachine as (definition: unknown) => AnyMachine)(later))
    expect(() => run(machine, 1, 'later')).toThrow(expect.objectContaining({ code: 'MACHINE_MISMATCH' }))
  })

  it('stops where a state is found to be no value', () => {
    const machine = replicate(
      defineMachine({
        initial: () => ({}) as { now?: unknown },
        commands: {
          spoil: (state) => {
            state.now = new Date(0)
          },
        },
      }),
    )
    run(machine, 1, 'spoil')
    expect(() => machine.snapshot()).toThrow(expect.objectContaining({ code: 'MACHINE_MISMATCH' }))
    expect(() => run(machine, 2, 'spoil')).toThrow(expect.objectContaining({ code: 'MACHINE_MISMATCH' }))
  })

  it('takes indexes, sessions and numbers near 2^31 and 2^53', () => {
    const largest = Number.MAX_SAFE_INTEGER
    for (const n of [127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 52, largest]) {
      const ticket = { session: n, seq: n, low: Math.max(1, n - 3) }
      expect(readEntry(commandEntry(ticket, 'add', Uint8Array.of(0)))).toMatchObject({ ticket })
      expect(readEntry(closeEntry(n))).toEqual({ type: 'close', session: n })
      expect(readEntry(versionEntry(n))).toEqual({ type: 'version', version: n })
    }
    const machine = replicate(accounts)
    for (const index of [2 ** 31 - 1, 2 ** 31, 2 ** 32, largest - 1, largest])
      run(machine, index, 'deposit', { to: 'ann', amount: 1 })
    expect(machine.query({ name: 'balance', input: 'ann' })).toBe(5)
    expect(machine.applied).toBe(largest)
  })

  it('reads an integer in its shortest form only, and none beyond 2^53-1', () => {
    for (const digits of [[0x80, 0], [255, 255, 255, 255, 255, 255, 255, 16], Array(12).fill(255), [0x80]])
      expect(() => readEntry(Uint8Array.of(1, 4, ...digits))).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
    // seq 2, 5 above the lowest
    expect(() => readEntry(Uint8Array.of(1, 2, 1, 2, 5, 0, 0, 0, 0, 0))).toThrow(
      expect.objectContaining({ code: 'MALFORMED' }),
    )
  })
})

describe('an entry', () => {
  it('adds some twenty bytes to the value it carries', () => {
    const input = encodeValue(new Uint8Array(256))
    const entry = commandEntry({ session: 1_000_000, seq: 50_000, low: 49_900 }, 'put', input)
    expect(entry.length - input.length).toBeLessThanOrEqual(20)
  })
})

describe('machine versions', () => {
  const versioned = (version: number) =>
    defineMachine({
      version,
      initial: () => ({ n: 0 }),
      commands: { step: (state, _input: undefined, context) => (state.n += context.version >= 2 ? 10 : 1) },
    })

  it('keep the old meaning on upgraded replicas until the log raises the version; it never falls', () => {
    const machine = replicate(versioned(3))
    expect([machine.version, machine.versionInForce]).toEqual([3, 1])
    expect(run(machine, 1, 'step')).toBe(1)
    machine.apply([place(2, versionEntry(2))])
    expect(run(machine, 3, 'step')).toBe(11)
    machine.apply([place(4, versionEntry(1))])
    expect(machine.versionInForce).toBe(2)
    expect(run(machine, 5, 'step')).toBe(21)
  })

  it('keep an older replica from a snapshot of a newer machine', async () => {
    const machine = replicate(versioned(2))
    machine.apply([place(1, versionEntry(2))])
    const old = replicate(versioned(1))
    run(old, 1, 'step')
    await expect(old.restore(machine.snapshot())).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
    expect(run(old, 2, 'step')).toBe(2)
    const young = replicate(versioned(3))
    await young.restore(machine.snapshot())
    expect(young.versionInForce).toBe(2)
  })
})

describe('N7: names that objects inherit are data', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then']
  // A literal `{ __proto__: … }` would set the prototype.
  const record = (entries: [string, unknown][]): Record<string, unknown> =>
    Object.defineProperties(
      {},
      Object.fromEntries(
        entries.map(([key, value]) => [key, { value, enumerable: true, writable: true, configurable: true }]),
      ),
    )
  const store = defineMachine({
    initial: () => ({ map: new Map<string, unknown>(), object: {} as Record<string, unknown> }),
    commands: {
      put: (state, { key, value }: { key: string; value: unknown }) => {
        state.map.set(key, value)
        if (key !== '__proto__') state.object[key] = value
        return value
      },
      adopt: (state, object: Record<string, unknown>) => {
        state.object = object
      },
    },
    queries: { get: (state, key: string) => state.map.get(key), object: (state) => state.object },
  })

  it('in keys, in objects, and through a snapshot', async () => {
    const before = Object.getOwnPropertyNames(Object.prototype)
    const machine = replicate(store)
    let index = 1
    for (const key of names) run(machine, index++, 'put', { key, value: { polluted: true } })
    const hostile = record(names.map((name) => [name, { polluted: true }]))
    run(machine, index++, 'adopt', hostile)
    const restored = replicate(store)
    await restored.restore(machine.snapshot())
    for (const replica of [machine, restored]) {
      for (const key of names) expect(replica.query({ name: 'get', input: key })).toEqual({ polluted: true })
      const object = replica.query({ name: 'object', input: undefined }) as object
      expect(Object.getPrototypeOf(object)).toBe(Object.prototype)
      expect(Object.keys(object)).toEqual(names)
    }
    expect(restored.encode()).toEqual(machine.encode())
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  it('in the names of commands and queries', async () => {
    const functions = record(names.map((name) => [name, () => name])) as Record<string, () => string>
    const definition = defineMachine({ initial: () => ({}), commands: functions, queries: functions })
    const machine = replicate(definition)
    const commands = commandCalls(definition, async (name, input) =>
      decodeResult(machine.apply([place(machine.applied + 1, commandEntry(undefined, name, encodeValue(input)))])[0]!),
    ) as Record<string, () => Promise<unknown>>
    const queries = queryCalls(definition, async (question) => machine.query(question)) as typeof commands
    for (const name of names) {
      expect(await commands[name]!()).toBe(name)
      expect(await queries[name]!()).toBe(name)
    }
    const none = commandCalls(accounts, async () => 0) as Record<string, unknown>
    for (const name of names) expect(none[name]).toBeUndefined()
  })
})

describe('queryCalls', () => {
  it('copies the input at the call, and rejects what is no value', async () => {
    const definition = defineMachine({
      initial: () => ({}),
      commands: {},
      queries: { echo: (_state, input: unknown) => input },
    })
    const machine = replicate(definition)
    const queries = queryCalls(definition, async (question) => {
      await Promise.resolve()
      return machine.query(question)
    })
    const input = [1]
    const answer = queries.echo(input)
    input.push(2)
    expect(await answer).toEqual([1])
    await expect(queries.echo(() => 1)).rejects.toMatchObject({ code: 'INVALID_VALUE', outcome: 'refused' })
  })
})

describe('open entries', () => {
  it('carry the client and the limit', () => {
    const client = Uint8Array.from({ length: 16 }, (_, i) => i)
    expect(readEntry(openEntry(client, 10_000))).toEqual({ type: 'open', client, limit: 10_000 })
  })
})

describe('a command that a client outside signed', () => {
  it('knows by whose key; others know of none', () => {
    const machine = replicate(
      defineMachine({
        initial: () => ({}),
        commands: { who: (_state, _input: undefined, { client }) => client },
      }),
    )
    const client = new Uint8Array([1, 2, 3])
    const command = place(1, encodeCommand('who', undefined))
    expect(decodeResult(machine.apply([{ ...command, client }])[0]!)).toEqual(client)
    expect(run(machine, 2, 'who')).toBeUndefined()
  })

  it('is read back from the bytes that were signed', () => {
    expect(decodeCommand(encodeCommand('add', { by: 3 }))).toEqual({ name: 'add', input: { by: 3 } })
    expect(() => decodeCommand(openEntry(new Uint8Array(16), 9))).toThrow('MALFORMED')
    expect(() => decodeCommand(new Uint8Array([9, 9]))).toThrow('UNKNOWN_FORMAT')
  })
})
