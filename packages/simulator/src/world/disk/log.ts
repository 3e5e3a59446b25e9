import { type Found, type Index, type LogStore, type LogWrite, RaftkitError, type Run } from '@raftkit/contract'
import type { Process } from '../process.ts'
import { type Change, Content } from './content.ts'
import type { Disk } from './disk.ts'

interface Waiting {
  readonly change: Change
  resolve(): void
  reject(error: RaftkitError): void
}

/** One group's log on a disk: what is durable, what was written, and the flush that turns one into the other. */
export class LogFile {
  readonly disk: Disk
  durable: Content = new Content()
  issued: Content = new Content()
  owner: OpenLog | undefined
  /** Rot that the adapter's own checksums will find when the log is opened or read next. */
  detected = false
  #waiting: Waiting[] = []
  /** How many of those that wait are in the flush under way. */
  #flushing = 0
  /** Rises at a crash: what was under way then, ends nowhere. */
  #life = 0
  #idle: (() => void)[] = []

  constructor(disk: Disk) {
    this.disk = disk
  }

  get pending(): number {
    return this.#waiting.length
  }

  write(process: Process, change: Change): Promise<void> {
    this.issued.apply(change)
    return new Promise<void>((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject })
      this.flush(process)
    })
  }

  /** Starts a flush if none is under way and there is something to flush. */
  flush(process: Process): void {
    if (this.#flushing > 0 || this.#waiting.length === 0 || this.disk.full) return
    this.#flushing = this.#waiting.length
    let bytes = 0
    for (const { change } of this.#waiting) bytes += change.bytes
    const life = this.#life
    const { timeline } = process.world
    timeline.at(timeline.now + process.lag + this.disk.flushTime(bytes), () => {
      if (life === this.#life) this.#flushed(process)
    })
  }

  /** Resolves when nothing is pending any more. */
  settled(): Promise<void> {
    return this.#waiting.length === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Ends what is pending: a failed flush, or a close while the disk is full. */
  reject(process: Process, error: RaftkitError): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#flushing = 0
    this.#life++
    this.issued = this.durable.copy()
    process.deliver(() => {
      for (const { reject } of waiting) reject(error)
      this.#rest()
    })
  }

  /** Power or process is gone: of the writes that were not flushed, a prefix happens to be there; each ends it with this `chance`. */
  crash(chance: number): void {
    const { random } = this.disk
    let kept = 0
    while (kept < this.#waiting.length && !random.chance(chance)) kept++
    for (let i = 0; i < kept; i++) this.durable.apply(this.#waiting[i]!.change)
    const lost = this.#waiting.length - kept
    if (lost > 0) this.disk.injected('lost-writes', { count: lost, torn: kept < this.#flushing })
    this.issued = this.durable.copy()
    this.#waiting = []
    this.#flushing = 0
    this.#idle = []
    this.#life++
    this.owner = undefined
  }

  #flushed(process: Process): void {
    const { disk } = this
    const count = this.#flushing
    if (disk.failsNow()) {
      // Nobody knows what of a failed flush is on the platter.
      const kept = disk.random.below(count + 1)
      for (let i = 0; i < kept; i++) this.durable.apply(this.#waiting[i]!.change)
      disk.injected('write-error', {})
      disk.changed()
      this.reject(process, new RaftkitError('STORAGE_FAILED', 'the disk failed to flush (EIO)'))
      this.owner?.fail()
      return
    }
    const done = this.#waiting.splice(0, count)
    this.#flushing = 0
    for (const { change } of done) this.durable.apply(change)
    disk.changed()
    process.deliver(() => {
      process.world.completed(done.length)
      for (const { resolve } of done) resolve()
      if (this.#waiting.length === 0) this.#rest()
    })
    this.flush(process)
  }

  #rest(): void {
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

/** The log as one process has it open. */
export class OpenLog implements LogStore {
  readonly found: Found
  readonly #file: LogFile
  readonly #process: Process
  #failed: RaftkitError | undefined
  #closing: Promise<void> | undefined

  constructor(file: LogFile, process: Process) {
    this.#file = file
    this.#process = process
    const { state, first, last } = file.issued
    this.found = { first, last, ...(state && { state }) }
  }

  write(change: LogWrite): Promise<void> {
    const process = this.#process
    if (!process.alive) return never()
    if (this.#closing) return Promise.reject(closed())
    if (this.#failed) return Promise.reject(this.#failed)
    let prepared: Change
    try {
      prepared = this.#file.issued.prepare(change)
    } catch (error) {
      this.#failed = error as RaftkitError
      return Promise.reject(error)
    }
    process.world.watchers.issued(process.server, { id: process.writeId, change })
    const written = this.#file.write(process, prepared)
    process.effect()
    return written
  }

  read(from: Index, to: Index, maxBytes: number): Promise<Run> {
    const process = this.#process
    if (!process.alive) return never()
    if (this.#closing) return Promise.reject(closed())
    const read = process.io(this.#file.disk.readTime(), this.#content(from, to, maxBytes))
    process.effect()
    return read
  }

  /** What it says now: a write that comes later must not be seen. */
  #content(from: Index, to: Index, maxBytes: number): () => Run {
    const { first, last, records } = this.#file.issued
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to || !(maxBytes > 0))
      return throws('INVALID_OPTION', `cannot read ${maxBytes} bytes of the records ${from} to ${to}`)
    if (this.#file.detected) return throws('DAMAGED', 'a record of the log is damaged')
    if (from < first) return throws('COMPACTED', `record ${from} is gone; the log begins at ${first}`)
    if (to > last) return throws('MISSING', `the log ends at ${last}; there is no record ${to}`)
    let end = from - first
    let size = 0
    for (; end <= to - first && (size === 0 || size < maxBytes); end++) size += records[end]!.length
    const bytes = new Uint8Array(size)
    let offset = 0
    for (let i = from - first; i < end; i++) {
      bytes.set(records[i]!, offset)
      offset += records[i]!.length
    }
    return () => ({ count: end - (from - first), bytes })
  }

  fail(): void {
    this.#failed = new RaftkitError('STORAGE_FAILED', 'the disk failed before (EIO); a flush is never retried')
  }

  close(): Promise<void> {
    if (!this.#process.alive) return never()
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#file.settled()
    if (this.#process.alive && this.#file.owner === this) this.#file.owner = undefined
  }

  /** A full disk does not keep a storage from closing. */
  giveUp(): void {
    if (this.#file.disk.full) this.#file.reject(this.#process, closed())
  }
}

/** What a dead process waits for. */
export const never = <T>(): Promise<T> => new Promise<T>(() => undefined)

export const closed = (): RaftkitError => new RaftkitError('CLOSED', 'this was closed; open it again')

export const throws =
  (...[code, sentence]: ConstructorParameters<typeof RaftkitError>): (() => never) =>
  () => {
    throw new RaftkitError(code, sentence)
  }
