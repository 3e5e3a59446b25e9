// @ts-check
// A directory as the storage of one host: a folder per group, which holds the group's journal, its mark and its snapshots.
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { createDirectory, fileSnapshots, fromFileName, lockFolder, syncDirectory, toFileName } from '@raftkit/files'
import { headerBytes } from './frame.js'
import { Journal } from './journal.js'

/** @import { GroupId, LogStore, SnapshotStore, Storage } from '@raftkit/contract' */
/** @import { FileSnapshots, FolderLock } from '@raftkit/files' */

/** Nothing is read or written before the first call. @param {string} directory @returns {Storage} */
export function templateStorage(directory) {
  if (typeof directory !== 'string' || directory === '')
    throw new RaftkitError('INVALID_OPTION', 'templateStorage needs the path of a directory')
  return new TemplateStorage(directory)
}

/** @implements {Storage} */
class TemplateStorage {
  contract = /** @type {const} */ (1)
  durable = true
  #directory
  #groups
  #trash
  /** Groups whose log is open, or being opened or destroyed. @type {Set<GroupId>} */
  #owned = new Set()
  /** @type {Set<Journal>} */ #logs = new Set()
  /** @type {Map<GroupId, Promise<FileSnapshots>>} */ #snapshots = new Map()
  /** @type {Set<Promise<unknown>>} */ #underWay = new Set()
  /** @type {Promise<FolderLock> | undefined} */ #opening
  /** @type {Promise<void> | undefined} */ #closing

  /** @param {string} directory */
  constructor(directory) {
    this.#directory = directory
    this.#groups = join(directory, 'groups')
    this.#trash = join(directory, 'trash')
  }

  /** @returns {Promise<readonly GroupId[]>} */
  groups() {
    return this.#work('list the groups', async () => {
      const found = []
      for (const folder of await list(this.#groups)) {
        const group = fromFileName(folder)
        if (group === undefined) continue
        const path = join(this.#groups, folder)
        const journal = await stat(join(path, 'journal')).catch(() => undefined)
        if ((journal && journal.size > headerBytes) || (await list(join(path, 'snapshots'))).length > 0)
          found.push(group)
      }
      return found
    })
  }

  /** @param {GroupId} group @returns {Promise<LogStore>} */
  log(group) {
    return this.#own(group, async () => {
      const log = await Journal.open(this.#folder(group), group, () => {
        this.#owned.delete(group)
        this.#logs.delete(log)
      })
      this.#logs.add(log)
      return log
    })
  }

  /** @param {GroupId} group @returns {Promise<SnapshotStore>} */
  snapshots(group) {
    return this.#work('open the snapshots', async () => {
      const folder = this.#folder(group)
      const store = this.#snapshots.get(group) ?? fileSnapshots(join(folder, 'snapshots'))
      this.#snapshots.set(group, store)
      return store
    })
  }

  /** @param {GroupId} group @returns {Promise<void>} */
  async destroy(group) {
    await this.#own(group, async () => {
      const folder = this.#folder(group)
      await (await this.#snapshots.get(group))?.close()
      this.#snapshots.delete(group)
      // One rename takes all of it, so that no crash leaves a part.
      const trash = join(this.#trash, toFileName(group))
      await createDirectory(this.#trash)
      try {
        await rename(folder, trash)
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return
        throw error
      }
      await syncDirectory(this.#groups)
      await rm(trash, { recursive: true, force: true })
    })
    this.#owned.delete(group)
  }

  close() {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close() {
    const lock = await this.#opening?.catch(() => undefined)
    await Promise.allSettled(this.#underWay)
    await Promise.all([...this.#logs].map((log) => log.close()))
    for (const store of this.#snapshots.values()) await (await store).close()
    await lock?.release()
  }

  /** One owner per group, from before the first step; a failure ends it. @template T @param {GroupId} group @param {() => Promise<T>} work */
  #own(group, work) {
    return this.#work(`open or destroy group ${group}`, async () => {
      this.#folder(group)
      if (this.#owned.has(group))
        throw new RaftkitError('LOCKED', `the log of ${group} is open already; close it first`)
      this.#owned.add(group)
      try {
        return await work()
      } catch (error) {
        this.#owned.delete(group)
        throw error
      }
    })
  }

  /** Work on the directory, locked: `close` waits for it. @template T @param {string} what @param {() => Promise<T>} work @returns {Promise<T>} */
  async #work(what, work) {
    if (this.#closing) throw closed()
    if (!this.#opening) {
      const opening = this.#open()
      this.#opening = opening
      // Whoever held the directory may be gone at the next call.
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined
      })
    }
    const opening = this.#opening
    const working = opening.then(() => work())
    this.#underWay.add(working)
    try {
      return await working
    } catch (error) {
      if (isRaftkitError(error)) throw error
      throw new RaftkitError('STORAGE_FAILED', `could not ${what} in ${this.#directory}; look at the cause`, {
        cause: error,
      })
    } finally {
      this.#underWay.delete(working)
    }
  }

  async #open() {
    const lock = await lockFolder(this.#directory)
    try {
      await createDirectory(this.#groups)
      await rm(this.#trash, { recursive: true, force: true })
      return lock
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** @param {GroupId} group */
  #folder(group) {
    const name = toFileName(group)
    if (group.length > 64) throw new RaftkitError('INVALID_OPTION', 'the name of a group has at most 64 characters')
    return join(this.#groups, name)
  }
}

const closed = () => new RaftkitError('CLOSED', 'this storage was closed; make another one')

/** @param {string} folder */
const list = (folder) =>
  readdir(folder).catch((error) => {
    if (error.code === 'ENOENT') return /** @type {string[]} */ ([])
    throw error
  })
