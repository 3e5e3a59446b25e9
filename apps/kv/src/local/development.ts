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

/** Of one member, for `--peer-tls`. */
export const folderOf = (directory: string, id: string): string => join(directory, 'nodes', id)

/** A folder per member. What was there is replaced. The key of their authority is kept nowhere. */
export async function certifyMembers(directory: string, cluster: string, ids: readonly string[]): Promise<Authority> {
  const authority = await createAuthority({ cluster })
  for (const id of ids) writeFolder(folderOf(directory, id), await issue(authority, { node: id }), { force: true })
  return authority
}

/** Made anew, at each start: mutual TLS between members, HTTPS and a token for clients. */
export async function development(directory: string, cluster: string, ids: readonly string[]): Promise<Development> {
  rmSync(directory, { recursive: true, force: true })
  const { cert } = await certifyMembers(directory, cluster, ids)
  const file = (name: string) => join(directory, name)
  writeFileSync(file('ca.pem'), cert)
  writeFileSync(file('token'), addToken(file('access.json'), 'developer', 'admin'), { mode: 0o600 })
  const client = { ca: file('ca.pem'), token: file('token') }
  return {
    flags: (id) => [
      ...['--peer-tls', folderOf(directory, id), '--access', file('access.json')],
      ...[
        '--http-cert',
        join(folderOf(directory, id), 'cert.pem'),
        '--http-key',
        join(folderOf(directory, id), 'key.pem'),
      ],
    ],
    client,
    dialer: new Dialer(credentials(client, {})),
  }
}
