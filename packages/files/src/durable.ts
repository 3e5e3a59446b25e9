import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { onDisk, systemCode } from './failure.ts'

/**
 * Makes the names in a folder durable: a file that was created, renamed or removed there is so after a power cut
 * (its content needs an fsync of its own). On Windows folders cannot be flushed, and the call does nothing.
 */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  await onDisk(`flush the folder ${directory}`, async () => {
    const folder = await open(directory, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  })
}

/** Creates the folder and those above it that are missing, durably. New ones are the owner's alone. */
export async function createDirectory(directory: string): Promise<void> {
  await onDisk(`create the folder ${directory}`, () => create(resolve(directory)))
}

/** From the top down, each flushed into the one above before the next is made: after a crash, only the deepest may still need it. */
async function create(path: string): Promise<void> {
  const made = await make(path)
  if (made === 'orphan') {
    await create(dirname(path))
    await make(path)
  }
  try {
    await syncDirectory(dirname(path))
  } catch (error) {
    // A folder above one that somebody else made need not be readable for us.
    const code = systemCode((error as Error).cause)
    if (made !== 'found' || (code !== 'EACCES' && code !== 'EPERM')) throw error
  }
}

async function make(path: string): Promise<'made' | 'found' | 'orphan'> {
  try {
    await mkdir(path, { mode: 0o700 })
    return 'made'
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' && dirname(path) !== path) return 'orphan'
    // Windows and macOS name the root of a drive otherwise.
    if (code === 'EEXIST' || code === 'EISDIR' || (code === 'EPERM' && dirname(path) === path)) return 'found'
    throw error
  }
}

/**
 * The file holds exactly `bytes`, durably, or what it held before: never a part, wherever a crash falls.
 * The bytes go to `<path>.new` first, so only one call per path may be under way.
 */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const next = `${path}.new`
  await onDisk(`write ${path}`, async () => {
    const file = await open(next, 'w', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await replace(next, path)
    await syncDirectory(dirname(path))
  })
}

/** On Windows a scanner may hold a fresh file for a moment; elsewhere a rename is refused at once or never. */
export async function replace(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rename(from, to)
    } catch (error) {
      const held = process.platform === 'win32' && ['EPERM', 'EACCES', 'EBUSY'].includes(systemCode(error) ?? '')
      if (!held || attempt === 10) throw error
      await new Promise((wait) => setTimeout(wait, attempt * 10))
    }
  }
}
