import type { FastifyInstance } from 'fastify'
import { BadRequest } from './complaint.ts'
import type { Limits } from './limits.ts'

/** Every request holds something, also without a body. */
const ownBytes = 1024

/** Bounds what all requests hold together, by what they say they will send, before any of it is read. */
export function inFlight(app: FastifyInstance, { inFlightBytes, bodyBytes }: Limits): void {
  let held = 0
  app.addHook('onRequest', ({ headers }, reply, done) => {
    const declared = headers['content-length']
    // A body that does not say how long it is may become as long as is allowed.
    const body =
      declared === undefined ? (headers['transfer-encoding'] === undefined ? 0 : bodyBytes) : Number(declared)
    // One that is too long is refused with its own words, and never read.
    const bytes = ownBytes + Math.min(body, bodyBytes)
    if (held + bytes > inFlightBytes) {
      done(new BadRequest(503, 'OVERLOADED', 'too many requests at the same time: try again later'))
      return
    }
    held += bytes
    reply.raw.on('close', () => {
      held -= bytes
    })
    done()
  })
}
