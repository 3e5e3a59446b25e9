import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** Addresses where nobody listens, each by its id. */
export async function addresses<Id extends string>(...ids: Id[]): Promise<Record<Id, string>> {
  const servers = ids.map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const found = ids.map((id, n) => [id, `127.0.0.1:${(servers[n]!.address() as AddressInfo).port}`])
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return Object.fromEntries(found) as Record<Id, string>
}
