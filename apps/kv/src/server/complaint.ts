import { type ErrorCode, isRaftkitError } from '@raftkit/contract'
import type { FastifyReply } from 'fastify'

/** What is wrong with a request. The status is 4xx, the same request will not do better; or 503, with nothing begun. */
export class BadRequest extends Error {
  readonly status: number
  readonly code: string
  readonly details: object

  constructor(status: number, code: string, message: string, details: object = {}) {
    super(message)
    this.status = status
    this.code = code
    this.details = details
  }
}

/** The cluster's refusals that are about the request itself. All others are about the moment: 503. */
const aboutTheRequest: Partial<Record<ErrorCode, number>> = {
  INVALID_VALUE: 400,
  INVALID_OPTION: 400,
  TOO_LARGE: 413,
  NOT_A_MEMBER: 404,
  MEMBERSHIP_FIXED: 409,
  CHANGE_IN_FLIGHT: 409,
  WOULD_LOSE_QUORUM: 409,
  REFUSED: 409,
}

interface FastifyComplaint {
  readonly statusCode?: number
  readonly code?: string
  readonly message: string
}

/** What a client is told of an error. */
export interface Complaint {
  readonly status: number
  readonly body: {
    readonly error: {
      readonly code: string
      readonly message: string
      readonly outcome?: 'refused' | 'unknown'
      readonly leader?: string | undefined
    }
  }
}

/** Of a request that is a `read` or not: of a read there is nothing to wonder about. Tells `say` of the server's own failures. */
export function complaint(error: unknown, read: boolean, say: (line: string) => void): Complaint {
  if (error instanceof BadRequest) {
    const { status, code, message, details } = error
    const outcome = status === 503 ? ({ outcome: 'refused' } as const) : {}
    return { status, body: { error: { code, message, ...outcome }, ...details } }
  }
  if (isRaftkitError(error)) {
    const { code, message, leaderHint: leader } = error
    const status = aboutTheRequest[code]
    // A request that is wrong in itself was not begun.
    const harmless = read || (error.outcome === undefined && status !== undefined)
    const outcome = harmless ? 'refused' : (error.outcome ?? 'unknown')
    if (outcome === 'unknown') return { status: 504, body: { error: { code, message, outcome, leader } } }
    if (status !== undefined) return { status, body: { error: { code, message, outcome } } }
    return { status: 503, body: { error: { code, message, outcome, leader } } }
  }
  const { statusCode, code, message } = error as FastifyComplaint
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return { status: statusCode, body: { error: { code: code ?? 'BAD_REQUEST', message } } }
  }
  say(`a request failed: ${error instanceof Error ? error.stack : String(error)}`)
  // Nothing is known of what had been done by then.
  const internal = { code: 'INTERNAL', message: 'the server failed; its log says more', outcome: 'unknown' } as const
  return { status: 500, body: { error: internal } }
}

/** Answers with the error as JSON: `{ error: { code, message, outcome?, leader? } }`. */
export function complain(reply: FastifyReply, error: unknown, say: (line: string) => void): FastifyReply {
  const { status, body } = complaint(error, reply.request.method === 'GET', say)
  if (status === 503) reply.header('retry-after', '1')
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  return reply.code(status).send(body)
}
