import type { FastifyInstance, FastifyRequest } from 'fastify'
import { BadRequest } from './complaint.ts'

export interface Guarding {
  /** Where the server listens: `localhost`, a name or an address, also that of all interfaces. */
  readonly host: string
  /** Further names under which it may be asked, of a proxy or in a certificate. */
  readonly allowHosts?: readonly string[] | undefined
  /** Pages of these sites may ask, such as `https://admin.example`. */
  readonly allowOrigins?: readonly string[] | undefined
  /** Of one request. */
  readonly headers: number
}

const bare = (name: string): string => name.toLowerCase().replace(/^\[|\]$/g, '')

/** The name in `host[:port]`; an IPv6 address without its brackets. */
const nameOf = (host: string): string => bare(host.replace(/:\d+$/, ''))

const methods = 'GET, HEAD, PUT, POST, DELETE'
const headers = 'authorization, content-type, last-event-id'

/**
 * Keeps other sites' pages out. A page whose name was pointed at this server (DNS rebinding) still sends its own name as Host;
 * a page of another site that asks here sends its own as Origin.
 */
export function guard(app: FastifyInstance, guarding: Guarding): void {
  const hosts = new Set(['localhost', '127.0.0.1', '::1', guarding.host, ...(guarding.allowHosts ?? [])].map(bare))
  const origins = new Set(guarding.allowOrigins)

  /** Nearly all requests come with the same. */
  let known = 'localhost'
  const isHere = ({ raw: { socket } }: FastifyRequest, host: string): boolean => {
    if (host === known) return true
    const name = nameOf(host)
    if (hosts.has(name)) known = host
    // An address instead of a name cannot be pointed elsewhere: good is the one that the connection came to.
    return hosts.has(name) || name === socket.localAddress?.replace(/^::ffff:/, '')
  }

  app.addHook('onRequest', (request, reply, done) => {
    const { headers: given, raw } = request
    const { host = '', origin } = given
    if (raw.rawHeaders.length > 2 * guarding.headers) {
      done(new BadRequest(431, 'TOO_MANY_HEADERS', `a request has at most ${guarding.headers} headers`))
    } else if (!isHere(request, host)) {
      const why = `this server does not answer to the name ${JSON.stringify(host)}; --allow-host lets one in`
      done(new BadRequest(403, 'FOREIGN_HOST', why))
    } else if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) done()
    else if (!origins.has(origin)) {
      const why = `requests from pages of ${JSON.stringify(origin)} are refused; --allow-origin lets a site in`
      done(new BadRequest(403, 'FOREIGN_ORIGIN', why))
    } else {
      // On the raw response, too: a watch answers there.
      reply.raw.setHeader('access-control-allow-origin', origin)
      reply.raw.setHeader('vary', 'origin')
      if (request.method !== 'OPTIONS') return done()
      // A browser asks first, without anything that says who it is.
      reply.headers({ 'access-control-allow-methods': methods, 'access-control-allow-headers': headers })
      reply.code(204).send()
    }
  })
}
