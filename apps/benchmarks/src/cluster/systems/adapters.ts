import type { Storage, Transport } from '@raftkit/contract'
import { levelStorage } from '@raftkit/storage-level'
import { grpcTransport } from '@raftkit/transport-grpc'
import { tcpTransport } from '@raftkit/transport-tcp'

const storages: Readonly<Record<string, (directory: string) => Storage>> = {
  level: (directory) => levelStorage(directory),
}

const transports: Readonly<Record<string, () => Transport>> = {
  grpc: () => grpcTransport(),
  tcp: () => tcpTransport(),
}

export const defaults = { storage: 'level', transport: 'grpc' }

export const storageOf = (name: string, directory: string): Storage => find(storages, 'storage', name)(directory)
export const transportOf = (name: string): Transport => find(transports, 'transport', name)()

/** Throws an error for the user. */
export function checkAdapters(storage: string, transport: string): void {
  find(storages, 'storage', storage)
  find(transports, 'transport', transport)
}

function find<T>(named: Readonly<Record<string, T>>, what: string, name: string): T {
  const found = Object.hasOwn(named, name) ? named[name] : undefined
  if (found === undefined) throw new Error(`--${what} is ${Object.keys(named).join(' or ')}`)
  return found
}
