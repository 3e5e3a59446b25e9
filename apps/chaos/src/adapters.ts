import type { Storage, Transport } from '@raftkit/contract'
import type { TcpTransportOptions } from '@raftkit/transport-tcp'

/** What the members of a run can keep their data in; loaded where one is made. */
export const storages = {
  level: async (directory: string): Promise<Storage> =>
    (await import('@raftkit/storage-level')).levelStorage(directory),
  wal: async (directory: string): Promise<Storage> => (await import('@raftkit/storage-wal')).walStorage(directory),
}

/** What they talk by. */
export const transports = {
  grpc: async (told: TcpTransportOptions): Promise<Transport> =>
    (await import('@raftkit/transport-grpc')).grpcTransport(told),
  tcp: async (told: TcpTransportOptions): Promise<Transport> =>
    (await import('@raftkit/transport-tcp')).tcpTransport(told),
  ws: async (told: TcpTransportOptions): Promise<Transport> =>
    (await import('@raftkit/transport-ws')).wsTransport(told),
}

export interface Adapters {
  readonly storage: keyof typeof storages
  readonly transport: keyof typeof transports
  /** Mutual TLS between members. */
  readonly tls: boolean
}

export const isStorage = (name: string): name is Adapters['storage'] => Object.hasOwn(storages, name)
export const isTransport = (name: string): name is Adapters['transport'] => Object.hasOwn(transports, name)
