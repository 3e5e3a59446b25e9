import type { Settings } from '@raftkit/app-kv'
import { levelStorage } from '@raftkit/storage-level'
import { grpcTransport } from '@raftkit/transport-grpc'
import { routed } from './network/routed.ts'
import { Disk, type DiskFault } from './storage/disk.ts'
import { faulty } from './storage/faulty.ts'

// The configuration file that each member of kv is started with: the server that is shipped, with adapters around LevelDB and gRPC.

/** What the driver tells a member over its IPC channel. `routes` comes first. */
export interface Told {
  /** Where it is to dial each peer: the proxies. */
  readonly routes?: Readonly<Record<string, string>>
  readonly disk?: DiskFault
}

const disk = new Disk()

export default async ({ data }: Settings): Promise<Settings> => {
  if (data === undefined) throw new Error('chaos gives every member a directory by --data')
  const routes = await new Promise<Readonly<Record<string, string>>>((resolve) => {
    process.on('message', ({ routes, disk: fault }: Told) => {
      if (routes !== undefined) resolve(routes)
      if (fault !== undefined) {
        disk.fault = fault
        process.send?.({ disk: fault.kind })
      }
    })
  })
  // The channel must not keep a member alive that wants to end.
  process.channel?.unref()
  return {
    storage: faulty(levelStorage(data), disk),
    transport: routed(grpcTransport(), routes),
  }
}
