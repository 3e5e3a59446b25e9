import { httpServer, type Serving } from '@raftkit/app-kv'
import { memoryStorage } from '@raftkit/storage-memory'
import { Cluster, type KvNode } from './cluster.ts'
import { Disagreement, type Target } from './target.ts'

/** A request, as JSON: what a mutation makes of it is sent as far as HTTP can carry it. */
interface Request {
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

const json = { 'content-type': 'application/json' }

const requests: readonly Request[] = [
  { method: 'GET', url: '/v1/kv/a' },
  { method: 'GET', url: '/v1/kv/a?consistency=stale' },
  { method: 'GET', url: '/v1/kv?prefix=a&after=ab&limit=10' },
  { method: 'GET', url: '/v1/kv' },
  { method: 'GET', url: '/v1/kv?limit=0' },
  { method: 'GET', url: '/v1/kv?limit=1001' },
  { method: 'GET', url: '/v1/kv/missing?consistency=lease' },
  { method: 'DELETE', url: '/v1/kv/missing' },
  { method: 'PUT', url: '/v1/kv/.', headers: json, body: { value: 'x' } },
  { method: 'PUT', url: `/v1/kv/${'k'.repeat(1025)}`, headers: json, body: { value: 'x' } },
  { method: 'PUT', url: '/v1/kv/a', headers: json, body: { value: '\ud800' } },
  { method: 'GET', url: '/v1/watch?from=3' },
  { method: 'GET', url: '/v1/watch?prefix=a', headers: { 'last-event-id': '7' } },
  { method: 'PUT', url: '/v1/kv/a', headers: json, body: { value: 'ä' } },
  { method: 'PUT', url: '/v1/kv/__proto__', headers: json, body: { value: 'x' } },
  {
    method: 'POST',
    url: '/v1/kv',
    headers: json,
    body: {
      puts: [
        { key: 'a', value: '1' },
        { key: 'constructor', value: '2' },
      ],
    },
  },
  { method: 'POST', url: '/v1/kv/a/append', headers: json, body: { value: 'more' } },
  { method: 'POST', url: '/v1/kv/a/cas', headers: json, body: { value: 'b', expect: { absent: true } } },
  { method: 'POST', url: '/v1/kv/a/cas', headers: json, body: { value: 'b', expect: { value: 'a' } } },
  { method: 'POST', url: '/v1/kv/a/cas', headers: json, body: { value: 'b', expect: { revision: 3 } } },
  { method: 'DELETE', url: '/v1/kv/a' },
  { method: 'DELETE', url: '/v1/kv/%2e%2e%2fa' },
  { method: 'GET', url: '/v1/watch?from=1', headers: { 'last-event-id': '7x' } },
  { method: 'GET', url: '/v1/watch?from=x' },
  { method: 'GET', url: '/v1/status' },
  { method: 'GET', url: '/v1/hash' },
  { method: 'GET', url: '/v1/members' },
  { method: 'POST', url: '/v1/members', headers: json, body: { id: 'n2', address: 'h:1', role: 'learner' } },
  { method: 'POST', url: '/v1/members/n2/promote' },
  { method: 'POST', url: '/v1/members/n2/demote' },
  { method: 'DELETE', url: '/v1/members/n2?force=true' },
  { method: 'POST', url: '/v1/transfer', headers: json, body: { to: 'n2' } },
  { method: 'GET', url: '/readyz', headers: { host: 'evil.test' } },
  { method: 'GET', url: '/livez', headers: { origin: 'http://evil.test' } },
  { method: 'GET', url: '/metrics' },
  { method: 'GET', url: '/nowhere' },
  ...['', '.', '..', '\ud800', 'k'.repeat(1025)].map((key) => ({
    method: 'POST',
    url: '/v1/kv',
    headers: json,
    body: { puts: [{ key, value: 'x' }] },
  })),
  { method: 'GET', url: '/v1/kv?prefix=%ED%A0%80&limit=x' },
  { method: 'GET', url: `/v1/kv?after=${'k'.repeat(1025)}` },
  { method: 'POST', url: '/v1/kv/large/append', headers: json, body: { value: 'v'.repeat(40_000) } },
  { method: 'POST', url: '/v1/kv/missing/append', headers: json, body: { value: 'v' } },
  { method: 'POST', url: '/v1/kv/missing/cas', headers: json, body: { value: 'v', expect: { value: 'u' } } },
  { method: 'GET', url: '/v1/status', headers: { host: '[::1]:8000', origin: 'https://pages.test' } },
  { method: 'OPTIONS', url: '/v1/status', headers: { origin: 'https://pages.test' } },
  { method: 'GET', url: '/v1/status', headers: { host: 'LOCALHOST:1', origin: 'http://LOCALHOST:1' } },
  {
    method: 'GET',
    url: '/v1/status',
    headers: Object.fromEntries(
      Array.from({ length: 120 }, (_, i) => [`x-${String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26))}`, '1']),
    ),
  },
]

/** The requests of kv's clients, on its real handler and a node in memory. */
export const http: Target = {
  name: 'http',
  weight: 8,
  parsers: {
    'apps/kv/src/server/keys.ts': /./,
    'apps/kv/src/server/guard.ts': /./,
  },
  text: true,
  largest: 64 * 1024,
  allowance: 4 << 20,
  heapAllowance: 64 << 20,
  lasts: 2000,
  seeds: async () => requests.map((request) => Buffer.from(JSON.stringify(request))),
  open: async () => {
    const world = new Cluster()
    const node: KvNode = await world.add('n1', ['n1'], memoryStorage())
    await world.until(node.ready())
    const said: string[] = []
    const serving: Serving = {
      cluster: 'fuzz',
      allowOrigins: ['https://pages.test'],
      node,
      timeout: 50,
      // A watch that is let in would never end by itself.
      leaving: AbortSignal.abort(),
      say: (line: string) => said.push(line),
    }
    const app = await httpServer(serving)
    return {
      async take(input) {
        const { method, url, headers, body } = requestOf(input)
        const answer = world.until(
          app.inject({
            method: method as 'GET',
            url,
            headers: { host: 'localhost', ...headers },
            ...(body !== undefined && { payload: body }),
          }),
          true,
        )
        const { statusCode, payload } = await answer
        if (said.length > 0) throw new Disagreement(`the server failed: ${said.splice(0).join(' ')}`)
        if (statusCode >= 500 && statusCode !== 503 && statusCode !== 504)
          throw new Disagreement(`it answered ${statusCode}: ${payload}`)
        if (
          statusCode >= 400 &&
          typeof (JSON.parse(payload) as { error?: { code?: unknown } }).error?.code !== 'string'
        )
          throw new Disagreement(`a refusal without a code: ${payload}`)
        if (node.status().state !== 'running')
          throw new Disagreement('a request ended the node', { cause: node.status().error })
      },
      async close() {
        await app.close()
        await world.close()
      },
    }
  },
}

/** What of the input is a request; what the client's own HTTP would not send is left out. */
function requestOf(input: Uint8Array): {
  method: string
  url: string
  headers: Record<string, string>
  body: string | undefined
} {
  const text = new TextDecoder().decode(input)
  let tree: Partial<Record<keyof Request, unknown>>
  try {
    tree = (JSON.parse(text) ?? {}) as typeof tree
  } catch {
    return { method: 'PUT', url: '/v1/kv/a', headers: json, body: text }
  }
  const method =
    ['GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'].find((name) => name === tree.method) ?? 'POST'
  const url = String(typeof tree.url === 'object' ? '/v1/kv' : tree.url).replace(/[^\x21-\x7e]/g, (char) =>
    encodeURIComponent(char.replace(/\p{Surrogate}/gu, '')),
  )
  const headers: Record<string, string> = {}
  if (typeof tree.headers === 'object' && tree.headers !== null)
    for (const [name, value] of Object.entries(tree.headers))
      if (/^[a-z-]+$/.test(name) && typeof value === 'string') headers[name] = value.replace(/[^\x20-\x7e]/g, '')
  const { body } = tree
  return {
    method,
    url: url.startsWith('/') ? url : `/${url}`,
    headers,
    body:
      body === undefined || method === 'GET' || method === 'HEAD'
        ? undefined
        : typeof body === 'string'
          ? body
          : JSON.stringify(body),
  }
}
