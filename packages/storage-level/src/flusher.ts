import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { GroupId, RaftkitError } from '@raftkit/contract'
import type { Database, Operation } from './database.ts'
import { failed, isFull, storeDamaged } from './failure.ts'
import { decodeTotals, encodeHead, encodeTotals, type Head, headKey, type Range, totalsKey } from './layout.ts'
import type { Mark } from './mark.ts'

/** One write of one group. */
export interface Change {
  readonly group: GroupId
  /** From `begin`. */
  readonly stamp: number
  readonly operations: readonly Operation[]
  /** As the write leaves it; absent: the group is destroyed. */
  readonly head?: Head
  /** What nobody needs once the write is durable. */
  readonly garbage?: Range
}

interface Waiting {
  readonly change: Change
  readonly resolve: () => void
  readonly reject: (error: RaftkitError) => void
}

/** Keys removed at a time: what a write may have to wait for. */
const sweepKeys = 512

/**
 * One flush at a time, for all groups: while it runs, writes gather, and the next flush takes them all in one synced batch.
 * After a failure nothing is written any more. A full disk is no failure: the batch waits for room and is tried again.
 */
export class Flusher {
  /** Of all groups that hold a log, as of the last durable write. */
  readonly heads: Map<GroupId, Head>
  readonly #database: Database
  readonly #mark: Mark
  readonly #garbage: Range[] = []
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined
  /** Stamps given, and durable. */
  #issued: number
  #durable: number
  #retired: number
  #failed: RaftkitError | undefined
  readonly #closing = new AbortController()

  constructor(database: Database, mark: Mark, heads: Map<GroupId, Head>, stamp: number, retired: number) {
    this.#database = database
    this.#mark = mark
    this.heads = heads
    this.#issued = this.#durable = stamp
    this.#retired = retired
  }

  get durable(): number {
    return this.#durable
  }

  get failed(): RaftkitError | undefined {
    return this.#failed
  }

  /** The stamp of the next change, which must be submitted at once. */
  begin(): number {
    return ++this.#issued
  }

  /** Resolves once durable, in the order of calls. */
  submit(change: Change): Promise<void> {
    if (this.#failed) return Promise.reject(this.#failed)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject })
      this.#start()
    })
  }

  /** Removes what is in the range, some time. */
  sweep(range: Range): void {
    if (this.#failed) return
    this.#garbage.push(range)
    this.#start()
  }

  /** Resolves after what is pending has settled; what waits for room on a full disk is rejected. */
  async close(): Promise<void> {
    this.#closing.abort()
    while (this.#running) await this.#running
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#waiting.length > 0) this.#start()
    })
  }

  async #run(): Promise<void> {
    // What is written in the same turn of the event loop goes together.
    await null
    let flushing: Waiting[] = []
    try {
      while (this.#waiting.length > 0 || (this.#garbage.length > 0 && !this.#closing.signal.aborted)) {
        flushing = this.#waiting
        this.#waiting = []
        if (flushing.length > 0) await this.#flush(flushing.map(({ change }) => change))
        for (const { resolve } of flushing) resolve()
        flushing = []
        await this.#sweepSome()
      }
    } catch (error) {
      this.#failed = failed('a write could not be made durable, and nothing is written after it', error)
      for (const { reject } of [...flushing, ...this.#waiting]) reject(this.#failed)
      this.#waiting = []
      this.#garbage.length = 0
    }
  }

  async #flush(changes: readonly Change[]): Promise<void> {
    const operations: Operation[] = []
    const heads = new Map<GroupId, Head | undefined>()
    let retired = this.#retired
    for (const { group, operations: own, head } of changes) {
      for (const operation of own) operations.push(operation)
      const before = heads.has(group) ? heads.get(group) : this.heads.get(group)
      if (!head) retired += (before?.writes ?? 0) + 1
      heads.set(group, head)
    }
    for (const [group, head] of heads) {
      const key = headKey(group)
      operations.push(head ? { type: 'put', key, value: encodeHead(group, head) } : { type: 'del', key })
    }
    const stamp = changes.at(-1)!.stamp
    operations.push({ type: 'put', key: totalsKey, value: encodeTotals({ stamp, retired }) })

    await this.#write(operations)
    this.#durable = stamp
    this.#retired = retired
    for (const [group, head] of heads) {
      if (head) this.heads.set(group, head)
      else this.heads.delete(group)
    }
    this.#mark.advance(stamp)
    for (const { garbage } of changes) if (garbage) this.#garbage.push(garbage)
  }

  async #write(operations: Operation[]): Promise<void> {
    let bytes = 0
    for (const operation of operations) if (operation.type === 'put') bytes += operation.value.length
    for (;;) {
      try {
        return await this.#database.write(operations)
      } catch (error) {
        // The batch may have reached the log as a whole after all; written twice, it says the same.
        await this.#recover(error, bytes)
      }
    }
  }

  async #sweepSome(): Promise<void> {
    const range = this.#garbage.shift()
    if (!range || this.#closing.signal.aborted) return
    try {
      const last = await this.#database.clear(range, sweepKeys)
      if (last) this.#garbage.unshift({ gte: last, lt: range.lt })
    } catch (error) {
      this.#garbage.unshift(range)
      await this.#recover(error, 0)
    }
  }

  /**
   * After a write that failed for want of space: waits for room, opens LevelDB again, and makes sure that nothing durable was lost.
   * Until there is room LevelDB stays open, so that reads go on. Throws any other error.
   */
  async #recover(error: unknown, bytes: number): Promise<void> {
    for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
      if (!isFull(error) || this.#closing.signal.aborted) throw error
      await elapse(pause, this.#closing.signal)
      try {
        await this.#findRoom(bytes)
        await this.#database.reopen()
        break
      } catch (again) {
        error = again
      }
    }
    const value = await this.#database.read((level) => level.get(totalsKey))
    const stamp = (value && decodeTotals(value)?.stamp) ?? 0
    if (stamp < this.#durable)
      throw storeDamaged(this.#database.folder, `of ${this.#durable} writes that were durable, ${stamp} are left`)
  }

  /** Throws unless a file fits that is as large as the batch and all that recovery rewrites. */
  async #findRoom(bytes: number): Promise<void> {
    const { folder } = this.#database
    for (const name of await readdir(folder)) if (name.endsWith('.log')) bytes += (await stat(join(folder, name))).size
    const path = join(folder, '..', 'room')
    try {
      const file = await open(path, 'w', 0o600)
      try {
        const block = Buffer.alloc(65_536, 0xa5)
        for (let written = 0; written < bytes + block.length; written += block.length) await file.writeFile(block)
        await file.sync()
      } finally {
        await file.close()
      }
    } finally {
      await rm(path, { force: true })
    }
  }
}

function elapse(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
