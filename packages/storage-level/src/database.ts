import { stat } from 'node:fs/promises'
import { syncDirectory } from '@raftkit/files'
import { ClassicLevel } from 'classic-level'
import type { Range } from './layout.ts'

export type Level = ClassicLevel<Uint8Array, Uint8Array>
export type Operation = { type: 'put'; key: Uint8Array; value: Uint8Array } | { type: 'del'; key: Uint8Array }

export interface Tuning {
  readonly cacheSize: number
  readonly writeBufferSize: number
}

/** A folder's time of change is only believed once it is older than the clock of the file system is coarse. */
const coarseMs = 100

/** LevelDB, with what it leaves to its user: the names of its files made durable, and a way to begin again after a failed write. */
export class Database {
  readonly folder: string
  readonly #level: Level
  #readers = 0
  #drained: (() => void) | undefined
  /** Present while LevelDB is being opened again: reads wait for it. */
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined
  #named: bigint | undefined

  private constructor(folder: string, tuning: Tuning) {
    this.folder = folder
    this.#level = new ClassicLevel(folder, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      compression: false,
      ...tuning,
    })
  }

  static async open(folder: string, tuning: Tuning): Promise<Database> {
    const database = new Database(folder, tuning)
    await database.#level.open()
    await database.#syncNames()
    return database
  }

  async read<T>(work: (level: Level) => Promise<T>): Promise<T> {
    while (this.#gate) await this.#gate.opened
    this.#readers++
    try {
      return await work(this.#level)
    } finally {
      if (--this.#readers === 0) this.#drained?.()
    }
  }

  isEmpty(): Promise<boolean> {
    return this.read(async (level) => (await level.keys({ limit: 1 }).all()).length === 0)
  }

  /** One atomic batch, durable. Not called again before it has settled, and after a failure only when LevelDB was opened again. */
  async write(operations: Operation[]): Promise<void> {
    await this.#level.batch(operations, { sync: true })
    await this.#syncNames()
  }

  /**
   * Removes up to `most` keys from the beginning of a range, durable with the next write; returns the last of them, or undefined once the
   * range is empty.
   */
  async clear(range: Range, most: number): Promise<Uint8Array | undefined> {
    const keys = await this.#level.keys({ ...range, limit: most }).all()
    if (keys.length > 0) await this.#level.batch(keys.map((key) => ({ type: 'del', key })))
    return keys.length < most ? undefined : keys.at(-1)
  }

  /**
   * Closes and opens LevelDB: the only safe way on after a failed write, which may have left half a record in the log, behind which
   * nothing would be found again. Recovery copies what is whole into a new, flushed file. May be called again when it fails.
   */
  async reopen(): Promise<void> {
    if (!this.#gate) {
      let open = (): void => undefined
      const opened = new Promise<void>((resolve) => {
        open = resolve
      })
      this.#gate = { opened, open }
    }
    await this.#close()
    await this.#level.open()
    await this.#syncNames()
    this.#gate.open()
    this.#gate = undefined
  }

  /** Reads that wait for LevelDB to be opened again fail. */
  async close(): Promise<void> {
    this.#gate?.open()
    this.#gate = undefined
    await this.#close()
  }

  async #close(): Promise<void> {
    if (this.#readers > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve
      })
      this.#drained = undefined
    }
    await this.#level.close()
  }

  /**
   * LevelDB flushes what it writes, but not the names of new logs and of CURRENT: after a power cut, a flushed file may have no name
   * (ALICE, OSDI 2014). So whenever a name in the folder has changed, the folder is flushed before anything is called durable.
   */
  async #syncNames(): Promise<void> {
    const { mtimeNs, mtimeMs } = await stat(this.folder, { bigint: true })
    if (mtimeNs === this.#named) return
    await syncDirectory(this.folder)
    this.#named = Date.now() - Number(mtimeMs) > coarseMs ? mtimeNs : undefined
  }
}
