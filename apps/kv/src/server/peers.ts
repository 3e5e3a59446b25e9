import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRaftkitError, type Transport } from '@raftkit/contract'
import type { TcpTransportOptions, Tls } from '@raftkit/transport-tcp'
import { UsageError } from '../client/exit.ts'
import { linkNamed, memoryLink } from './adapters.ts'
import { reachedFromOutside } from './address.ts'
import type { Say } from './serve.ts'
import type { Settings } from './settings.ts'

/** How this member reaches the others, and what they prove to each other. */
export interface Peers {
  readonly transport: Transport
  /** Files that say who is believed, if there are any. `reload` takes them as they are now, or throws, and stays as it was. */
  readonly follow?: { readonly files: readonly string[]; readonly reload: () => void }
}

/** Beyond loopback, nobody is believed to be a member who has not proven it, unless that is said in so many words. `say` hears what goes wrong between members. Throws `UsageError`. */
export async function peersOf(settings: Settings, say: Say): Promise<Peers> {
  const { transport = 'tcp', peerSecret, insecure = false } = settings
  const files = tlsFiles(settings)
  if (typeof transport !== 'string' || transport === 'memory') {
    if (files || peerSecret !== undefined)
      throw new UsageError(
        `--peer-… is for transports by name, and memory has no peers; an adapter of your own is told when it is made what peers have to prove`,
      )
    return { transport: typeof transport === 'string' ? await memoryLink() : transport }
  }
  const { address, members = {} } = settings
  const outside = reachedFromOutside([...(address === undefined ? [] : [address]), ...Object.values(members)])
  if (!files && peerSecret === undefined && !insecure && outside !== undefined)
    throw new UsageError(
      `${outside} can be reached from other machines, and whoever reaches it could pass for a member: give --peer-tls DIRECTORY ("raftkit-certificates" makes one) or --peer-secret FILE, or say --insecure if that is meant`,
    )
  const options: TcpTransportOptions = {
    insecure,
    ...(files && { tls: () => readTls(files) }),
    ...(peerSecret !== undefined && { secret: read('--peer-secret', peerSecret).trim() }),
    onReport: ({ kind, remote, peer, reason }) =>
      say(`${kind === 'insecure' ? 'INSECURE' : kind}: ${peer === undefined ? '' : `${peer} at `}${remote}: ${reason}`),
  }
  try {
    // Wrong files are told of now, not by a node that half stands.
    if (files) readTls(files)
    const link = await linkNamed(transport, options)
    if (!files) return { transport: link }
    link.reload()
    const { ca, cert, key, deny } = files
    return {
      transport: link,
      follow: { files: [ca, cert, key, ...(deny === undefined ? [] : [deny])], reload: () => link.reload() },
    }
  } catch (error) {
    if (!isRaftkitError(error)) throw error
    throw new UsageError(`what stands in the files given by --peer-… is of no use: ${error.message}`)
  }
}

interface TlsFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly deny?: string | undefined
  /** It is the one of a directory, where it need not be. */
  readonly mayLackDeny: boolean
}

function tlsFiles({ peerTls, peerCa, peerCert, peerKey, peerDeny }: Settings): TlsFiles | undefined {
  const inDirectory = (name: string) => (peerTls === undefined ? undefined : join(peerTls, name))
  const ca = peerCa ?? inDirectory('ca.pem')
  const cert = peerCert ?? inDirectory('cert.pem')
  const key = peerKey ?? inDirectory('key.pem')
  const deny = peerDeny ?? inDirectory('deny.txt')
  if (ca === undefined && cert === undefined && key === undefined && deny === undefined) return undefined
  if (ca === undefined || cert === undefined || key === undefined)
    throw new UsageError('--peer-ca, --peer-cert and --peer-key go together, or --peer-tls DIRECTORY instead of them')
  return { ca, cert, key, deny, mayLackDeny: peerDeny === undefined }
}

function readTls({ ca, cert, key, deny, mayLackDeny }: TlsFiles): Tls {
  return {
    ca: read('--peer-ca', ca),
    cert: read('--peer-cert', cert),
    key: read('--peer-key', key),
    ...(deny !== undefined && !(mayLackDeny && !existsSync(deny)) && { deny: lines(read('--peer-deny', deny)) }),
  }
}

/** `#` begins a remark. */
const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')

function read(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UsageError(`${flag}: ${(cause as Error).message}`)
  }
}
