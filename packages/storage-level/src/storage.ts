import { access, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type GroupId, type LogStore, RaftkitError, type SnapshotStore, type Storage } from '@raftkit/contract'
import {
  createDirectory,
  type FileSnapshots,
  type FolderLock,
  fileSnapshots,
  fromFileName,
  lockFolder,
  syncDirectory,
  toFileName,
} from '@raftkit/files'
import { Database, type Tuning } from './database.ts'
import { failed, openFailure } from './failure.ts'
import { Flusher } from './flusher.ts'
import { inspectLog, takeInventory } from './inspect.ts'
import { pieceKey, piecesOf, stateKey } from './layout.ts'
import { LevelLog } from './log.ts'
import { Mark } from './mark.ts'
import { removeBadTables, setAsideBadTables } from './tables.ts'

export interface LevelOptions {
  /** Memory for records read from disk. Default 8 MiB. */
  readonly cacheBytes?: number
  /** What LevelDB gathers in memory, and in its log, before it sorts it into a table; the next start reads it back. Default 4 MiB. */
  readonly writeBufferBytes?: number
}

/**
 * A directory of this machine as the storage of one host, for all its groups. Nothing is read or written before the first call,
 * which makes the directory if it is missing and holds it against every other process.
 * Throws `INVALID_OPTION`. Calls reject `LOCKED` (another owner), `DAMAGED` (something durable is missing, altered or old),
 * `STORAGE_FAILED`, `CLOSED`.
 */
export function levelStorage(directory: string, options: LevelOptions = {}): Storage {
  if (typeof directory !== 'string' || directory === '')
    throw new RaftkitError('INVALID_OPTION', 'levelStorage needs the path of a directory')
  const { cacheBytes = 8_388_608, writeBufferBytes = 4_194_304 } = options
  for (const [name, bytes] of Object.entries({ cacheBytes, writeBufferBytes }))
    if (!Number.isSafeInteger(bytes) || bytes < 65_536 || bytes > 1_073_741_824)
      throw new RaftkitError('INVALID_OPTION', `\`${name}\` is a whole number of bytes from 65536 to 1073741824`)
  return new LevelStorage(directory, { cacheSize: cacheBytes, writeBufferSize: writeBufferBytes })
}

interface Opened {
  readonly lock: FolderLock
  readonly database: Database
  readonly flusher: Flusher
  readonly mark: Mark
}

class LevelStorage implements Storage {
  readonly contract = 1
  readonly durable = true
  readonly #directory: string
  readonly #tuning: Tuning
  /** Groups whose log is open, or being opened or destroyed. */
  readonly #owned = new Set<GroupId>()
  readonly #logs = new Set<LevelLog>()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #snapshots = new Map<GroupId, Promise<FileSnapshots>>()
  #opening: Promise<Opened> | undefined
  #closing: Promise<void> | undefined

  constructor(directory: string, tuning: Tuning) {
    this.#directory = directory
    this.#tuning = tuning
  }

