import { RaftkitError, type SnapshotReader, type SnapshotStore, type SnapshotWriter } from '@raftkit/contract'
import type { Process } from '../process.ts'
import type { Disk } from './disk.ts'
import { closed, never, throws } from './log.ts'

/** One snapshot on a disk. */
export interface Blob {
  readonly name: string
  /** What it holds; of an unfinished one, a crash may leave any part from the beginning. */
  readonly bytes: Uint8Array
  readonly complete: boolean
}

class BlobFile implements Blob {
  readonly name: string
  bytes: Uint8Array = new Uint8Array(0)
  complete = false
  writing = false
  /** `retain` did not name it while its writer was open: it goes when that closes without commit. */
  dropped = false
  detected = false
  /** When the last step on it will be done. */
  doneAt = 0

  constructor(name: string) {
    this.name = name
  }
}

/** The snapshots of one group on a disk. */
export class BlobFolder {
  readonly disk: Disk
  readonly files: Map<string, BlobFile> = new Map()

  constructor(disk: Disk) {
    this.disk = disk
  }

  /** Of an unfinished blob, a part from the beginning is left. */
  crash(): void {
    const { random, wear } = this.disk
    for (const file of this.files.values()) {
      file.writing = false
      if (file.complete) continue
      if (random.chance(wear.lost)) file.bytes = file.bytes.slice(0, random.below(file.bytes.length + 1))
      file.dropped = false
    }
  }

  store(process: Process, open: () => boolean): SnapshotStore {
    const { disk, files } = this
    const step = <T>(file: BlobFile | undefined, milliseconds: number, done: () => T): Promise<T> => {
      if (!process.alive) return never()
      // Steps on one blob are done in order.
      const now = process.world.now + process.lag
      const at = Math.max(now + milliseconds, file?.doneAt ?? 0)
      if (file) file.doneAt = at
      const stepped = process.io(at - now, () => {
        if (!open()) throw closed()
        return done()
      })
      process.effect()
      return stepped
    }
    const writing = (file: BlobFile, bytes: number, done: () => void): Promise<void> => {
      if (!process.alive) return never()
      if (disk.full)
        return disk.room(process).then(() => (open() ? writing(file, bytes, done) : Promise.reject(closed())))
      return step(file, disk.flushTime(bytes), () => {
        if (disk.failsNow()) {
          disk.injected('write-error', { blob: file.name })
          throw new RaftkitError('STORAGE_FAILED', 'the disk failed to write a snapshot (EIO)')
        }
        done()
      })
    }
    return {
      open: (name) =>
        !open()
          ? Promise.reject(closed())
          : step(files.get(name), disk.readTime(), () => this.#open(checked(name), step, open)),
      create: (name) =>
        !open()
          ? Promise.reject(closed())
          : step(files.get(name), disk.readTime(), () => this.#create(checked(name), writing, open)),
      retain: (names) =>
        !open() ? Promise.reject(closed()) : this.#retain(names, (done) => step(undefined, disk.flushTime(0), done)),
    }
  }

  /** What is there at the call and is not named goes. */
  #retain(names: readonly string[], step: (done: () => void) => Promise<void>): Promise<void> {
    const { files, disk } = this
    const others = [...files.values()].filter(({ name }) => !names.includes(name))
    return step(() => {
      for (const file of files.values()) if (names.includes(file.name)) file.dropped = false
      for (const file of others)
        if (file.writing) file.dropped = true
        else if (files.get(file.name) === file) files.delete(file.name)
      disk.changed()
    })
  }

  #open(
    name: string,
    step: <T>(file: BlobFile, milliseconds: number, done: () => T) => Promise<T>,
    opened: () => boolean,
  ): SnapshotReader {
    const file = this.files.get(name)
    if (!file?.complete) throw new RaftkitError('MISSING', `there is no complete snapshot ${name}`)
    if (file.detected) throw new RaftkitError('DAMAGED', `snapshot ${name} is not what was written`)
    let open = true
    const { disk } = this
    return {
      bytes: file.bytes.length,
      read: (offset, maxBytes) => {
        if (!open || !opened()) return Promise.reject(closed())
        if (!Number.isSafeInteger(offset) || offset < 0 || !(maxBytes > 0))
          return step(file, 0, throws('INVALID_OPTION', `cannot read ${maxBytes} bytes at ${offset}`))
        return step(file, disk.readTime(), () => {
          if (file.detected) throw new RaftkitError('DAMAGED', `snapshot ${name} is not what was written`)
          return file.bytes.slice(offset, offset + maxBytes)
        })
      },
      close: async () => {
        open = false
      },
    }
  }

  #create(
    name: string,
    writing: (file: BlobFile, bytes: number, done: () => void) => Promise<void>,
    opened: () => boolean,
  ): SnapshotWriter {
    const { files, disk } = this
    const file = files.get(name) ?? new BlobFile(name)
    if (file.complete) throw new RaftkitError('REFUSED', `snapshot ${name} is complete already; open it`)
    if (file.writing) throw new RaftkitError('LOCKED', `snapshot ${name} is being written; close its writer first`)
    file.writing = true
    files.set(name, file)
    let open = true
    return {
      get bytes() {
        return file.bytes.length
      },
      write: (chunk) => {
        if (!open || !opened()) return Promise.reject(closed())
        return writing(file, chunk.length, () => {
          const bytes = new Uint8Array(file.bytes.length + chunk.length)
          bytes.set(file.bytes)
          bytes.set(chunk, file.bytes.length)
          file.bytes = bytes
        })
      },
      commit: () => {
        if (!open || !opened()) return Promise.reject(closed())
        open = false
        return writing(file, 0, () => {
          file.writing = false
          file.complete = true
          file.dropped = false
          disk.changed()
        })
      },
      close: async () => {
        if (!open) return
        open = false
        file.writing = false
        if (file.dropped && files.get(name) === file) files.delete(name)
      },
    }
  }
}

function checked(name: string): string {
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name))
    throw new RaftkitError('INVALID_OPTION', `${JSON.stringify(name)} does not name a snapshot`)
  return name
}
