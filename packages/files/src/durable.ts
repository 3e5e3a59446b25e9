import { dirname, resolve } from 'node:path'
import type { Disk } from './disk.ts'
import { onDisk } from './failure.ts'
import { createFolder, syncFolder } from './folders.ts'
import { nodeDisk } from './node-disk.ts'

/**
 * Makes the names in a folder durable: a file that was created, renamed or removed there is so after a power cut
 * (its content needs an fsync of its own). On Windows folders cannot be flushed, and the call does nothing.
 */
export async function syncDirectory(directory: string): Promise<void> {
  await onDisk(`flush the folder ${directory}`, () => syncFolder(directory))
}

/** Creates the folder and those above it that are missing, durably. New ones are the owner's alone. */
export async function createDirectory(directory: string): Promise<void> {
  await onDisk(`create the folder ${directory}`, () => createFolder(resolve(directory)))
}

/**
 * The file holds exactly `bytes`, durably, or what it held before: never a part, wherever a crash falls.
 * The bytes go to `<path>.new` first, so only one call per path may be under way.
 */
export async function replaceFile(path: string, bytes: Uint8Array, disk: Disk = nodeDisk): Promise<void> {
  const next = `${path}.new`
  await onDisk(`write ${path}`, async () => {
    const file = await disk.open(next, 'write')
    try {
      await file.truncate(0)
      await file.write([bytes], 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await disk.rename(next, path)
    await disk.syncDirectory(dirname(path))
  })
}
