import { request } from 'node:http'
import { request as requestByTls } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import { memoryStorage } from '@raftkit/storage-memory'
import { type MemoryNetwork, memoryNetwork } from '@raftkit/transport-memory'
import type { MemberView } from '../src/client/cluster-commands.ts'
import { type Served, serve } from '../src/server/serve.ts'
import type { Resolved } from '../src/server/settings.ts'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  // biome-ignore lint/suspicious/noExplicitAny: what a test looks for in an answer, it says itself
  body: any
}

export interface Asking {
  method?: string
  body?: unknown
  /** As it is, instead of JSON of `body`. */
  text?: string
  headers?: Record<string, string>
  /** By HTTPS, and what is shown there. */
  tls?: { ca?: string; cert?: string; key?: string }
}

/** One request as it is written here: no client that mends it on the way. */
export function ask(
  url: string,
  path: string,
  { method = 'GET', body, text, headers = {}, tls }: Asking = {},
): Promise<Answer> {
  const payload = text ?? (body === undefined ? undefined : JSON.stringify(body))
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const type = payload === undefined ? {} : { 'content-type': 'application/json' }
    const asked = { hostname, port, path, method, headers: { ...type, ...headers }, agent: false } as const
    const outgoing = tls ? requestByTls({ ...asked, ...tls }) : request(asked)
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      if (incoming.headers['content-type'] === 'text/event-stream') {
        // It has no end.
        resolve({ status: incoming.statusCode!, headers: incoming.headers, body: '' })
        incoming.destroy()
        return
      }
      let received = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => {
        received += chunk
      })
      incoming.on('error', reject)
      incoming.on('end', () => {
        const json = incoming.headers['content-type']?.startsWith('application/json')
        resolve({
          status: incoming.statusCode!,
          headers: incoming.headers,
          body: json && received !== '' ? JSON.parse(received) : received,
        })
      })
    })
    outgoing.end(payload)
  })
}

/** Three members in this process, on memory adapters, each with its own HTTP server. */
export class ThreeMembers {
  readonly network: MemoryNetwork = memoryNetwork()
  readonly served = new Map<string, Served>()
  readonly founders = { n1: 'n1', n2: 'n2', n3: 'n3' }

  static async start(settings: Partial<Resolved> = {}): Promise<ThreeMembers> {
    const cluster = new ThreeMembers()
    await Promise.all(
      Object.keys(cluster.founders).map((id) => cluster.add(id, { members: cluster.founders, ...settings })),
    )
    await cluster.leader()
    return cluster
  }

  async add(id: string, settings: Partial<Resolved>): Promise<Served> {
    const served = await serve(
      {
        id,
        cluster: 'test',
        timeout: 10_000,
        electionTimeout: 200,
        http: { host: '127.0.0.1', port: 0, loopback: true },
        storage: memoryStorage(),
        peers: { transport: this.network.transport() },
        ...settings,
      },
      () => {},
    )
    this.served.set(id, served)
    return served
  }

  url(id: string): string {
    return this.served.get(id)!.url
  }

  get urls(): string[] {
    return [...this.served.values()].map(({ url }) => url)
  }

  async view(id: string): Promise<MemberView> {
    return (await ask(this.url(id), '/v1/status')).body
  }

  /** Who leads, of those that are asked, once all of them agree. */
  async leader(among: readonly string[] = [...this.served.keys()]): Promise<string> {
    for (;;) {
      const views = await Promise.all(among.map((id) => this.view(id)))
      const leader = views.find(({ role }) => role === 'leader')
      if (leader && views.every((view) => view.leader === leader.id && view.term === leader.term)) return leader.id
      await pause(10)
    }
  }

  async follower(): Promise<string> {
    const leader = await this.leader()
    return [...this.served.keys()].find((id) => id !== leader)!
  }

  async stop(): Promise<void> {
    this.network.heal()
    await Promise.all([...this.served.values()].map((served) => served.stop()))
  }
}
