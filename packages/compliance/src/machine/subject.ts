import type { Command, StateMachine } from '@raftkit/contract'

/** The machine under test, and what its author gives it to do. */
export interface MachineSubject {
  /** A new machine, empty, of the newest version. */
  readonly create: () => StateMachine
  /**
   * A history as a log could hold it: rising indexes, times that never go back, commands of every kind, some hundreds at least. Called many
   * times; equal each time.
   */
  readonly commands: () => readonly Command[] | Promise<readonly Command[]>
  /** Questions whose answers tell states apart. They must be valid in every state, the empty one too. */
  readonly questions: readonly unknown[]
  /** Data of a command that the machine does not know: `apply` must throw. Default: none is tried. */
  readonly unknown?: Uint8Array
  /** Default true. False: equal states may have snapshots of different bytes, so that answers alone tell whether two states are equal. */
  readonly canonical?: boolean
  /** Of the random splits. Default 1. */
  readonly seed?: number
}