  async groups(): Promise<readonly GroupId[]> {
    const { flusher } = await this.#open()
    const found = new Set(flusher.heads.keys())
    for (const folder of await list(join(this.#directory, 'snapshots'))) {
      const group = fromFileName(folder)
      if (group !== undefined && (await list(this.#snapshotsOf(group))).length > 0) found.add(group)
    }
    return [...found].sort()
  }

  async log(group: GroupId): Promise<LogStore> {
    checkName(group)
    const { database, flusher } = await this.#open()
    if (flusher.failed) throw flusher.failed
    return this.#own(group, async () => {
      const head = flusher.heads.get(group)
      const { found, places } = head
        ? await inspectLog(database, group, head)
        : { found: { first: 1, last: 0 }, places: { at: [], stamps: [] } }
      if (this.#closing) throw closed()
      // What an earlier owner had no time to sweep.
      if (head) flusher.sweep({ gte: piecesOf(group).gte, lt: pieceKey(group, head.epoch, places.at[0] ?? head.first) })
      const log = new LevelLog(group, database, flusher, found, head, places, () => {
        this.#owned.delete(group)
        this.#logs.delete(log)
      })
      this.#logs.add(log)
      return log
    })
  }

  async snapshots(group: GroupId): Promise<SnapshotStore> {
    checkName(group)
    await this.#open()
    if (this.#closing) throw closed()
    let store = this.#snapshots.get(group)
    if (!store) {
      store = fileSnapshots(this.#snapshotsOf(group))
      this.#snapshots.set(group, store)
    }
    return store
  }

  async destroy(group: GroupId): Promise<void> {
    checkName(group)
    const { flusher } = await this.#open()
    await this.#own(group, async () => {
      const snapshots = await this.#snapshots.get(group)
      this.#snapshots.delete(group)
      await snapshots?.close()
      if (flusher.heads.has(group)) {
        const stamp = flusher.begin()
        const operations = [{ type: 'del' as const, key: stateKey(group) }]
        await flusher.submit({ group, stamp, operations, garbage: piecesOf(group, stamp) })
      }
      try {
        await rm(this.#snapshotsOf(group), { recursive: true, force: true })
        const parent = join(this.#directory, 'snapshots')
        if (await exists(parent)) await syncDirectory(parent)
      } catch (error) {
        throw failed(`could not remove the snapshots of ${group}`, error)
      }
    })
    this.#owned.delete(group)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined)
    if (!opened) return
    const { lock, database, flusher, mark } = opened
    const ended = flusher.close()
    await Promise.allSettled(this.#underWay)
    await Promise.all([...this.#logs].map((log) => log.close()))
    await ended
    for (const snapshots of this.#snapshots.values()) await (await snapshots).close()
    try {
      await mark.close()
      await database.close()
    } catch (error) {
      throw failed(`could not close ${this.#directory}`, error)
    } finally {
      await lock.release()
    }
  }

  /** One owner per group, from before the first step; a failure ends it. */
  async #own<T>(group: GroupId, work: () => Promise<T>): Promise<T> {
    if (this.#closing) throw closed()
    if (this.#owned.has(group))
      throw new RaftkitError('LOCKED', `the log of ${group} is open already in this process; close it first`)
    this.#owned.add(group)
    const working = work()
    this.#underWay.add(working)
    try {
      return await working
    } catch (error) {
      this.#owned.delete(group)
      throw failed(`could not open or destroy group ${group}`, error)
    } finally {
      this.#underWay.delete(working)
    }
  }

  #open(): Promise<Opened> {
    if (this.#closing) return Promise.reject(closed())
    if (!this.#opening) {
      const opening = this.#load()
      this.#opening = opening
      // Whoever held the directory may be gone at the next call.
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined
      })
    }
    return this.#opening
  }

  async #load(): Promise<Opened> {
    const lock = await lockFolder(this.#directory)
    try {
      return { lock, ...(await this.#loadLocked()) }
    } catch (error) {
      await lock.release()
      throw failed(`could not open ${this.#directory}`, error)
    }
  }

  async #loadLocked(): Promise<Omit<Opened, 'lock'>> {
    const directory = this.#directory
    const folder = join(directory, 'level')
    const path = join(directory, 'mark')
    const database = await this.#openDatabase(folder).catch(async (error: unknown) => {
      const failure = openFailure(directory, error)
      if (failure.code !== 'DAMAGED' || (await exists(path)) || !(await neverWritten(folder))) throw failure
      // LevelDB makes its first files without flushing them: a power cut in the first start leaves what it cannot open.
      await rm(folder, { recursive: true })
      return this.#openDatabase(folder)
    })
    try {
      await removeBadTables(folder)
      let mark = (await exists(path)) ? await Mark.read(path) : undefined
      if (!(await exists(path)) && (await database.isEmpty())) {
        await Mark.create(path)
        mark = { stamp: 0, turn: 0 }
      }
      const { heads, stamp, retired, remains } = await takeInventory(database, directory, mark?.stamp)
      const opened = await Mark.open(path, mark!)
      const flusher = new Flusher(database, opened, heads, stamp, retired)
      for (const group of remains) flusher.sweep(piecesOf(group, stamp + 1))
      return { database, flusher, mark: opened }
    } catch (error) {
      await database.close().catch(() => undefined)
      throw error
    }
  }

  async #openDatabase(folder: string): Promise<Database> {
    await createDirectory(folder)
    await setAsideBadTables(folder)
    return Database.open(folder, this.#tuning)
  }

  #snapshotsOf(group: GroupId): string {
    return join(this.#directory, 'snapshots', toFileName(group))
  }
}

function checkName(group: GroupId): void {
  toFileName(group)
  if (group.length > 64)
    throw new RaftkitError('INVALID_OPTION', `the name of a group has at most 64 characters, not ${group.length}`)
}

const closed = (): RaftkitError => new RaftkitError('CLOSED', 'this storage was closed; make another one')

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )

/** Whether LevelDB's folder holds no record in any form. */
async function neverWritten(folder: string): Promise<boolean> {
  for (const name of await list(folder)) {
    if (/\.(ldb|sst|bad)$/.test(name)) return false
    if (name.endsWith('.log') && (await stat(join(folder, name))).size > 0) return false
  }
  return true
}

const list = (folder: string): Promise<readonly string[]> =>
  readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw failed(`could not list ${folder}`, error)
  })
