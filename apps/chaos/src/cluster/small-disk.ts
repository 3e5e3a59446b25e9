import { execFileSync } from 'node:child_process'
import { closeSync, cpSync, openSync, rmSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'

/** Room for a log, a few snapshots, and LevelDB's tables. */
const megabytes = 96

/** A file system of its own in memory (tmpfs), small enough to be filled. */
export class SmallDisk {
  readonly directory: string
  readonly #filler: string

  private constructor(directory: string) {
    this.directory = directory
    this.#filler = join(directory, 'filler')
  }

  /** undefined where mounting is not permitted. */
  static mount(directory: string): SmallDisk | undefined {
    try {
      const options = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', directory]
      execFileSync('mount', options, { stdio: 'ignore' })
      return new SmallDisk(directory)
    } catch {
      return
    }
  }

  /** Takes what room is left. May be called again. */
  fill(): void {
    const file = openSync(this.#filler, 'a')
    try {
      for (let bytes = 1024 * 1024; bytes >= 4096; ) {
        try {
          const written = writeSync(file, Buffer.alloc(bytes))
          if (written < bytes) bytes /= 4
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
          bytes /= 4
        }
      }
    } finally {
      closeSync(file)
    }
  }

  free(): void {
    rmSync(this.#filler, { force: true })
  }

  /** What it holds, onto a disk that stays. */
  copyTo(directory: string): void {
    this.free()
    cpSync(this.directory, directory, { recursive: true, filter: (path) => !basename(path).startsWith('lock') }) // sockets
  }

  unmount(): void {
    try {
      execFileSync('umount', ['-l', this.directory], { stdio: 'ignore' })
    } catch {
      // It goes with the mount namespace of this process.
    }
  }
}
