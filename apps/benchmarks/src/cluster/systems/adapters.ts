import type { Storage, Transport } from '@raftkit/contract'
import { levelStorage } from '@raftkit/storage-level'
import { walStorage } from '@raftkit/storage-wal'
import { grpcTransport } from '@raftkit/transport-grpc'
import { tcpTransport } from '@raftkit/transport-tcp'
import type { Bench, Flag } from '../../harness/part.ts'

/** By the names that kv's flags have, too. */
const storages: Readonly<Record<string, (directory: string) => Storage>> = {
  wal: (directory) => walStorage(directory),
  level: (directory) => levelStorage(directory),
}

const transports: Readonly<Record<string, () => Transport>> = {
  tcp: () => tcpTransport(),
  grpc: () => grpcTransport(),
}

export const storageOf = (name: string, directory: string): Storage => storages[name]!(directory)
export const transportOf = (name: string): Transport => transports[name]!()

/** What members are made of, for every part that runs some. */
export const adapterFlags = {
  storage: { type: 'string', what: 'wal or level (default: wal)' },
  transport: { type: 'string', what: 'tcp or grpc (default: tcp)' },
} satisfies Record<string, Flag>

/** Throws an error for the user. */
export function adaptersOf({ flags }: Bench): { readonly storage: string; readonly transport: string } {
  const { storage = 'wal', transport = 'tcp' } = flags as { storage?: string; transport?: string }
  if (!Object.hasOwn(storages, storage)) throw new Error(`--storage is ${Object.keys(storages).join(' or ')}`)
  if (!Object.hasOwn(transports, transport)) throw new Error(`--transport is ${Object.keys(transports).join(' or ')}`)
  return { storage, transport }
}
