import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UsageError } from '@raftkit/app-kv'
import { faults } from '@raftkit/bft'
import { toHex } from '@raftkit/bytes'
import { type Authority, createAuthority, issue, writeFolder } from '@raftkit/certificates'
import { generateKey, writeKey } from '@raftkit/ed25519'
import type { Genesis, Member } from './genesis.ts'

/** Where one organisation's member and its clerk, who writes, are found. */
export interface Site {
  readonly id: string
  readonly host: string
  readonly port: number
  readonly httpPort: number
}

/** In the folder of a member, a clerk or an operator: the key by which it signs. */
export const signingKey = 'signing.pem'
/** In the folder of a member: what it shows of itself to all. */
const publicHalf = 'member.json'
export const memberFolder = (directory: string, id: string): string => join(directory, id, 'member')
export const clerkFolder = (directory: string, id: string): string => join(directory, id, 'clerk')
export const operatorKey = (directory: string, id: string): string => join(directory, id, 'operator', signingKey)
export const genesisFile = (directory: string): string => join(directory, 'genesis.json')
export const memberFile = (memberFolder: string): string => join(memberFolder, publicHalf)
/** Who holds what lies there can be any member, as far as connections go. */
const authorityFolder = (directory: string): string => join(directory, 'authority')

interface Force {
  /** Replaces what is there. */
  readonly force?: boolean
}

/**
 * A folder for each organisation, with keys and certificates of its member, of its clerk and of its operator, and the genesis file that all share. For a
 * trial: whoever runs this sees every secret. Throws `REFUSED` if something is there, unless `force`.
 */
export async function makeOrganisations(
  directory: string,
  cluster: string,
  sites: readonly Site[],
  { force = false }: Force = {},
): Promise<Genesis> {
  const authority = await createAuthority({ cluster })
  writeFolder(authorityFolder(directory), authority, { force })
  const members: Member[] = []
  const authors: Record<string, string> = {}
  for (const site of sites) {
    const { member, clerk } = await makeOrganisation(directory, authority, site, { force })
    members.push(member)
    authors[`${site.id}-clerk`] = toHex(clerk)
  }
  // As many as can do without any one of them, and never a liar with those that it could deceive.
  const threshold = sites.length - faults(sites.length)
  const genesis = { cluster, members, threshold, authors }
  writeFileSync(genesisFile(directory), `${JSON.stringify(genesis, null, 2)}\n`, { flag: force ? 'w' : 'wx' })
  return genesis
}

/** One more, for a trial that is there already: whether it becomes a member, the operators say. Throws `REFUSED` and `INVALID_OPTION`. */
export async function addOrganisation(directory: string, site: Site, { force = false }: Force = {}): Promise<Member> {
  const { cert, key } = readAuthority(authorityFolder(directory))
  const { member } = await makeOrganisation(directory, { cert, key }, site, { force })
  return member
}

async function makeOrganisation(
  directory: string,
  authority: Authority,
  { id, host, port, httpPort }: Site,
  force: Force,
): Promise<{ member: Member; clerk: Uint8Array }> {
  const [voting, clerk, operator] = [generateKey(), generateKey(), generateKey()]
  const folder = memberFolder(directory, id)
  writeFolder(folder, await issue(authority, { node: id, hosts: [host] }), force)
  writeKey(join(folder, signingKey), voting, force)
  writeFolder(clerkFolder(directory, id), await issue(authority, { client: `${id}-clerk` }), force)
  writeKey(join(clerkFolder(directory, id), signingKey), clerk, force)
  mkdirSync(dirname(operatorKey(directory, id)), { recursive: true, mode: 0o700 })
  writeKey(operatorKey(directory, id), operator, force)
  const member = {
    ...{ id, key: toHex(voting.public), address: `${host}:${port}`, url: `https://${host}:${httpPort}` },
    operator: toHex(operator.public),
  }
  writeFileSync(memberFile(folder), `${JSON.stringify(member, null, 2)}\n`)
  return { member, clerk: clerk.public }
}

function readAuthority(folder: string): Authority {
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => {
    const file = join(folder, name)
    if (!existsSync(file))
      throw new UsageError(`${file} is not there: "raftkit-ledger keys" makes the authority of a trial`)
    return readFileSync(file, 'utf8')
  })
  return { cert: cert!, key: key! }
}
