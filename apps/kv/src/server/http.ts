import { type FastifyInstance, fastify } from 'fastify'
import type { Node } from 'raftkit'
import type { kv } from '../machine/machine.ts'
import { administration } from './administration.ts'
import { type Authorizing, authorization } from './authorization.ts'
import { BadRequest, complain } from './complaint.ts'
import { type Guarding, guard } from './guard.ts'
import { inFlight } from './in-flight.ts'
import { keys } from './keys.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { listener, type Pem } from './listener.ts'
import { watching } from './watching.ts'

export type KvNode = Node<typeof kv>

export interface Serving extends Authorizing, Partial<Guarding> {
  readonly node: KvNode
  /** Milliseconds an operation may take before its caller is told that its fate is unknown. */
  readonly timeout: number
  /** Aborted once the server is on its way out: it is not ready any more, and watches end. */
  readonly leaving: AbortSignal
  /** Where the server's own failures are told. */
  readonly say: (line: string) => void
  readonly limits?: Limits
  /** Serve HTTPS. */
  readonly pem?: Pem | undefined
}

/** The HTTP face of one member. Not listening yet. */
export async function httpServer(serving: Serving): Promise<FastifyInstance> {
  const { limits = defaultLimits, host = 'localhost', allowHosts, allowOrigins, pem, say } = serving
  const app = fastify({
    bodyLimit: limits.bodyBytes,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 4096 },
    serverFactory: (handler) => listener(handler, limits, pem),
    frameworkErrors: (error, _request, reply) => void complain(reply, error, say),
    // Bad input is refused, never bent into shape.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  // JSON alone: a page of another site cannot send that without asking first.
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, _request, reply) => complain(reply, error, say))
  app.setNotFoundHandler((_request, reply) =>
    complain(reply, new BadRequest(404, 'NO_SUCH_ROUTE', 'no such path; the README lists them'), say),
  )
  guard(app, { host, allowHosts, allowOrigins, headers: limits.headers })
  inFlight(app, limits)
  authorization(app, serving)
  await app.register(keys, serving)
  await app.register(watching, { ...serving, watches: limits.watches })
  await app.register(administration, serving)
  return app
}
