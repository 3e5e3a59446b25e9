import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from './failure.ts'

/** On Windows folders cannot be flushed, and the call does nothing. */
export async function syncFolder(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** From the top down, each flushed into the one above before the next is made: after a crash, only the deepest may still need it. */
export async function createFolder(path: string): Promise<void> {
  const made = await make(path)
  if (made === 'orphan') {
    await createFolder(dirname(path))
    await make(path)
  }
  try {
    await syncFolder(dirname(path))
  } catch (error) {
    // A folder above one that somebody else made need not be readable for us.
    const code = systemCode(error)
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
