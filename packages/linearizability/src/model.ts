import type { Operation } from './history.ts'

/** What `step` answers when an object in this state cannot have given this output. */
export const illegal: unique symbol = Symbol('illegal')

/**
 * A sequential object, by which a concurrent history is judged. Pure: the same arguments give the same answer, states
 * are never changed in place, and what is compared (states, inputs, outputs) is plain data, compared by value.
 */
export interface Model<State, Input, Output> {
  readonly initial: State
  /** The state after the operation. `output` undefined: any answer is accepted. */
  step(state: State, input: Input, output: Output | undefined): State | typeof illegal
  /**
   * A promise that wherever this operation is legal it leaves the state as it is. The search then takes it as soon as
   * it can, without looking back. Left out: no operation is known to be a read.
   */
  reads?(input: Input, output: Output | undefined): boolean
  /**
   * A promise that this operation is legal in every state, and that the state after it does not depend on the one
   * before. The search then spares unknown operations that nobody could notice. Left out: none is.
   */
  overwrites?(input: Input, output: Output | undefined): boolean
  /** What is wrong with an operation that no client can have made: a sentence; otherwise undefined. */
  objection?(input: Input, output: Output | undefined, ok: boolean | 'unknown'): string | undefined
  /**
   * A model for one object's history, known from beginning to end, that gives the same verdict and has fewer states: it
   * may take states for one that no operation of this history can tell apart, now or later. Left out: this one is used.
   */
  focus?(history: readonly Operation<Input, Output>[]): Model<State, Input, Output>
}
