import type { FastifyInstance } from 'fastify'
import { BadRequest } from './complaint.ts'

const local = /^(localhost|127\.0\.0\.1|\[::1\])$/i

/** The name in `host[:port]`. */
const nameOf = (host: string): string => host.replace(/:\d+$/, '')

/**
 * Keeps other sites' pages out of a server that trusts whoever reaches it. A page whose name was pointed at 127.0.0.1 (DNS rebinding)
 * still sends its own name as Host; a page of another site that posts here sends its own as Origin.
 */
export function guard(app: FastifyInstance, { loopback }: { readonly loopback: boolean }): void {
  app.addHook('onRequest', ({ headers: { host = '', origin } }, _reply, done) => {
    if (loopback && !local.test(nameOf(host))) {
      done(new BadRequest(403, 'FOREIGN_HOST', `this server answers to localhost, not to ${JSON.stringify(host)}`))
    } else if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
      done(new BadRequest(403, 'FOREIGN_ORIGIN', `requests from pages of ${JSON.stringify(origin)} are refused`))
    } else done()
  })
}
