import {
  isRaftkitError,
  RaftkitError,
  type SnapshotReader,
  type SnapshotStore,
  type SnapshotWriter,
} from '@raftkit/contract'
import type { Process } from '../process.ts'
import { Bytes } from './bytes.ts'
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
  readonly #held = new Bytes()
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

  get bytes(): Uint8Array {
    return this.#held.view
  }

  set bytes(bytes: Uint8Array) {
    this.#held.replace(bytes)
  }

  append(chunk: Uint8Array): void {
    this.#held.write(chunk, this.#held.length)
  }
}

/** The snapshots of one group on a disk. */
export class BlobFolder {
  readonly disk: Disk
  readonly files: Map<string, BlobFile> = new Map()
  /** What the blob removed last held: its blocks hold it still. */
  freed: Uint8Array | undefined
  /** Gone for the process, and not yet for good. */
  readonly #removing = new Set<BlobFile>()

  constructor(disk: Disk) {
    this.disk = disk
  }

  /** Of an unfinished blob, a part from the beginning is left. */
  crash(lost: number): void {
    const { random } = this.disk
    for (const file of this.#removing)
      if (!this.files.has(file.name) && random.chance(lost)) this.files.set(file.name, file)
    this.#removing.clear()
    for (const file of this.files.values()) {
      file.writing = false
      if (file.complete) continue
      if (random.chance(lost)) file.bytes = file.bytes.slice(0, random.below(file.bytes.length + 1))
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
    // The dead do nothing, not even fail.
    const gate: Gate = (run) => (!process.alive ? never() : open() ? run() : Promise.reject(closed()))
    return {
      open: (name) => gate(() => step(files.get(name), disk.readTime(), () => this.#open(checked(name), step, gate))),
      create: (name) =>
        gate(() => step(files.get(name), disk.readTime(), () => this.#create(checked(name), writing, gate))),
      retain: (names) => gate(() => this.#retain(names, (done) => step(undefined, disk.flushTime(0), done))),
    }
  }

  /** What is there at the call and is not named goes; whether the folder knows, a crash before the end decides. */
  #retain(names: readonly string[], step: (done: () => void) => Promise<void>): Promise<void> {
    const { files, disk } = this
    const gone: BlobFile[] = []
    for (const file of files.values()) {
      file.dropped = file.writing && !names.includes(file.name)
      if (!file.writing && !names.includes(file.name)) gone.push(file)
    }
    for (const file of gone) {
      if (file.complete) this.freed = file.bytes
      files.delete(file.name)
      this.#removing.add(file)
    }
    return step(() => {
      for (const file of gone) this.#removing.delete(file)
      disk.changed()
    })
  }

  #open(
    name: string,
    step: <T>(file: BlobFile, milliseconds: number, done: () => T) => Promise<T>,
    gate: Gate,
  ): SnapshotReader {
    const file = this.files.get(name)
    if (!file?.complete) throw new RaftkitError('MISSING', `there is no complete snapshot ${name}`)
    const damaged = (): RaftkitError => new RaftkitError('DAMAGED', `snapshot ${name} is not what was written`)
    if (file.detected) throw damaged()
    let open = true
    const { disk } = this
    return {
      bytes: file.bytes.length,
      read: (offset, maxBytes) =>
        gate(() => {
          if (!open) return Promise.reject(closed())
          if (!Number.isSafeInteger(offset) || offset < 0 || !(maxBytes > 0))
            return step(file, 0, throws('INVALID_OPTION', `cannot read ${maxBytes} bytes at ${offset}`))
          return step(file, disk.readTime(), () => {
            if (file.detected) throw damaged()
            return file.bytes.slice(offset, offset + maxBytes)
          })
        }),
      close: async () => {
        open = false
      },
    }
  }

  #create(
    name: string,
    writing: (file: BlobFile, bytes: number, done: () => void) => Promise<void>,
    gate: Gate,
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
      write: (chunk) =>
        gate(() => {
          if (!open) return Promise.reject(closed())
          return writing(file, chunk.length, () => {
            file.append(chunk)
          })
        }),
      commit: () =>
        gate(() => {
          if (!open) return Promise.reject(closed())
          open = false
          return writing(file, 0, () => {
            file.writing = false
            file.complete = true
            file.dropped = false
            disk.changed()
          })
        }),
      close: () => {
        if (!open) return Promise.resolve()
        open = false
        return gate(async () => {
          file.writing = false
          if (file.dropped && files.get(name) === file) files.delete(name)
        }).catch((error) => {
          if (!isRaftkitError(error, 'CLOSED')) throw error // the storage closed before
        })
      },
    }
  }
}

/** Lets a call through while the process lives and its storage is open. */
type Gate = <T>(run: () => Promise<T>) => Promise<T>

function checked(name: string): string {
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name))
    throw new RaftkitError('INVALID_OPTION', `${JSON.stringify(name)} does not name a snapshot`)
  return name
}
