import type { NodeId } from './words.ts'

/** Every code a Raftkit error can carry, with what it means. Codes are stable: a program may compare them. */
export const errorCodes = {
  // adapters
  LOCKED: 'another owner holds it',
  DAMAGED: 'what was durable is missing, torn or altered',
  COMPACTED: 'the records asked for are no longer in the log',
  MISSING: 'no such record, snapshot or group',
  CLOSED: 'it was closed',
  REFUSED: 'a rule refuses it',
  STORAGE_FAILED: 'a write or read of the storage failed',
  TRANSPORT_FAILED: 'the transport could not start',
  // bytes that arrive
  MALFORMED: 'the bytes do not follow their layout',
  UNKNOWN_FORMAT: 'written in a format this version does not read',
  // values and options
  INVALID_OPTION: 'an option is missing, of the wrong kind or out of range',
  INVALID_VALUE: 'not a value that can be replicated',
  TOO_LARGE: 'larger than the limit',
  CONTRACT_MISMATCH: 'an adapter follows another major of the contract',
  // operations
  NOT_LEADER: 'this node does not lead',
  NO_LEADER: 'no leader is known',
  OVERLOADED: 'too much is waiting already',
  TRANSFERRING: 'leadership is being handed over',
  SUPERSEDED: 'another entry was committed in its place',
  UNKNOWN_OUTCOME: 'it may or may not have happened',
  ABORTED: 'the caller gave up waiting',
  TIMEOUT: 'it took too long',
  SESSION_EXPIRED: 'the session was evicted, so a retry cannot be told from a repetition',
  // membership
  MEMBERSHIP_FIXED: 'this node was created without a membership policy',
  CHANGE_IN_FLIGHT: 'another membership change is not finished',
  NOT_READY: 'the leader has not committed an entry of its own term yet',
  WOULD_LOSE_QUORUM: 'too few members would be reachable afterwards',
  NOT_A_MEMBER: 'no such member',
  // the replica has stopped
  MACHINE_MISMATCH: 'the log holds a command that this machine does not define, or a command threw',
  DIVERGED: 'a committed entry is contradicted',
  SIGNING_FAILED: 'the signatures of this node could not be made, or none could be verified',
  INVARIANT: 'an invariant of the protocol is broken',
} as const

export type ErrorCode = keyof typeof errorCodes

/** Whether the operation may have happened: `refused` means it certainly did not, and never will. */
export type Outcome = 'refused' | 'unknown'

export interface ErrorDetails {
  readonly cause?: unknown
  readonly outcome?: Outcome
  /** The same call may succeed later, unchanged. */
  readonly retryable?: boolean
  /** Who leads, as far as this node knows. */
  readonly leaderHint?: NodeId
}

const brand: unique symbol = Symbol.for('raftkit.error')

/**
 * The one error class. Recognise it by `code` (or `isRaftkitError`), never by `instanceof`: two copies of this package may be installed.
 * The message is a sentence that says what to do, and begins with the code.
 */
export class RaftkitError extends Error {
  readonly code: ErrorCode
  readonly outcome: Outcome | undefined
  readonly retryable: boolean
  readonly leaderHint: NodeId | undefined

  constructor(code: ErrorCode, sentence: string, details: ErrorDetails = {}) {
    super(`${code}: ${sentence}`, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.outcome = details.outcome
    this.retryable = details.retryable ?? false
    this.leaderHint = details.leaderHint
    Object.defineProperty(this, brand, { value: true })
  }

  override get name(): string {
    return 'RaftkitError'
  }
}

/** Whether `error` is a Raftkit error, of any copy of this package; with `code`, whether it carries that one. */
export function isRaftkitError(error: unknown, code?: ErrorCode): error is RaftkitError {
  return (
    typeof error === 'object' &&
    error !== null &&
    (error as { [brand]?: unknown })[brand] === true &&
    (code === undefined || (error as RaftkitError).code === code)
  )
}
