import type { Settings } from '@raftkit/app-kv'
import { readTls } from '@raftkit/certificates'
import { type Adapters, storages, transports } from './adapters.ts'
import { routed } from './network/routed.ts'
import { Disk, type DiskFault } from './storage/disk.ts'
import { faulty } from './storage/faulty.ts'

// The configuration file that each member of kv is started with: the server that is shipped, with adapters around its own.

/** What the driver tells a member over its IPC channel. `use` comes first. */
export interface Told {
  readonly use?: Omit<Adapters, 'tls'> & {
    /** Where to dial peers that are not dialled where they listen: the proxies. */
    readonly routes: Readonly<Record<string, string>>
    /** With its certificate, if it is to have one. */
    readonly folder: string | undefined
  }
  readonly disk?: DiskFault
}

const disk = new Disk()

export default async ({ data }: Settings): Promise<Settings> => {
  if (data === undefined) throw new Error('chaos gives every member a directory by --data')
  const { storage, transport, routes, folder } = await new Promise<NonNullable<Told['use']>>((resolve) => {
    process.on('message', ({ use, disk: fault }: Told) => {
      if (use !== undefined) resolve(use)
      if (fault !== undefined) {
        disk.fault = fault
        process.send?.({ disk: fault.kind })
      }
    })
  })
  // The channel must not keep a member alive that wants to end.
  process.channel?.unref()
  return {
    storage: faulty(await storages[storage](data), disk),
    transport: routed(await transports[transport](folder === undefined ? {} : { tls: () => readTls(folder) }), routes),
  }
}
