import { constants, write, writev } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Disk, DiskFile } from './disk.ts'
import { systemCode } from './failure.ts'
import { createFolder, syncFolder } from './folders.ts'
import { lockFolder } from './lock.ts'

const { O_CREAT, O_DSYNC, O_RDWR } = constants

/**
 * Where a write to a file opened with `O_DSYNC` is as durable as one followed by `fdatasync`, in one system call instead of two. macOS passes
 * over the drive's own cache then, and Node on Windows does not name the flag.
 */
const throughFlag: number | undefined = process.platform === 'linux' ? O_DSYNC : undefined

/** The file system of this machine, through `node:fs`. */
export const nodeDisk: Disk = {
  lock: lockFolder,
  createDirectory: (directory) => createFolder(resolve(directory)),
  list: (directory) =>
    readdir(directory).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return []
      throw error
    }),
  async open(path, how) {
    if (how === 'read') return new NodeFile(await open(path, 'r'), false)
    const through = how === 'through'
    const flags = O_RDWR | O_CREAT | ((through && throughFlag) || 0)
    return new NodeFile(await open(path, flags, 0o600), through && throughFlag === undefined)
  },
  rename: replace,
  remove: (path) => rm(path, { recursive: true, force: true }),
  syncDirectory: syncFolder,
  pause: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, milliseconds)
      signal.addEventListener('abort', end)
    }),
  random: (into) => void crypto.getRandomValues(into),
}

class NodeFile implements DiskFile {
  readonly #file: FileHandle
  /** The kernel does not: a flush follows every write. */
  readonly #flushes: boolean

  constructor(file: FileHandle, flushes: boolean) {
    this.#file = file
    this.#flushes = flushes
  }

  async size(): Promise<number> {
    return (await this.#file.stat()).size
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let held = 0
    while (held < into.length) {
      const { bytesRead } = await this.#file.read(into, held, into.length - held, position + held)
      if (bytesRead === 0) break
      held += bytesRead
    }
    return held
  }

  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    let left = parts
    for (let at = position; left.length > 0; ) {
      const written = await this.#writeSome(left, at)
      at += written
      left = behind(left, written)
    }
    if (this.#flushes) await this.#file.datasync()
  }

  /** By callback: half of what a promise of `node:fs` costs. */
  #writeSome(parts: readonly Uint8Array[], position: number): Promise<number> {
    const { fd } = this.#file
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, written: number): void => (error ? reject(error) : resolve(written))
      if (parts.length === 1) write(fd, parts[0]!, 0, parts[0]!.length, position, done)
      else writev(fd, parts, position, done)
    })
  }

  truncate(size: number): Promise<void> {
    return this.#file.truncate(size)
  }

  sync(): Promise<void> {
    return this.#file.datasync()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** What is left of the parts behind their first `written` bytes. */
function behind(parts: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let skip = written
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!
    if (skip < part.length) return [part.subarray(skip), ...parts.slice(i + 1)]
    skip -= part.length
  }
  return []
}

/** On Windows a scanner may hold a fresh file for a moment; elsewhere a rename is refused at once or never. */
async function replace(from: string, to: string): Promise<void> {
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
