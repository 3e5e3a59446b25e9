import { type ErrorCode, errorCodes, isRaftkitError, RaftkitError, type Settled } from '@raftkit/contract'

/** `cause` itself, if it is one of ours; otherwise an error of `code` that carries it. */
export function failure(cause: unknown, code: ErrorCode, sentence: string): RaftkitError {
  if (isRaftkitError(cause)) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new RaftkitError(code, `${sentence}: ${message}`, { cause })
}

/** Refusals after which the same call may succeed. */
const passing: ReadonlySet<string> = new Set<ErrorCode>([
  'NOT_LEADER',
  'NO_LEADER',
  'OVERLOADED',
  'TRANSFERRING',
  'SUPERSEDED',
  'CHANGE_IN_FLIGHT',
  'NOT_READY',
])

/** What a caller is told of a proposal, change, read or transfer that did not go through. */
export function notSettled(settled: Extract<Settled, { readonly type: 'refused' | 'unknown' }>): RaftkitError {
  if (settled.type === 'unknown') return new RaftkitError('UNKNOWN_OUTCOME', settled.reason, { outcome: 'unknown' })
  const { code, reason, leader } = settled
  // A reason may be the message of an error, which has its code in front already.
  const sentence = reason.startsWith(`${code}: `) ? reason.slice(code.length + 2) : reason
  return new RaftkitError(Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'REFUSED', sentence, {
    outcome: 'refused',
    retryable: passing.has(code),
    ...(leader === undefined ? {} : { leaderHint: leader }),
  })
}
