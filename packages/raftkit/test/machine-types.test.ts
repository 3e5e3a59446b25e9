import { describe, expectTypeOf, it } from 'vitest'
import { type CommandCalls, commandCalls, type QueryCalls, queryCalls } from '../src/calls.ts'
import { defineMachine } from '../src/machine.ts'

// What stands here is checked by the compiler (`tsc -p tsconfig.test.json`): an `@ts-expect-error` whose line compiles is an error.

const counters = defineMachine({
  initial: () => new Map<string, number>(),
  commands: {
    add: (counts, { key, by = 1 }: { key: string; by?: number }) => {
      expectTypeOf(counts).toEqualTypeOf<Map<string, number>>()
      const sum = (counts.get(key) ?? 0) + by
      counts.set(key, sum)
      return sum
    },
    reset: (counts) => counts.clear(),
    // biome-ignore lint/suspicious/noConfusingVoidType: a program may say so
    stamp: (counts, _input: void, context) => {
      expectTypeOf(context.index).toEqualTypeOf<number>()
      return { size: counts.size, time: context.time }
    },
    draw: (_counts, _input, context) => context.random(),
    limit: (counts, to?: number) => (to === undefined ? 'none' : counts.size > to),
    either: (_counts, input: string | { deep: number[] }) => (typeof input === 'string' ? [input] : input),
    invert: (_counts, input: Map<string, Set<bigint>>) => [...input.values()],
    whatever: (_counts, input: unknown) => input === undefined,
  },
  queries: {
    get: (counts, key: string) => counts.get(key) ?? 0,
    size: (counts) => counts.size,
  },
})
const bare = defineMachine({ initial: () => ({ n: 0 }), commands: { increment: (state) => ++state.n } })

const answer = async (): Promise<undefined> => undefined
const commands: CommandCalls<typeof counters> = commandCalls(counters, answer)
const queries: QueryCalls<typeof counters> = queryCalls(counters, answer)
const bareCommands = commandCalls(bare, answer)
const bareQueries = queryCalls(bare, answer)

describe('the types of the front door', () => {
  it('let inputs and results flow from the machine to the call', () => {
    expectTypeOf(commands.add({ key: 'visits' })).resolves.toEqualTypeOf<number>()
    expectTypeOf(commands.add({ key: 'visits', by: 2 }, { timeout: 10 })).resolves.toEqualTypeOf<number>()
    expectTypeOf(commands.stamp()).resolves.toEqualTypeOf<{ size: number; time: number }>()
    expectTypeOf(commands.either('a')).resolves.toEqualTypeOf<string[] | { deep: number[] }>()
    expectTypeOf(commands.either({ deep: [1] })).resolves.toEqualTypeOf<string[] | { deep: number[] }>()
    expectTypeOf(commands.invert(new Map([['a', new Set([1n])]]))).resolves.toEqualTypeOf<Set<bigint>[]>()
    expectTypeOf(queries.get('visits')).resolves.toEqualTypeOf<number>()
    expectTypeOf(bareCommands.increment()).resolves.toEqualTypeOf<number>()
    expectTypeOf<keyof typeof commands>().toEqualTypeOf<
      'add' | 'reset' | 'stamp' | 'draw' | 'limit' | 'either' | 'invert' | 'whatever'
    >()
    expectTypeOf<keyof typeof bareQueries>().toEqualTypeOf<never>()
  })

  it('let an input that is void or optional be left out, options second', () => {
    const { signal } = new AbortController()
    expectTypeOf(commands.reset()).resolves.toEqualTypeOf<void>()
    expectTypeOf(commands.reset(undefined, { signal })).resolves.toEqualTypeOf<void>()
    expectTypeOf(commands.draw()).resolves.toEqualTypeOf<number>()
    expectTypeOf(commands.limit()).resolves.toEqualTypeOf<boolean | 'none'>()
    expectTypeOf(commands.limit(3)).resolves.toEqualTypeOf<boolean | 'none'>()
    expectTypeOf(commands.whatever({ any: 'thing' }, { retry: false })).resolves.toEqualTypeOf<boolean>()
    expectTypeOf(queries.size(undefined, { consistency: 'stale', signal })).resolves.toEqualTypeOf<number>()
  })

  it('do not compile an unknown command or query', () => {
    // @ts-expect-error
    expectTypeOf(commands.subtract).toBeUndefined()
    // @ts-expect-error
    expectTypeOf(queries.add).toBeUndefined()
    // @ts-expect-error
    expectTypeOf(bareQueries.get).toBeUndefined()
  })

  it('do not compile a wrong argument', () => {
    const wrong = (): unknown[] => [
      // @ts-expect-error
      commands.add(),
      // @ts-expect-error
      commands.add({ key: 1 }),
      // @ts-expect-error
      commands.add({ key: 'a', times: 2 }),
      // @ts-expect-error
      commands.reset('hard'),
      // @ts-expect-error
      commands.limit('3'),
      // @ts-expect-error
      queries.get(),
      // @ts-expect-error
      commands.reset(undefined, { consistency: 'stale' }),
      // @ts-expect-error
      queries.size(undefined, { retry: false }),
      // @ts-expect-error
      queries.size(undefined, { consistency: 'eventual' }),
    ]
    expectTypeOf(wrong).toBeFunction()
  })

  it('do not compile an asynchronous command or query, nor one that may return a promise, nor a state that is no object', () => {
    const wrong = (): unknown[] => [
      defineMachine({
        initial: () => ({ n: 0 }),
        commands: {
          // @ts-expect-error
          later: async (state) => ++state.n,
        },
      }),
      defineMachine({
        initial: () => ({ n: 0 }),
        commands: {
          // @ts-expect-error
          perhaps: (state, now: boolean) => (now ? state.n : Promise.resolve(state.n)),
        },
      }),
      defineMachine({
        initial: () => ({ n: 0 }),
        commands: {},
        queries: {
          // @ts-expect-error
          later: async (state) => state.n,
        },
      }),
      // @ts-expect-error
      defineMachine({ initial: () => 0, commands: {} }),
      defineMachine({
        initial: () => ({ n: 0 }),
        commands: {
          // @ts-expect-error
          misspelt: (state) => state.m,
        },
      }),
    ]
    expectTypeOf(wrong).toBeFunction()
  })
})
