import { type Index, RaftkitError } from '@raftkit/contract'

/** What a command may know besides state and input. All of it comes from the log, so it is equal on every replica. */
export interface Context {
  /** Of the command's entry: rises from command to command, unique for ever. */
  readonly index: Index
  /** Milliseconds since the epoch by the leader's clock; never goes back. */
  readonly time: number
  /** The public key of whoever signed the command, on a protocol whose clients sign (`@raftkit/bft`): verified by every member. */
  readonly client?: Uint8Array | undefined
  /** The machine version in force: what a command of an upgraded program branches on, see `MachineDefinition.version`. */
  readonly version: number
  /** The next of a series in [0, 1), seeded by the entry. Not fit for secrets: every replica knows it. */
  random(): number
}

/** Any definition: the bound for a type parameter. */
export interface AnyMachine {
  readonly version: number
  readonly initial: () => object
  readonly commands: CommandFunctions<never>
  readonly queries: QueryFunctions<never>
}

export type CommandFunctions<State> = Readonly<
  Record<string, (state: State, input: never, context: Context) => unknown>
>
export type QueryFunctions<State> = Readonly<Record<string, (state: State, input: never) => unknown>>

/** What `defineMachine` gives. */
export interface MachineDefinition<State extends object, Commands, Queries> {
  readonly version: number
  readonly initial: () => State
  readonly commands: Commands
  readonly queries: Queries
}

/** What stands in place of a function that returns a promise: no function is assignable to it, and the compiler prints it. */
export interface MustBeSynchronous<Name> {
  readonly error: 'a command or query must not be asynchronous: do the I/O before the call and pass the outcome as its input'
  readonly function: Name
}

/** Members that may return a promise become `MustBeSynchronous`. Not distributive: that would take unions of results apart. */
export type Synchronous<Functions> = {
  readonly [Name in keyof Functions]: Functions[Name] extends (...args: never) => infer Result
    ? 0 extends 1 & Result // any
      ? unknown
      : [Extract<Result, PromiseLike<unknown>>] extends [never]
        ? unknown
        : MustBeSynchronous<Name>
    : unknown
}

/**
 * Defines a replicated program.
 *
 * State, inputs and results are values: null, undefined, booleans, numbers, strings, bigints, Uint8Array, arrays, plain objects, Map and
 * Set. The state is changed in place by commands, and by nothing else. It is a tree: an object that stands in two places of it
 * becomes two on a replica that restores a snapshot, and a Buffer comes back as a Uint8Array.
 *
 * Commands are deterministic: no clock, no randomness, no I/O, nothing from outside state, input and context. A command that throws
 * `Refusal` has that as its result. Any other throw, and a result or a state that is no value, stops every replica with `MACHINE_MISMATCH`.
 *
 * Throws `INVALID_OPTION`.
 */
export function defineMachine<
  State extends object,
  Commands extends CommandFunctions<State>,
  Queries extends QueryFunctions<State>,
>(definition: {
  /**
   * An integer from 1 on (the default). Raise it when what a command does changes. The old meaning stays in force, as `context.version`
   * says, until a version entry is committed; replicas whose definition is older stop there.
   */
  readonly version?: number
  /** The state before the first command: the same on every replica. */
  readonly initial: () => State
  /** By name: `(state, input, context) => result`. Annotate the input; leave it out for a command without one. */
  readonly commands: Commands & Synchronous<Commands>
  /** By name: `(state, input) => result`. They see the live state and must not change it. */
  readonly queries?: Queries & Synchronous<Queries>
}): MachineDefinition<State, Commands, Queries> {
  if (typeof definition !== 'object' || definition === null)
    throw new RaftkitError('INVALID_OPTION', 'defineMachine takes an object with initial and commands')
  const { version = 1, initial, commands, queries = {} as Queries } = definition
  if (!Number.isSafeInteger(version) || version < 1)
    throw new RaftkitError('INVALID_OPTION', `version is ${String(version)}; give an integer from 1 on`)
  if (typeof initial !== 'function')
    throw new RaftkitError('INVALID_OPTION', 'initial must be a function that returns the first state')
  checkFunctions('commands', commands)
  checkFunctions('queries', queries)
  return Object.freeze({ version, initial, commands, queries })
}

/** Names are written into every entry. */
export const maxNameBytes = 255

function checkFunctions(kind: 'commands' | 'queries', functions: unknown): void {
  if (typeof functions !== 'object' || functions === null)
    throw new RaftkitError('INVALID_OPTION', `${kind} must be an object of functions by name`)
  for (const [name, run] of Object.entries(functions)) {
    if (name === '' || name.length * 3 > maxNameBytes)
      throw new RaftkitError(
        'INVALID_OPTION',
        `${kind} has a name of ${name.length} characters; give 1 to ${maxNameBytes / 3}`,
      )
    if (typeof run !== 'function') throw new RaftkitError('INVALID_OPTION', `${kind}.${name} is no function`)
    if (!synchronous.test(Object.prototype.toString.call(run)))
      throw new RaftkitError(
        'INVALID_OPTION',
        `${kind}.${name} must not be asynchronous or a generator: do the I/O before the call`,
      )
  }
}

/** Async functions and generators carry a tag of their own. */
const synchronous = /^\[object Function\]$/
