import { join } from 'node:path'
import { RaftkitError, type SnapshotReader, type SnapshotStore, type SnapshotWriter } from '@raftkit/contract'
import { nameSeed } from './blob.ts'
import type { Disk } from './disk.ts'
import { onDisk, systemCode } from './failure.ts'
import { toFileName } from './names.ts'
import { nodeDisk } from './node-disk.ts'
import { type FileReader, openReader } from './reader.ts'
import { openWriter } from './writer.ts'

export interface FileSnapshots extends SnapshotStore {
  /** Closes what is open, unfinished ones left as they are. Idempotent; calls after it reject `CLOSED`. */
  close(): Promise<void>
}

const complete = '.snapshot'
const unfinished = '.partial'

/**
 * Snapshots as the files `<name>.snapshot` of a folder, unfinished ones as `<name>.partial`; other files there are left alone.
 * The folder is made when it is first needed. One store per folder at a time: hold the folder's lock.
 */
export async function fileSnapshots(
  directory: string,
  { disk = nodeDisk }: { readonly disk?: Disk } = {},
): Promise<FileSnapshots> {
  if (typeof directory !== 'string' || directory === '')
    throw new RaftkitError('INVALID_OPTION', 'the folder of the snapshots is missing')
  return new Store(directory, disk)
}

/** An unfinished blob whose writer is open. */
interface Writing {
  writer?: SnapshotWriter
  /** `retain` did not name it: it goes when its writer closes without commit. */
  dropped: boolean
}

class Store implements FileSnapshots {
  readonly #directory: string
  readonly #disk: Disk
  readonly #writing = new Map<string, Writing>()
  readonly #readers = new Set<FileReader>()
  /** Names change in the folder one call at a time, so that a retain judges what it was called upon. */
  #turn: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined
  #namesSynced = false

  constructor(directory: string, disk: Disk) {
    this.#directory = directory
    this.#disk = disk
  }

  async open(name: string): Promise<SnapshotReader> {
    const path = this.#path(name, complete)
    return onDisk(`open snapshot ${name}`, async () => {
      const file = await this.#disk.open(path, 'read').catch((cause: unknown) => {
        if (systemCode(cause) !== 'ENOENT') throw cause
        throw new RaftkitError('MISSING', `there is no complete snapshot ${name}`)
      })
      try {
        await this.#syncNames()
        // Pinned by the descriptor: retain removes the name, the content stays until it is closed.
        const reader: FileReader = await openReader(file, name, nameSeed(name), () => this.#readers.delete(reader))
        this.#check()
        this.#readers.add(reader)
        return reader
      } catch (error) {
        await file.close()
        throw error
      }
    })
  }

  async create(name: string): Promise<SnapshotWriter> {
    const from = this.#path(name, unfinished)
    const to = this.#path(name, complete)
    if (this.#writing.has(name))
      throw new RaftkitError('LOCKED', `snapshot ${name} is being written; close its writer first`)
    const entry: Writing = { dropped: false }
    this.#writing.set(name, entry)
    try {
      entry.writer = await this.#inTurn(`create snapshot ${name}`, async () => {
        if (await this.#exists(to)) {
          await this.#syncNames()
          throw new RaftkitError('REFUSED', `snapshot ${name} is complete already; open it`)
        }
        await this.#disk.createDirectory(this.#directory)
        const file = await this.#disk.open(from, 'write')
        try {
          return await openWriter(file, name, nameSeed(name), {
            commit: () =>
              this.#inTurn(`commit snapshot ${name}`, async () => {
                await this.#disk.rename(from, to)
                await this.#disk.syncDirectory(this.#directory)
                this.#writing.delete(name)
              }),
            close: () =>
              this.#inTurn(`close snapshot ${name}`, async () => {
                if (this.#writing.get(name) !== entry) return
                this.#writing.delete(name)
                if (entry.dropped) await this.#disk.remove(from)
              }),
          })
        } catch (error) {
          await file.close()
          throw error
        }
      })
      return entry.writer
    } catch (error) {
      if (this.#writing.get(name) === entry) this.#writing.delete(name)
      throw error
    }
  }

  async retain(names: readonly string[]): Promise<void> {
    const kept = new Set(names.flatMap((name) => [toFileName(name) + complete, toFileName(name) + unfinished]))
    this.#check()
    await this.#inTurn('remove snapshots', async () => {
      for (const [name, entry] of this.#writing) entry.dropped = !names.includes(name)
      const open = new Set([...this.#writing.keys()].map((name) => toFileName(name) + unfinished))
      for (const file of await this.#disk.list(this.#directory)) {
        const ours = file.endsWith(complete) || file.endsWith(unfinished)
        if (ours && !kept.has(file) && !open.has(file)) await this.#disk.remove(join(this.#directory, file))
      }
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    await this.#turn
    for (const reader of this.#readers) await reader.close()
    for (const { writer } of [...this.#writing.values()]) await writer?.close()
    await this.#turn
  }

  #path(name: string, suffix: string): string {
    this.#check()
    return join(this.#directory, toFileName(name) + suffix)
  }

  /** A process that was killed in a commit may have left a name that a power cut would take: whoever is told of it may rely on it. */
  async #syncNames(): Promise<void> {
    if (this.#namesSynced) return
    await this.#disk.syncDirectory(this.#directory)
    this.#namesSynced = true
  }

  async #exists(path: string): Promise<boolean> {
    try {
      await (await this.#disk.open(path, 'read')).close()
      return true
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw error
    }
  }

  #check(): void {
    if (this.#closing) throw new RaftkitError('CLOSED', 'the snapshots were closed; open them again')
  }

  #inTurn<T>(what: string, work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(() => onDisk(what, work))
    this.#turn = done.catch(() => undefined)
    return done
  }
}
