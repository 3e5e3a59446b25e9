import { type FastifyInstance, fastify } from 'fastify'
import type { Node } from 'raftkit'
import type { kv } from '../machine/machine.ts'
import { administration } from './administration.ts'
import { BadRequest, complain } from './complaint.ts'
import { guard } from './guard.ts'
import { keys } from './keys.ts'
import { watching } from './watching.ts'

export type KvNode = Node<typeof kv>

export interface Serving {
  readonly node: KvNode
  /** Milliseconds an operation may take before its caller is told that its fate is unknown. */
  readonly timeout: number
  /** Aborted once the server is on its way out: it is not ready any more, and watches end. */
  readonly leaving: AbortSignal
  /** Requests are refused unless their Host names this machine: a page of a stranger's site cannot reach us under its own name. */
  readonly loopback: boolean
  /** Where the server's own failures are told. */
  readonly say: (line: string) => void
}

/** A value of JSON may take six characters for one byte; the rest is for the other fields. */
const bodyLimit = 2 * 1024 * 1024

/** The HTTP face of one member. Not listening yet. */
export async function httpServer(serving: Serving): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit,
    // A whole request must have arrived by then; Node ends a connection whose headers are late by its own, shorter, limit.
    requestTimeout: 30_000,
    keepAliveTimeout: 60_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 4096 },
    frameworkErrors: (error, _request, reply) => void complain(reply, error, serving.say),
    // Bad input is refused, never bent into shape.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  app.server.headersTimeout = 10_000
  app.server.maxConnections = 1024
  // JSON alone: a page of another site cannot send that without asking first.
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, _request, reply) => complain(reply, error, serving.say))
  app.setNotFoundHandler((_request, reply) =>
    complain(reply, new BadRequest(404, 'NO_SUCH_ROUTE', 'no such path; the README lists them'), serving.say),
  )
  guard(app, serving)
  await app.register(keys, serving)
  await app.register(watching, serving)
  await app.register(administration, serving)
  return app
}
