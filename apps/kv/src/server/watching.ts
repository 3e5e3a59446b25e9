import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { limits } from '../machine/store.ts'
import { BadRequest } from './complaint.ts'
import type { KvNode, Serving } from './http.ts'
import { checkText } from './keys.ts'
import { object } from './schema.ts'

const heartbeat = 10_000

const querystring = object({ prefix: { type: 'string' }, from: { type: 'string', pattern: '^[0-9]{1,15}$' } })

/** Changes as they are applied, as server-sent events: /v1/watch. An event's id is its revision, the same on every member. */
export async function watching(app: FastifyInstance, serving: Serving & { watches: number }): Promise<void> {
  const { node, timeout, leaving, watches } = serving
  let watchers = 0

  app.get<{ Querystring: { prefix?: string; from?: string } }>(
    '/v1/watch',
    { schema: { querystring } },
    async (request, reply) => {
      const prefix = checkText('prefix', request.query.prefix ?? '', limits.keyBytes)
      const from = firstRevision(request.query.from, request.headers['last-event-id'])
      if (watchers >= watches) throw new BadRequest(429, 'TOO_MANY_WATCHERS', `at most ${watches} on one member`)
      watchers++
      try {
        const start = from ?? (await node.queries.summary(undefined, { timeout })).revision + 1
        const look = await node.queries.changes({ prefix, from: start }, { consistency: 'stale' })
        if ('compacted' in look) throw compacted(start, look.compacted)
        reply.hijack()
        await stream(node, reply.raw, prefix, start, leaving)
      } finally {
        watchers--
      }
    },
  )
}

/** After a reconnect the header is newer than the address, which an EventSource repeats. */
function firstRevision(from: string | undefined, lastEventId: string | string[] | undefined): number | undefined {
  if (typeof lastEventId === 'string' && lastEventId !== '') {
    if (!/^[0-9]{1,15}$/.test(lastEventId))
      throw new BadRequest(400, 'INVALID_REVISION', 'Last-Event-ID is no revision')
    return Number(lastEventId) + 1
  }
  return from === undefined ? undefined : Math.max(1, Number(from))
}

const compacted = (from: number, upTo: number) =>
  new BadRequest(
    410,
    'COMPACTED',
    `changes from ${from} on were asked for, but up to ${upTo} they are gone: list the keys, then watch from the revision of that list plus one`,
    { compacted: upTo },
  )

async function stream(
  node: KvNode,
  out: ServerResponse,
  prefix: string,
  from: number,
  leaving: AbortSignal,
): Promise<void> {
  const gone = new AbortController()
  const stop = () => gone.abort()
  out.on('close', stop)
  leaving.addEventListener('abort', stop)
  const bell = new Bell()
  const offs = [node.on('applied', bell.ring), node.on('stopped', stop), node.on('closed', stop)]
  const timer = setInterval(bell.ring, heartbeat)
  gone.signal.addEventListener('abort', bell.ring)
  if (leaving.aborted) stop()
  try {
    out.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
    out.write(`retry: 1000\n: changes from ${from} on\n\n`)
    let told = Date.now()
    while (!gone.signal.aborted) {
      const rung = bell.next()
      const look = await node.queries.changes({ prefix, from }, { consistency: 'stale' })
      if ('compacted' in look) {
        // The reader was slower than the changes are kept.
        out.write(`event: compacted\ndata: ${JSON.stringify({ code: 'COMPACTED', compacted: look.compacted })}\n\n`)
        break
      }
      from = look.next
      let text = look.changes.map((change) => `id: ${change.revision}\ndata: ${JSON.stringify(change)}\n\n`).join('')
      // An id without data makes no event, but moves where a reconnect resumes: the prefix may be quiet while others' changes are dropped.
      if (text === '' && Date.now() - told >= heartbeat) text = `: alive\nid: ${from - 1}\n\n`
      if (text !== '') {
        told = Date.now()
        if (!out.write(text)) await once(out, 'drain', { signal: gone.signal })
      }
      if (look.next > look.revision) await rung
    }
  } catch {
    // The reader left while its buffer drained, or the node closed: either way this stream is over, and resumes elsewhere.
  } finally {
    for (const off of offs) off()
    clearInterval(timer)
    leaving.removeEventListener('abort', stop)
    out.end()
  }
}

/** Wakes one waiter, also when it was rung just before the waiting began. */
class Bell {
  #wake: () => void = () => {}

  /** Ask for it before looking; it settles with the first ring after that. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  readonly ring = (): void => this.#wake()
}
