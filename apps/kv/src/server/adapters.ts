import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Storage, Transport } from '@raftkit/contract'
import type { TcpTransport, TcpTransportOptions } from '@raftkit/transport-tcp'
import { UsageError } from '../client/exit.ts'

/** The storages that have a name on the command line; loaded when chosen. `folder`: what it makes in its directory, and no other does. */
const storages = {
  wal: {
    folder: 'log',
    open: async (data: string): Promise<Storage> => (await import('@raftkit/storage-wal')).walStorage(data),
  },
  level: {
    folder: 'level',
    open: async (data: string): Promise<Storage> => (await import('@raftkit/storage-level')).levelStorage(data),
  },
  memory: {
    folder: undefined,
    open: async (): Promise<Storage> => (await import('@raftkit/storage-memory')).memoryStorage(),
  },
}

/** The transports that have one, all told the same. */
const transports = {
  tcp: async (told: TcpTransportOptions): Promise<TcpTransport> =>
    (await import('@raftkit/transport-tcp')).tcpTransport(told),
  grpc: async (told: TcpTransportOptions): Promise<TcpTransport> =>
    (await import('@raftkit/transport-grpc')).grpcTransport(told),
  ws: async (told: TcpTransportOptions): Promise<TcpTransport> =>
    (await import('@raftkit/transport-ws')).wsTransport(told),
}

export type StorageName = keyof typeof storages
/** `memory`: for a cluster of one. */
export type TransportName = keyof typeof transports | 'memory'

/** Throws `UsageError`, also for a directory in which another storage keeps its log: to begin an empty one beside it would lose that. */
export async function storageNamed(name: string, data: string): Promise<Storage> {
  const { open } = named('storage', name, storages)
  for (const [other, { folder }] of Object.entries(storages)) {
    if (other === name || name === 'memory' || folder === undefined || !existsSync(join(data, folder))) continue
    throw new UsageError(
      `${data} holds what a member wrote with --storage ${other}: start it with that, or give ${name} another directory by --data`,
    )
  }
  return open(data)
}

/** Between processes. Throws `UsageError`. */
export const linkNamed = async (name: string, told: TcpTransportOptions): Promise<TcpTransport> =>
  named('transport', name, transports, ['memory'])(told)

/** In this process alone. */
export const memoryLink = async (): Promise<Transport> =>
  (await import('@raftkit/transport-memory')).memoryNetwork().transport()

function named<T>(what: string, given: string, all: Readonly<Record<string, T>>, more: readonly string[] = []): T {
  const found = Object.hasOwn(all, given) ? all[given] : undefined
  if (found !== undefined) return found
  const names = [...Object.keys(all), ...more]
  throw new UsageError(
    `--${what} is ${names.slice(0, -1).join(', ')} or ${names.at(-1)}; any other adapter is given by a configuration file`,
  )
}
