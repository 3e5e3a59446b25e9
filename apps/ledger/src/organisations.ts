import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from '@raftkit/bytes'
import { createAuthority, issue, writeFolder } from '@raftkit/certificates'
import { generateKey, writeKey } from '@raftkit/ed25519'
import type { Genesis } from './genesis.ts'

/** Where one organisation's member and its clerk, who writes, are found. */
export interface Site {
  readonly id: string
  readonly host: string
  readonly port: number
  readonly httpPort: number
}

/** In the folder of a member or a clerk, beside its certificate: the key by which it signs. */
export const signingKey = 'signing.pem'
export const memberFolder = (directory: string, id: string): string => join(directory, id, 'member')
export const clerkFolder = (directory: string, id: string): string => join(directory, id, 'clerk')
export const genesisFile = (directory: string): string => join(directory, 'genesis.json')

/**
 * A folder for each organisation, with keys and certificates of its member and of its clerk, and the genesis file that all share. For a trial:
 * whoever runs this sees every secret. Throws `REFUSED` if something is there, unless `force`.
 */
export async function makeOrganisations(
  directory: string,
  cluster: string,
  sites: readonly Site[],
  { force = false }: { readonly force?: boolean } = {},
): Promise<Genesis> {
  const authority = await createAuthority({ cluster })
  const members: Genesis['members'][number][] = []
  const authors: Record<string, string> = {}
  for (const { id, host, port, httpPort } of sites) {
    const [member, clerk] = [generateKey(), generateKey()]
    writeFolder(memberFolder(directory, id), await issue(authority, { node: id, hosts: [host] }), { force })
    writeKey(join(memberFolder(directory, id), signingKey), member, { force })
    writeFolder(clerkFolder(directory, id), await issue(authority, { client: `${id}-clerk` }), { force })
    writeKey(join(clerkFolder(directory, id), signingKey), clerk, { force })
    members.push({ id, key: toHex(member.public), address: `${host}:${port}`, url: `https://${host}:${httpPort}` })
    authors[`${id}-clerk`] = toHex(clerk.public)
  }
  const genesis = { cluster, members, authors }
  mkdirSync(directory, { recursive: true })
  writeFileSync(genesisFile(directory), `${JSON.stringify(genesis, null, 2)}\n`, { flag: force ? 'w' : 'wx' })
  return genesis
}
