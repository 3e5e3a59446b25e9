import { type ErrorCode, isRaftkitError } from '@raftkit/contract'
import type { FastifyReply } from 'fastify'

/** What is wrong with a request. The status is 4xx: the same request will not do better. */
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

/** Answers with the error as JSON: `{ error: { code, message, outcome?, leader? } }`. */
export function complain(reply: FastifyReply, error: unknown, say: (line: string) => void): FastifyReply {
  if (error instanceof BadRequest) {
    const { code, message, details } = error
    return reply.code(error.status).send({ error: { code, message }, ...details })
  }
  if (isRaftkitError(error)) {
    const { code, message, leaderHint: leader } = error
    const status = aboutTheRequest[code]
    // Of a read there is nothing to wonder about, and a request that is wrong in itself was not begun.
    const harmless = reply.request.method === 'GET' || (error.outcome === undefined && status !== undefined)
    const outcome = harmless ? 'refused' : (error.outcome ?? 'unknown')
    if (outcome === 'unknown') return reply.code(504).send({ error: { code, message, outcome, leader } })
    if (status !== undefined) return reply.code(status).send({ error: { code, message, outcome } })
    return reply.code(503).header('retry-after', '1').send({ error: { code, message, outcome, leader } })
  }
  const { statusCode, code, message } = error as FastifyComplaint
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return reply.code(statusCode).send({ error: { code: code ?? 'BAD_REQUEST', message } })
  }
  say(`a request failed: ${error instanceof Error ? error.stack : String(error)}`)
  // Nothing is known of what had been done by then.
  return reply
    .code(500)
    .send({ error: { code: 'INTERNAL', message: 'the server failed; its log says more', outcome: 'unknown' } })
}
