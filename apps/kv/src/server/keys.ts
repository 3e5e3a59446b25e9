import type { FastifyInstance } from 'fastify'
import type { Expectation, Written } from '../machine/machine.ts'
import { type Entry, limits } from '../machine/store.ts'
import { BadRequest, complaint } from './complaint.ts'
import type { KvNode, Serving } from './http.ts'
import { object } from './schema.ts'

/** How fresh an answer must be. `lease` needs a cluster that allows leases. */
type Consistency = 'linearizable' | 'lease' | 'stale'

const text = { type: 'string' } as const
const digits = { type: 'string', pattern: '^[0-9]{1,15}$' } as const
const consistency = { enum: ['linearizable', 'lease', 'stale'] } as const

const value = object({ value: text }, ['value'])
const puts = { type: 'array', minItems: 1, maxItems: 1000, items: object({ key: text, value: text }, ['key', 'value']) }
const expectation = {
  oneOf: [
    object({ absent: { const: true } }, ['absent']),
    object({ value: text }, ['value']),
    object({ revision: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER } }, ['revision']),
  ],
}

/** The keys and values: /v1/kv. */
export async function keys(app: FastifyInstance, { node, timeout, say }: Serving): Promise<void> {
  app.get<{ Params: { key: string }; Querystring: { consistency?: Consistency } }>(
    '/v1/kv/:key',
    { schema: { querystring: object({ consistency }) } },
    async ({ params, query }) => {
      const key = checkKey(params.key)
      const entry = await node.queries.get({ key }, reading(query.consistency, timeout))
      if (entry === null) throw missing(key)
      return shown(key, entry)
    },
  )

  app.get<{ Querystring: { prefix?: string; after?: string; limit?: string; consistency?: Consistency } }>(
    '/v1/kv',
    { schema: { querystring: object({ prefix: text, after: text, limit: digits, consistency }) } },
    async ({ query }) => {
      const limit = Number(query.limit ?? 100)
      if (limit < 1 || limit > 1000) throw new BadRequest(400, 'INVALID_LIMIT', 'limit is 1 to 1000')
      const prefix = checkText('prefix', query.prefix ?? '', limits.keyBytes)
      const after = query.after === undefined ? null : checkText('after', query.after, limits.keyBytes)
      const page = await node.queries.list({ prefix, after, limit }, reading(query.consistency, timeout))
      return { ...page, entries: page.entries.map((entry) => shown(entry.key, entry)) }
    },
  )

  app.put<{ Params: { key: string }; Body: { value: string } }>(
    '/v1/kv/:key',
    { schema: { body: value } },
    async ({ params, body }) => {
      const input = { key: checkKey(params.key), value: checkValue(body.value) }
      return answer(input.key, await node.commands.put(input, { timeout }))
    },
  )

  // Each for itself, not one step: what they share is the request, which costs more than a put.
  app.post<{ Body: { puts: { key: string; value: string }[] } }>(
    '/v1/kv',
    { schema: { body: object({ puts }, ['puts']) } },
    async ({ body }, reply) => {
      const inputs = body.puts.map(({ key, value }) => ({ key: checkKey(key), value: checkValue(value) }))
      const done = await Promise.allSettled(inputs.map((input) => node.commands.put(input, { timeout })))
      const results = done.map((end, at) => {
        const { key } = inputs[at]!
        if (end.status === 'fulfilled') return answer(key, end.value)
        return { key, ...complaint(end.reason, false, say).body }
      })
      // Who looks at the status alone must not take a part for all.
      return reply.code(done.every(({ status }) => status === 'fulfilled') ? 200 : 207).send({ results })
    },
  )

  app.delete<{ Params: { key: string } }>('/v1/kv/:key', async ({ params }) => {
    const key = checkKey(params.key)
    return answer(key, await node.commands.del({ key }, { timeout }))
  })

  app.post<{ Params: { key: string }; Body: { value: string } }>(
    '/v1/kv/:key/append',
    { schema: { body: value } },
    async ({ params, body }) => {
      const input = { key: checkKey(params.key), value: checkValue(body.value) }
      return answer(input.key, await node.commands.append(input, { timeout }))
    },
  )

  app.post<{ Params: { key: string }; Body: { value: string; expect: Expectation } }>(
    '/v1/kv/:key/cas',
    { schema: { body: object({ value: text, expect: expectation }, ['value', 'expect']) } },
    async ({ params, body: { value, expect } }) => {
      if ('value' in expect) checkValue(expect.value)
      const input = { key: checkKey(params.key), value: checkValue(value), expect }
      return answer(input.key, await node.commands.cas(input, { timeout }))
    },
  )
}

function reading(consistency: Consistency | undefined, timeout: number): Parameters<KvNode['queries']['get']>[1] {
  return { consistency: consistency ?? 'linearizable', timeout }
}

const shown = (key: string, { value, revision, created }: Entry) => ({ key, value, revision, created })

const missing = (key: string) => new BadRequest(404, 'NOT_FOUND', `no key ${JSON.stringify(key)}`)

function answer(key: string, written: Written): { key: string; revision: number } {
  if (written.done) return { key, revision: written.revision }
  const { why, current } = written
  if (why === 'MISSING') throw missing(key)
  if (why === 'TOO_LARGE') {
    throw new BadRequest(
      413,
      'TOO_LARGE',
      `the value would pass ${limits.valueBytes} bytes; it holds ${Buffer.byteLength(current?.value ?? '')}`,
    )
  }
  throw new BadRequest(412, 'PRECONDITION_FAILED', 'the key is not as expected', {
    current: current && shown(key, current),
  })
}

function checkKey(key: string): string {
  if (key === '') throw new BadRequest(400, 'INVALID_KEY', 'a key is not empty')
  // Clients resolve these two before they send: a key that some can write and others cannot reach is worse than none.
  if (key === '.' || key === '..') throw new BadRequest(400, 'INVALID_KEY', 'no URL can carry the keys . and ..')
  return checkText('key', key, limits.keyBytes)
}

const checkValue = (value: string): string => checkText('value', value, limits.valueBytes)

export function checkText(what: 'key' | 'value' | 'prefix' | 'after', text: string, maxBytes: number): string {
  const code = what === 'value' ? 'INVALID_VALUE' : 'INVALID_KEY'
  if (Buffer.byteLength(text) > maxBytes) {
    const status = what === 'value' ? 413 : 400
    throw new BadRequest(status, what === 'value' ? 'TOO_LARGE' : code, `${what}: at most ${maxBytes} bytes of UTF-8`)
  }
  // Half a surrogate pair has no UTF-8.
  if (/\p{Surrogate}/u.test(text)) throw new BadRequest(400, code, `${what}: not well-formed Unicode`)
  return text
}
