import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Access, type Client, covers, type Role } from './access.ts'
import { certifiedName } from './certified-name.ts'
import { BadRequest } from './complaint.ts'
import { permissions } from './permissions.ts'

export interface Authorizing {
  /** Who may do what. Without it, whoever reaches the server may do everything. */
  readonly access?: Access | undefined
  /** The name of the cluster: a certificate of another counts for nothing here. */
  readonly cluster: string
}

/** The one place where requests are let in: in front of every route that is registered from now on stands what it needs. */
export function authorization(app: FastifyInstance, { access, cluster }: Authorizing): void {
  app.addHook('onRoute', (route) => {
    const needed = neededFor(route.method, route.url)
    if (needed === 'anyone' || access === undefined) return
    const check = (request: FastifyRequest, _reply: unknown, done: (error?: Error) => void): void => {
      const client = whoAsks(request, access, cluster)
      if (client instanceof BadRequest) done(client)
      else if (covers(client.role, needed)) done()
      else
        done(new BadRequest(403, 'FORBIDDEN', `${client.name} may ${client.role}, and this needs the role ${needed}`))
    }
    route.onRequest = [check, ...[route.onRequest ?? []].flat()]
  })
}

/** Throws for a route without an entry. */
function neededFor(methods: string | string[], url: string): Role | 'anyone' {
  // One that Fastify adds for each GET is a GET whose body is left out.
  const names = [methods].flat().map((method) => `${method === 'HEAD' ? 'GET' : method} ${url}`)
  const needed = names.map((name) => (Object.hasOwn(permissions, name) ? permissions[name] : undefined))
  if (needed.length !== 1 || needed[0] === undefined)
    throw new Error(`the route ${names} has no entry in permissions.ts: say there what it needs`)
  return needed[0]
}

/** By its certificate, or else by its token. */
function whoAsks({ raw }: FastifyRequest, access: Access, cluster: string): Client | BadRequest {
  const certified = byCertificate(raw.socket, cluster)
  const client = certified.name === undefined ? undefined : access.named(certified.name)
  if (client !== undefined) return client
  const token = /^Bearer +([\x21-\x7e]+)$/i.exec(raw.headers.authorization ?? '')?.[1]
  if (token === undefined)
    return stranger(certified.problem ?? 'it wants Authorization: Bearer TOKEN, or a client certificate')
  return access.withToken(token) ?? stranger('nobody here has that token')
}

// What was sent stands in no message: it may be a secret with a slip of the pen.
const stranger = (why: string): BadRequest =>
  new BadRequest(401, 'UNAUTHENTICATED', `this server asks who you are: ${why}`)

interface Certified {
  readonly name?: string
  readonly problem?: string
}

const none: Certified = {}
/** A connection has one certificate as long as it lasts. */
const seen = new WeakMap<Socket, Certified>()

function byCertificate(socket: Socket, cluster: string): Certified {
  if (!(socket instanceof TLSSocket)) return none
  let certified = seen.get(socket)
  if (certified === undefined) {
    certified = look(socket, cluster)
    seen.set(socket, certified)
  }
  return certified
}

function look(socket: TLSSocket, cluster: string): Certified {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return none
  if (!socket.authorized) return { problem: `the certificate does not verify: ${socket.authorizationError}` }
  const name = certifiedName(certificate.subjectAltName, cluster)
  if (name === undefined) return { problem: `the certificate is not that of a client of the cluster ${cluster}` }
  return { name, problem: `the access file lists no client ${name}` }
}
