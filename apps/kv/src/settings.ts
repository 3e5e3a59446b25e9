import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Storage, Transport } from '@raftkit/contract'
import { levelStorage } from '@raftkit/storage-level'
import { memoryStorage } from '@raftkit/storage-memory'
import { grpcTransport } from '@raftkit/transport-grpc'
import { memoryNetwork } from '@raftkit/transport-memory'
import { UsageError } from './exit.ts'

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
  /** The directory that `level` keeps its files in. */
  data?: string
  /** `level`, `memory`, or an adapter. */
  storage?: 'level' | 'memory' | Storage
  /** `grpc`, `memory` for a cluster of one, or an adapter. */
  transport?: 'grpc' | 'memory' | Transport
  /** Let HTTP be reached from other machines, although it asks nobody who they are. */
  insecure?: boolean
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
  readonly http: { readonly host: string; readonly port: number; readonly loopback: boolean }
  readonly timeout: number
  readonly storage: Storage
  readonly transport: Transport
}

type ConfigFile = Settings | ((flags: Settings) => Settings | Promise<Settings>)

/** Flags over the file over the defaults. Throws `UsageError`. */
export async function resolveSettings(flags: Settings, configPath?: string): Promise<Resolved> {
  const given = { ...(configPath === undefined ? {} : await readConfig(configPath, flags)), ...flags }
  const { id } = given
  if (id === undefined) throw new UsageError('which member is this? Give --id, such as --id n1')
  if (given.members === undefined && !given.join) {
    throw new UsageError(
      'give the founders by --members n1=host:port,… or, to be added to a cluster, --join --address host:port',
    )
  }
  const data = given.data ?? `./data/${id}`
  return {
    ...given,
    id,
    cluster: given.cluster ?? 'kv',
    timeout: given.timeout ?? 10_000,
    http: listening(given.http ?? '127.0.0.1:8001', given.insecure ?? false),
    storage: pick(given.storage ?? 'level', 'storage', {
      level: () => levelStorage(data),
      memory: () => memoryStorage(),
    }),
    transport: pick(given.transport ?? 'grpc', 'transport', {
      grpc: () => grpcTransport(),
      memory: () => memoryNetwork().transport(),
    }),
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
  return settings
}

function pick<T extends object>(given: string | T, what: string, named: Record<string, () => T>): T {
  if (typeof given !== 'string') return given
  const make = Object.hasOwn(named, given) ? named[given] : undefined
  if (make !== undefined) return make()
  const names = Object.keys(named).join(' or ')
  throw new UsageError(`--${what} is ${names}; any other adapter is given by a configuration file`)
}

function listening(text: string, insecure: boolean): Resolved['http'] {
  const { host, port } = hostPort('--http', text)
  const loopback = host === 'localhost' || host === '::1' || /^127\./.test(host)
  if (!loopback && !insecure) {
    throw new UsageError(
      `--http ${text} could be reached from other machines, and this server asks nobody who they are: say --insecure if that is meant`,
    )
  }
  return { host, port, loopback }
}

/** `host:port`, with brackets around an IPv6 host. */
function hostPort(what: string, text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw new UsageError(`${what} is host:port, not ${JSON.stringify(text)}`)
  return { host: (match[1] ?? match[2])!, port }
}

/** `n1=host:port,n2=host:port` */
export function parseMembers(text: string): Record<string, string> {
  const members = text.split(',').map((item) => {
    const at = item.indexOf('=')
    if (at < 1)
      throw new UsageError(`--members is n1=host:port,n2=host:port,…; ${JSON.stringify(item)} is no such pair`)
    const address = item.slice(at + 1).trim()
    hostPort('--members', address)
    return [item.slice(0, at).trim(), address] as const
  })
  if (new Set(members.map(([id]) => id)).size < members.length) throw new UsageError('--members names an id twice')
  return Object.fromEntries(members)
}
