import { copyValue } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import type { AnyMachine } from './machine.ts'
import type { Question } from './replicate.ts'

/** What every call takes beside its input. */
export interface CallOptions {
  /** Ends the waiting with `ABORTED`. That never means that a command did not commit: the error's `outcome` says what is known. */
  readonly signal?: AbortSignal
  /** Milliseconds for the whole call, all attempts; `Infinity` waits for ever. Then `TIMEOUT`, with `outcome`. */
  readonly timeout?: number
}

export interface CommandOptions extends CallOptions {
  /** `false`: one attempt, executed at most once; if its answer is lost, the outcome stays unknown. Default true: exactly once. */
  readonly retry?: boolean
}

export interface QueryOptions extends CallOptions {
  /** `linearizable` (default): sees every command that was acknowledged before. `lease`: the same, on the strength of clocks. `stale`: what this replica has, at once. */
  readonly consistency?: 'linearizable' | 'lease' | 'stale'
}

type Input<Run> = Run extends (state: never, ...rest: infer Rest) => unknown
  ? Rest extends readonly []
    ? undefined
    : Rest[0]
  : never
type Result<Run> = Run extends (...args: never) => infer Out ? Out : never

/** A function of a machine as its callers see it. An input that may be undefined, or that the function does not take, may be left out. */
export type Call<Run, Options> = [Input<Run>] extends [never]
  ? (input?: undefined, options?: Options) => Promise<Result<Run>>
  : undefined extends Input<Run>
    ? (input?: Input<Run>, options?: Options) => Promise<Result<Run>>
    : (input: Input<Run>, options?: Options) => Promise<Result<Run>>

/** An index signature is what inference leaves where `queries` was left out: no names. */
type Named<Name> = string extends Name ? never : Name

/** `node.commands`: each name of the machine, called with its input. */
export type CommandCalls<M extends AnyMachine> = {
  readonly [Name in keyof M['commands'] as Named<Name>]: Call<M['commands'][Name], CommandOptions>
}

/** `node.queries`. */
export type QueryCalls<M extends AnyMachine> = {
  readonly [Name in keyof M['queries'] as Named<Name>]: Call<M['queries'][Name], QueryOptions>
}

/** An object with a function per command that hands name and input to `call`, which checks the input. */
export function commandCalls<M extends AnyMachine>(
  definition: M,
  call: (name: string, input: unknown, options?: CommandOptions) => Promise<unknown>,
): CommandCalls<M> {
  return byName(
    definition.commands,
    (name) => (input, options?: CommandOptions) => call(name, input, options),
  ) as CommandCalls<M>
}

/** An object with a function per query that hands `ask` a question for the machine. The input is copied at the call; rejects `INVALID_VALUE`. */
export function queryCalls<M extends AnyMachine>(
  definition: M,
  ask: (question: Question, options?: QueryOptions) => Promise<unknown>,
): QueryCalls<M> {
  return byName(definition.queries, (name) => async (input, options?: QueryOptions) => {
    const copy = ofInput(name, () => copyValue(input))
    return ask({ name, input: copy }, options)
  }) as QueryCalls<M>
}

/** What `encode` makes of a call's input. Throws `INVALID_VALUE`: nothing was sent. */
export function ofInput<T>(name: string, encode: () => T): T {
  try {
    return encode()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new RaftkitError('INVALID_VALUE', `the input of ${JSON.stringify(name)} cannot be replicated: ${reason}`, {
      cause,
      outcome: 'refused',
    })
  }
}

type AnyCall = (input: unknown, options?: never) => Promise<unknown>

/** Without a prototype: a name such as `__proto__` is a name like any other, and one that is not defined is undefined. */
function byName(functions: object, callOf: (name: string) => AnyCall): object {
  const calls: Record<string, AnyCall> = Object.create(null)
  for (const name of Object.keys(functions)) calls[name] = callOf(name)
  return Object.freeze(calls)
}
