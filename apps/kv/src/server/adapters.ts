import type { Storage, Transport } from '@raftkit/contract'

/** The storages that have a name on the command line; loaded when chosen. */
export const storages = {
  wal: async (data: string): Promise<Storage> => (await import('@raftkit/storage-wal')).walStorage(data),
  level: async (data: string): Promise<Storage> => (await import('@raftkit/storage-level')).levelStorage(data),
  memory: async (): Promise<Storage> => (await import('@raftkit/storage-memory')).memoryStorage(),
}

/** The transports that have one. */
export const transports = {
  tcp: async (): Promise<Transport> => (await import('@raftkit/transport-tcp')).tcpTransport(),
  grpc: async (): Promise<Transport> => (await import('@raftkit/transport-grpc')).grpcTransport(),
  memory: async (): Promise<Transport> => (await import('@raftkit/transport-memory')).memoryNetwork().transport(),
}

export type StorageName = keyof typeof storages
export type TransportName = keyof typeof transports
