import type { Index } from '@raftkit/contract'
import { type AnyMachine, type Context, defineMachine, Refusal } from 'raftkit'

/** One key. `chain` sums up every write it ever saw, so that two equal cells have equal pasts. */
export interface Cell {
  /** The id of the operation that wrote it: unique, so that a value tells where it came from. 0: erased. */
  value: number
  writes: number
  chain: number
}

interface Registers {
  /** Of the last command that was executed. */
  last: Index
  cells: Map<string, Cell>
  /** Makes snapshots large. */
  weight: Uint8Array
}

export interface WriteInput {
  /** The operation's, never used twice. */
  readonly id: number
  readonly kind: 'put' | 'cas' | 'erase' | 'refuse' | 'fill'
  readonly key: string
  /** cas: what must be there. fill: bytes. */
  readonly expect: number
}

export interface WriteOutput {
  readonly index: Index
  /** Whether it changed something: a failed comparison did not. */
  readonly changed: boolean
  readonly before: number
}

export interface ReadOutput extends Cell {
  /** The state is the one after this command. */
  readonly index: Index
}

/** Told of every execution on every replica: replays after a restart too. */
export type Executed = (input: WriteInput, index: Index, output: WriteOutput) => void

export const absent: Readonly<Cell> = { value: 0, writes: 0, chain: 0 }

/** What one command does to one key; the oracle uses it as well, on a state of its own. */
export function writeCell(cell: Readonly<Cell>, { id, kind, expect }: WriteInput): Cell | undefined {
  if (kind !== 'put' && kind !== 'erase' && !(kind === 'cas' && cell.value === expect)) return undefined
  const value = kind === 'erase' ? 0 : id
  return { value, writes: cell.writes + 1, chain: Math.imul(cell.chain ^ (value + cell.writes), 0x01000193) >>> 0 }
}

/** The program under test: registers whose every answer says at which index of the log it is true. */
export function registers(executed: Executed): AnyMachine {
  return defineMachine({
    initial: (): Registers => ({ last: 0, cells: new Map(), weight: new Uint8Array(0) }),
    commands: {
      write: (state, input: WriteInput, context: Context): WriteOutput => {
        const cell = state.cells.get(input.key) ?? absent
        const next = writeCell(cell, input)
        state.last = context.index
        if (next) state.cells.set(input.key, next)
        if (input.kind === 'fill') state.weight = new Uint8Array(input.expect).fill(Math.floor(context.random() * 256))
        const output = { index: context.index, changed: next !== undefined, before: cell.value }
        executed(input, context.index, output)
        if (input.kind === 'refuse') throw new Refusal('no', { code: 'NO', details: output })
        return output
      },
    },
    queries: {
      read: (state, key: string): ReadOutput => ({ ...(state.cells.get(key) ?? absent), index: state.last }),
      everything: (state): { readonly last: Index; readonly cells: Map<string, Cell> } => ({
        last: state.last,
        cells: state.cells,
      }),
    },
  }) as AnyMachine
}
