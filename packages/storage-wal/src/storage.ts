import { join } from 'node:path'
import { type GroupId, type LogStore, RaftkitError, type SnapshotStore, type Storage } from '@raftkit/contract'
import {
  type Disk,
  type FileSnapshots,
  type FolderLock,
  fileSnapshots,
  fromFileName,
  nodeDisk,
  toFileName,
} from '@raftkit/files'
import { Emptying } from './emptying.ts'
import { closed, failed, groupDamaged, storeDamaged } from './failure.ts'
import { Flusher } from './flusher.ts'
import { Group } from './group.ts'
import { WalLog } from './log.ts'
import { Mark } from './mark.ts'
import { filesOf, findExtent, readFailure, readMark, recover, takeOver } from './recovery.ts'
import { Wal } from './wal.ts'

export interface WalOptions {
  /**
   * Size of a segment file. Space comes back a segment at a time; some are kept to be written over, which is faster than to let files grow.
   * From 65536 to 1 GiB; default 8 MiB.
   */
  readonly segmentBytes?: number
  /** What lies beneath: another one than this machine's file system, for simulations and tests. */
  readonly disk?: Disk
}

/** Idle bytes that the log may hold in any case, in segments. */
const slackSegments = 2

/**
 * A directory of this machine as the storage of one host, for all its groups: one write-ahead log, flushed once for all that waits. Nothing is read or
 * written before the first call, which makes the directory if it is missing and holds it against every other process.
 * Throws `INVALID_OPTION`. Calls reject `LOCKED` (another owner), `DAMAGED` (something durable is missing, altered or old), `UNKNOWN_FORMAT`,
 * `STORAGE_FAILED`, `CLOSED`.
 */
export function walStorage(directory: string, options: WalOptions = {}): Storage {
  if (typeof directory !== 'string' || directory === '')
    throw new RaftkitError('INVALID_OPTION', 'walStorage needs the path of a directory')
  const { segmentBytes = 8_388_608, disk = nodeDisk } = options
  if (!Number.isSafeInteger(segmentBytes) || segmentBytes < 65_536 || segmentBytes > 1_073_741_824)
    throw new RaftkitError('INVALID_OPTION', '`segmentBytes` is a whole number of bytes from 65536 to 1073741824')
  return new WalStorage(directory, segmentBytes, disk)
}

interface Opened {
  readonly lock: FolderLock
  readonly wal: Wal
  readonly flusher: Flusher
  readonly mark: Mark
}

class WalStorage implements Storage {
  readonly contract = 1
  readonly durable = true
  readonly #directory: string
  readonly #segmentBytes: number
  readonly #disk: Disk
  readonly #closed = new AbortController()
  /** Groups whose log is open, or being destroyed. */
  readonly #owned = new Set<GroupId>()
  readonly #logs = new Set<WalLog>()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #snapshots = new Map<GroupId, Promise<FileSnapshots>>()
  #opening: Promise<Opened> | undefined
  #closing: Promise<void> | undefined

  constructor(directory: string, segmentBytes: number, disk: Disk) {
    this.#directory = directory
    this.#segmentBytes = segmentBytes
    this.#disk = disk
  }

  async groups(): Promise<readonly GroupId[]> {
    const { flusher } = await this.#open()
    const found = new Set(flusher.groups.keys())
    const list = (folder: string): Promise<readonly string[]> =>
      this.#onDisk(`list ${folder}`, () => this.#disk.list(folder))
    for (const folder of await list(join(this.#directory, 'snapshots'))) {
      const group = fromFileName(folder)
      if (group !== undefined && (await list(this.#snapshotsOf(group))).length > 0) found.add(group)
    }
    return [...found].sort()
  }

  async log(group: GroupId): Promise<LogStore> {
    checkName(group)
    const { wal, flusher } = await this.#open()
    if (flusher.failed) throw flusher.failed
    return this.#own(group, async () => {
      const held = flusher.groups.get(group) ?? new Group(group, wal.segments)
      const defect = held.defect()
      if (defect !== undefined) throw groupDamaged(group, defect)
      const log = new WalLog(held, wal.segments, flusher, () => {
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
    if (this.#closing) throw closed('this storage')
    let store = this.#snapshots.get(group)
    if (!store) {
      store = fileSnapshots(this.#snapshotsOf(group), { disk: this.#disk })
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
      const held = flusher.groups.get(group)
      if (held) await flusher.destroy(held)
      await this.#onDisk(`remove the snapshots of ${group}`, async () => {
        const parent = join(this.#directory, 'snapshots')
        if ((await this.#disk.list(parent)).length === 0) return
        await this.#disk.remove(this.#snapshotsOf(group))
        await this.#disk.syncDirectory(parent)
      })
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
    const { lock, wal, flusher, mark } = opened
    this.#closed.abort()
    await Promise.allSettled(this.#underWay)
    await Promise.all([...this.#logs].map((log) => log.close()))
    await flusher.close()
    for (const snapshots of this.#snapshots.values()) await (await snapshots).close()
    try {
      await mark.close()
      await wal.close()
    } catch (error) {
      throw failed(`could not close ${this.#directory}`, error)
    } finally {
      await lock.release()
    }
  }

  /** One owner per group, from before the first step; a failure ends it. */
  async #own<T>(group: GroupId, work: () => Promise<T>): Promise<T> {
    if (this.#closing) throw closed('this storage')
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
    if (this.#closing) return Promise.reject(closed('this storage'))
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
    const lock = await this.#disk.lock(this.#directory).catch((error: unknown) => {
      throw failed(`could not lock ${this.#directory}`, error)
    })
    try {
      return { lock, ...(await this.#loadLocked()) }
    } catch (error) {
      await lock.release()
      throw readFailure(this.#directory, error)
    }
  }

  async #loadLocked(): Promise<Omit<Opened, 'lock'>> {
    const disk = this.#disk
    const folder = join(this.#directory, 'log')
    const path = join(this.#directory, 'mark')
    const damaged = (what: string, cause?: unknown): Error => storeDamaged(this.#directory, what, cause)
    const found = await readMark(disk, path, damaged)
    const files = await filesOf(disk, folder)
    const extent = await findExtent(disk, folder, files, found?.frame ?? 0, damaged)
    if (!found && extent.needed.length > 0)
      throw damaged('its mark is gone, so that nothing tells whether flushes were lost')
    // A process that was killed may have left its name unsynced.
    await this.#onDisk(`write ${path}`, () => (found ? disk.syncDirectory(this.#directory) : Mark.create(disk, path)))
    const { groups, end } = await recover(disk, folder, extent, damaged)
    const ready = await this.#onDisk(`go on with ${folder}`, () => takeOver(disk, folder, extent, end))
    const mark = await Mark.open(disk, path, found ?? { frame: 0, turn: 0 })
    const wal = new Wal(disk, folder, this.#segmentBytes, ready, this.#closed.signal)
    const emptying = new Emptying(wal.segments, groups, slackSegments * this.#segmentBytes)
    return { wal, mark, flusher: new Flusher(wal, mark, groups, emptying) }
  }

  #snapshotsOf(group: GroupId): string {
    return join(this.#directory, 'snapshots', toFileName(group))
  }

  async #onDisk<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw failed(`could not ${what}`, error)
    }
  }
}

function checkName(group: GroupId): void {
  toFileName(group)
  if (group.length > 64)
    throw new RaftkitError('INVALID_OPTION', `the name of a group has at most 64 characters, not ${group.length}`)
}
