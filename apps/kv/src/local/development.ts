import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Authority, createAuthority, issue, writeFolder } from '@raftkit/certificates'
import { type CredentialFlags, credentials } from '../client/credentials.ts'
import { Dialer } from '../client/exchange.ts'
import { addToken } from '../server/access.ts'

/** What members on this machine need in order to ask each other, and their clients, who they are. */
export interface Development {
  /** Of one member, for `serve`. */
  flags(id: string): readonly string[]
  /** Files, for clients. They may do everything. */
  readonly client: CredentialFlags
  readonly dialer: Dialer
}

/** A folder per member in `directory/nodes`, for `--peer-tls`. What was there is replaced. The key of their authority is kept nowhere. */
export async function certifyMembers(directory: string, cluster: string, ids: readonly string[]): Promise<Authority> {
  const authority = await createAuthority({ cluster })
  for (const id of ids) writeFolder(join(directory, 'nodes', id), await issue(authority, { node: id }), { force: true })
  return authority
}

/** Made anew, at each start: mutual TLS between members, HTTPS and a token for clients. */
export async function development(directory: string, cluster: string, ids: readonly string[]): Promise<Development> {
  rmSync(directory, { recursive: true, force: true })
  const { cert } = await certifyMembers(directory, cluster, ids)
  const file = (...names: string[]) => join(directory, ...names)
  writeFileSync(file('ca.pem'), cert)
  writeFileSync(file('token'), addToken(file('access.json'), 'developer', 'admin'), { mode: 0o600 })
  const client = { ca: file('ca.pem'), token: file('token') }
  return {
    flags: (id) => [
      ...['--peer-tls', file('nodes', id), '--access', file('access.json')],
      ...['--http-cert', file('nodes', id, 'cert.pem'), '--http-key', file('nodes', id, 'key.pem')],
    ],
    client,
    dialer: new Dialer(credentials(client, {})),
  }
}
