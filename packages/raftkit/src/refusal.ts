const brand: unique symbol = Symbol.for('raftkit.refusal')

export interface RefusalOptions {
  /** A word for programs to compare; yours, not one of Raftkit's codes. */
  readonly code?: string
  /** A value (see `defineMachine`) that says more. It reaches the caller as a copy. */
  readonly details?: unknown
}

/**
 * A command or query that says no. Thrown in a command it is the command's result: recorded in the log's session like any other, the
 * same on every replica, and the caller's promise rejects with an equal refusal. It undoes nothing: refuse before changing the state.
 */
export class Refusal extends Error {
  readonly code: string | undefined
  readonly details: unknown

  constructor(message: string, options: RefusalOptions = {}) {
    super(message)
    this.code = options.code
    this.details = options.details
    Object.defineProperty(this, brand, { value: true })
  }

  override get name(): string {
    return 'Refusal'
  }
}

/** Whether `error` is a refusal, of any copy of this package. */
export function isRefusal(error: unknown): error is Refusal {
  return typeof error === 'object' && error !== null && (error as { [brand]?: unknown })[brand] === true
}
