import { RaftkitError } from '@raftkit/contract'
import type { DiskFile, Disk as FileDisk } from '@raftkit/files'
import type { Random } from '../../../random.ts'
import type { Process } from '../../process.ts'
import type { Disk } from '../disk.ts'
import { never } from '../log.ts'
import { Content } from './content.ts'
import { Folder, parted, systemError, type Tree } from './tree.ts'

/** What a call that does not wait for the platter takes, in milliseconds. */
const quick = 0.01

/** What was begun, and may be half done when its process ends. */
interface Begun {
  torn?(random: Random): void
}

/** The file system of one server, as the process that runs now has it. */
export class Files {
  readonly tree: Tree
  readonly #disk: Disk
  readonly #process: Process
  readonly #random: Random
  readonly #begun = new Set<Begun>()

  constructor(disk: Disk, tree: Tree, process: Process) {
    this.#disk = disk
    this.tree = tree
    this.#process = process
    this.#random = disk.random.split(`files ${process.boot}`)
  }

  /** The process has ended: of what it had begun, any part is done. */
  end(random: Random): void {
    for (const { torn } of this.#begun) torn?.(random)
    this.#begun.clear()
  }

  get port(): FileDisk {
    const { tree } = this
    return {
      lock: (directory) =>
        this.#do(this.#disk.flushTime(0), () => {
          if (tree.locks.get(directory)?.alive) throw new RaftkitError('LOCKED', `another process holds ${directory}`)
          tree.createFolder(directory)
          tree.locks.set(directory, this.#process)
          return { release: async () => void tree.locks.delete(directory) }
        }),
      createDirectory: (directory) => {
        const create = (): void => {
          if (this.#disk.full && !tree.folder(directory)) throw systemError('ENOSPC', directory)
          tree.createFolder(directory)
        }
        return this.#do(this.#disk.flushTime(0), create, (random) => {
          if (!this.#disk.full && random.chance(0.5)) tree.createFolder(directory)
        })
      },
      list: (directory) => this.#do(quick, () => [...(tree.folder(directory)?.names.keys() ?? [])]),
      open: (path, how) => this.#do(quick, () => this.#open(path, how)),
      rename: (from, to) =>
        this.#change(() => {
          const [directory, name] = parted(from)
          const folder = tree.folder(directory)
          if (!folder?.names.has(name)) throw systemError('ENOENT', from)
          folder.rename(name, parted(to)[1])
        }),
      remove: (path) =>
        this.#change(() => {
          const [directory, name] = parted(path)
          const folder = tree.folder(directory)
          if (folder?.names.has(name)) folder.drop(name)
        }),
      syncDirectory: (directory) => {
        const folder = tree.folder(directory)
        const { mark = 0 } = folder ?? {}
        return this.#do(this.#disk.flushTime(0), () => {
          if (!folder) throw systemError('ENOENT', directory)
          if (this.#disk.failsNow()) throw this.#broken(directory)
          folder.sync(mark)
        })
      },
      pause: (milliseconds, signal) => this.#pause(milliseconds, signal),
      random: (into) => this.#random.fill(into),
    }
  }

  #open(path: string, how: 'read' | 'write' | 'through'): DiskFile {
    const found = this.tree.find(path)
    if (found instanceof Folder) throw systemError('EISDIR', path)
    if (found) return this.#file(found, path, how)
    const [directory, name] = parted(path)
    const folder = this.tree.folder(directory)
    if (how === 'read' || !folder) throw systemError('ENOENT', path)
    if (this.#disk.full) throw systemError('ENOSPC', path)
    const made = new Content()
    folder.put(name, made)
    return this.#file(made, path, how)
  }

  #file(content: Content, path: string, how: 'read' | 'write' | 'through'): DiskFile {
    const disk = this.#disk
    const through = how === 'through'
    const writable = (): void => {
      if (how === 'read') throw systemError('EBADF', path)
    }
    return {
      size: () => this.#do(quick, () => content.size),
      read: (into, position) => this.#do(disk.readTime(), () => content.read(into, position)),
      write: (parts, position) => {
        writable()
        // The caller may use its buffers again as soon as the call ends.
        const bytes = joined(parts)
        const milliseconds = through ? disk.flushTime(bytes.length) : quick
        const torn = (random: Random): void => {
          const room = disk.full ? Math.max(0, content.size - position) : bytes.length
          content.tear(bytes.subarray(0, room), position, random)
        }
        return this.#do(
          milliseconds,
          () => {
            if (through && disk.failsNow()) {
              torn(disk.random)
              content.failSync(disk.random)
              throw this.#broken(path)
            }
            if (disk.full && position + bytes.length > content.size) {
              torn(disk.random)
              throw systemError('ENOSPC', path)
            }
            content.write(bytes, position, through)
          },
          torn,
        )
      },
      truncate: (size) => {
        writable()
        const truncate = (): void => {
          if (disk.full && size > content.size) throw systemError('ENOSPC', path)
          content.truncate(size)
        }
        return this.#do(quick, truncate, (random) => {
          if (!(disk.full && size > content.size) && random.chance(0.5)) content.truncate(size)
        })
      },
      sync: () => {
        const { mark } = content
        return this.#do(disk.flushTime(0), () => {
          if (disk.failsNow()) {
            content.failSync(disk.random)
            throw this.#broken(path)
          }
          content.sync(mark)
        })
      },
      close: () => this.#do(quick, () => undefined),
    }
  }

  /** A change of names: it has happened or not, whenever the process ends. */
  #change(change: () => void): Promise<void> {
    return this.#do(quick, change, (random) => {
      try {
        if (random.chance(0.5)) change()
      } catch {
        // It would have been refused.
      }
    })
  }

  #broken(path: string): Error {
    this.#disk.injected('write-error', { path })
    return systemError('EIO', path)
  }

  /** One operation. The disk does it in its own time, also while the process stands still; a dead process hears nothing of it. */
  #do<T>(milliseconds: number, done: () => T, torn?: (random: Random) => void): Promise<T> {
    const process = this.#process
    if (!process.alive) return never()
    const { world } = process
    const begun: Begun = torn ? { torn } : {}
    this.#begun.add(begun)
    const result = new Promise<T>((resolve, reject) => {
      world.timeline.at(world.now + process.lag + milliseconds, () => {
        if (!this.#begun.delete(begun)) return
        let end: () => void
        try {
          const value = done()
          end = () => resolve(value)
        } catch (error) {
          end = () => reject(error)
        }
        process.deliver(() => {
          world.completed()
          end()
        })
      })
    })
    process.effect()
    return result
  }

  #pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    const process = this.#process
    if (!process.alive) return never()
    if (signal.aborted) return Promise.resolve()
    const { timeline } = process.world
    return new Promise((resolve) => {
      const end = (): void => {
        timeline.cancel(due)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const due = timeline.at(timeline.now + process.lag + milliseconds, end, process)
      signal.addEventListener('abort', end)
    })
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
