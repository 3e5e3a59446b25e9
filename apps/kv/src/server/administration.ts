import type { FastifyInstance } from 'fastify'
import type { KvNode, Serving } from './http.ts'
import { object } from './schema.ts'

const name = { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' } as const
const address = { type: 'string', minLength: 1, maxLength: 300 } as const
const force = { enum: ['true', 'false'] } as const

/** A newcomer may first have to fetch a snapshot. */
const changeTimeout = 120_000
const readyTimeout = 2_000

/** What operators and their tools ask: state, members, health. */
export async function administration(app: FastifyInstance, { node, timeout, leaving }: Serving): Promise<void> {
  app.get('/v1/status', async () => statusOf(node))

  app.get('/v1/hash', async () => {
    const { index, hash } = await node.hash()
    return { id: node.id, index, hash: Buffer.from(hash).toString('hex') }
  })

  app.post<{ Body: { to?: string } | null }>(
    '/v1/transfer',
    { schema: { body: { ...object({ to: name }), type: ['object', 'null'] } } },
    async ({ body }) => ({ leader: await node.transferLeadership(body?.to, { timeout }) }),
  )

  app.post('/v1/snapshot', async () => node.snapshot({ timeout: changeTimeout }))

  app.get('/v1/members', async () => ({ members: node.members.list() }))

  app.post<{ Body: { id: string; address: string; role?: 'voter' | 'learner'; replaces?: string } }>(
    '/v1/members',
    {
      schema: {
        body: object({ id: name, address, role: { enum: ['voter', 'learner'] }, replaces: name }, ['id', 'address']),
      },
    },
    async ({ body: { id, address, role, replaces } }) => {
      const options = { timeout: changeTimeout }
      if (replaces !== undefined) return node.members.replace(replaces, { id, address }, options)
      if (role === 'learner') return node.members.addLearner(id, address, options)
      return node.members.addVoter(id, address, options)
    },
  )

  app.delete<{ Params: { id: string }; Querystring: { force?: 'true' | 'false' } }>(
    '/v1/members/:id',
    { schema: { params: object({ id: name }), querystring: object({ force }) } },
    async ({ params, query }) =>
      node.members.remove(params.id, { timeout: changeTimeout, force: query.force === 'true' }),
  )

  app.post<{ Params: { id: string } }>(
    '/v1/members/:id/promote',
    { schema: { params: object({ id: name }) } },
    async ({ params }) => node.members.promote(params.id, { timeout: changeTimeout }),
  )

  app.post<{ Params: { id: string } }>(
    '/v1/members/:id/demote',
    { schema: { params: object({ id: name }) } },
    async ({ params }) => node.members.demote(params.id, { timeout: changeTimeout }),
  )

  // Never asks the cluster: a partition must not have every member restarted.
  app.get('/livez', async (_request, reply) => {
    const { state, error } = node.status()
    if (state === 'failed') return reply.code(503).send({ error: { code: error?.code, message: error?.message } })
    return { live: true, state }
  })

  app.get('/readyz', async (_request, reply) => {
    if (leaving.aborted) return reply.code(503).send({ error: { code: 'CLOSING', message: 'this member is leaving' } })
    const { config, id, incarnation } = node.status()
    const self = config.members.find((member) => member.id === id && member.incarnation === incarnation)
    if (self === undefined || self.role === 'learner' || self.role === 'joining') {
      return reply.code(503).send({
        error: { code: 'NOT_A_VOTER', message: `this member is ${self?.role ?? 'not one of the cluster yet'}` },
      })
    }
    await node.queries.summary(undefined, { timeout: readyTimeout })
    return { ready: true }
  })

  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(node.prometheus()),
  )
}

/** Everything this member knows by itself: it answers without a leader, too. */
function statusOf(node: KvNode): object {
  const { error, ...status } = node.status()
  return { ...status, error: error && { code: error.code, message: error.message } }
}
