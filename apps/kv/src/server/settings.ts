import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Storage, Transport } from '@raftkit/contract'
import { UsageError } from '../client/exit.ts'
import { type StorageName, storageNamed, type TransportName } from './adapters.ts'
import { listening } from './address.ts'
import { type Front, front } from './front.ts'
import type { Limits } from './limits.ts'
import { type Peers, peersOf } from './peers.ts'
import type { Say } from './serve.ts'

/** What the flags of `serve` say, or the configuration file by the same names; flags win. */
export interface Settings {
  id?: string
  cluster?: string
  /** The founders: `{ n1: 'host:port', … }`. On the command line `n1=host:port,…`. */
  members?: Record<string, string>
  /** Wait to be added by a member, instead of founding a cluster. */
  join?: boolean
  /** Where this member's peers dial it, if `members` does not say. */
  address?: string
  /** Where HTTP is served: `host:port`. */
  http?: string
  /** The directory that `wal` or `level` keeps its files in. */
  data?: string
  /** `wal`, `level`, `memory`, or an adapter. */
  storage?: StorageName | Storage
  /** `tcp`, `grpc`, `ws`, `memory` for a cluster of one, or an adapter. */
  transport?: TransportName | Transport
  /** A directory with `ca.pem`, `cert.pem`, `key.pem` and perhaps `deny.txt`: mutual TLS between members. */
  peerTls?: string
  /** These files instead, each. */
  peerCa?: string
  peerCert?: string
  peerKey?: string
  peerDeny?: string
  /** A file with what all members know, and nobody else: who connects proves that he knows it, too. */
  peerSecret?: string
  /** Let HTTP and peers be reached from other machines, although nobody is asked who he is. */
  insecure?: boolean
  /** The access file: clients by name, their roles, and the hashes of their tokens. */
  access?: string
  /** Files in PEM: serve HTTPS. */
  httpCert?: string
  httpKey?: string
  /** A file in PEM: ask clients for certificates that these authorities signed. */
  clientCa?: string
  /** Names under which this server may be asked, besides loopback and the address of `http`. */
  allowHost?: string[]
  /** Sites whose pages may ask, such as `https://admin.example`. */
  allowOrigin?: string[]
  limits?: Partial<Limits>
  /** A snapshot after so many entries, and how many older ones stay in the log for members that lag. */
  snapshotEntries?: number
  trailingEntries?: number
  /** Milliseconds. */
  electionTimeout?: number
  timeout?: number
  /** Allow lease reads while clocks drift by less than this share. */
  leaseDrift?: number
}

/** Complete, checked as far as the node does not check it itself. */
export interface Resolved extends Omit<Settings, 'storage' | 'transport' | 'http'> {
  readonly id: string
  readonly cluster: string
  readonly http: Front
  readonly timeout: number
  readonly storage: Storage
  readonly peers: Peers
}

const kinds: Record<keyof Settings, 'string' | 'number' | 'boolean' | 'object'> = {
  id: 'string',
  cluster: 'string',
  members: 'object',
  join: 'boolean',
  address: 'string',
  http: 'string',
  data: 'string',
  storage: 'string',
  transport: 'string',
  insecure: 'boolean',
  peerTls: 'string',
  peerCa: 'string',
  peerCert: 'string',
  peerKey: 'string',
  peerDeny: 'string',
  peerSecret: 'string',
  access: 'string',
  httpCert: 'string',
  httpKey: 'string',
  clientCa: 'string',
  allowHost: 'object',
  allowOrigin: 'object',
  limits: 'object',
  snapshotEntries: 'number',
  trailingEntries: 'number',
  electionTimeout: 'number',
  timeout: 'number',
  leaseDrift: 'number',
}

type ConfigFile = Settings | ((flags: Settings) => Settings | Promise<Settings>)

/** Flags over the file over the defaults. `say`: of what is made here, once it is started. Throws `UsageError`. */
export async function resolveSettings(flags: Settings, configPath?: string, say: Say = () => {}): Promise<Resolved> {
  const file = configPath === undefined ? {} : await readConfig(configPath, flags)
  const given = { ...file, ...flags, limits: { ...file.limits, ...flags.limits } }
  const { id } = given
  if (id === undefined) throw new UsageError('which member is this? Give --id, such as --id n1')
  if (given.members === undefined && !given.join) {
    throw new UsageError(
      'give the founders by --members n1=host:port,… or, to be added to a cluster, --join --address host:port',
    )
  }
  const data = given.data ?? `./data/${id}`
  const { storage = 'wal' } = given
  return {
    ...given,
    id,
    cluster: given.cluster ?? 'kv',
    timeout: given.timeout ?? 10_000,
    http: front(listening(given.http ?? '127.0.0.1:8001'), given),
    // Before the storage: that holds a lock on its directory.
    peers: await peersOf(given, say),
    storage: typeof storage === 'string' ? await storageNamed(storage, data) : storage,
  }
}

async function readConfig(path: string, flags: Settings): Promise<Settings> {
  let exported: ConfigFile | undefined
  try {
    exported = (await import(pathToFileURL(resolve(path)).href)).default
  } catch (cause) {
    throw new UsageError(`${path} cannot be loaded: ${(cause as Error).message}`)
  }
  const settings = typeof exported === 'function' ? await exported(flags) : exported
  if (typeof settings !== 'object' || settings === null) {
    throw new UsageError(`${path} must export an object as its default, or a function that returns one`)
  }
  for (const [name, value] of Object.entries(settings)) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name as keyof Settings] : undefined
    if (kind === undefined) throw new UsageError(`${path}: there is no setting ${JSON.stringify(name)}`)
    const adapter = (name === 'storage' || name === 'transport') && typeof value === 'object' && value !== null
    if (typeof value !== kind && !adapter) throw new UsageError(`${path}: ${name} is a ${kind}`)
  }
  return settings
}
