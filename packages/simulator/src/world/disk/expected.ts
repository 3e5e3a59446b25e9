import type { Found, Index, LogStore, LogWrite, Run } from '@raftkit/contract'
import { Violation } from '../../watcher.ts'
import type { Process } from '../process.ts'
import { type Change, Content, type LogContent } from './content.ts'
import type { Disk } from './disk.ts'
import { never } from './log.ts'

/**
 * What a real log must hold by its promise, whatever its files look like: the oracle of a storage under test. Every open and every read is held
 * against it, so that a write that was said to be durable and is not, or half of one that is there, ends the run.
 */
export class ExpectedLog {
  readonly #disk: Disk
  #durable = new Content()
  #issued = new Content()
  /** Issued, and not known to be durable. */
  #waiting: Change[] = []
  /** No record before this one can come back. */
  #lowest: Index = 1
  /** When a write was last said to be durable; what was so before that lies before something else in the files. */
  #durableAt = -1
  #sealed: Index = 0
  #stateSealed = false
  #stateAt = -1

  constructor(disk: Disk) {
    this.#disk = disk
  }

  get durable(): LogContent {
    return this.#durable
  }

  get issued(): LogContent {
    return this.#issued
  }

  /** Durable records that are not the last thing in the files: harm to them can not be taken for a write that was torn. */
  get sealed(): readonly Uint8Array[] {
    const { first, records } = this.#durable
    return records.slice(0, Math.max(0, this.#sealed + 1 - first))
  }

  /** Likewise. */
  get sealedState(): Uint8Array | undefined {
    return this.#stateSealed ? this.#durable.state : undefined
  }

  /** Processes that end leave their writes in the files, or not: the next open tells. */
  crash(): void {
    this.#issued = this.#durable.copy()
  }

  /** The log was opened by `process`; resolves with the log that the process gets. */
  async opened(log: LogStore, process: Process): Promise<LogStore> {
    const { found } = log
    const records = await readAll(log, this.#disk.damaged)
    if (!process.alive) return never()
    const content = judged(process, () => this.#match(found, records))
    if (!content) return never()
    const lost = this.#waiting.length - content.applied
    if (lost > 0) this.#disk.injected('lost-writes', { count: lost })
    this.#durable = content.content
    this.#issued = this.#durable.copy()
    this.#waiting = []
    this.#durableAt = -1
    this.#sealed = 0
    this.#stateSealed = false
    this.#disk.changed()
    return new WatchedLog(this, log, process)
  }

  issue(change: LogWrite): Change {
    const prepared = this.#issued.prepare(change)
    this.#issued.apply(prepared)
    this.#waiting.push(prepared)
    return prepared
  }

  /** The log says that this write is durable. */
  settled(change: Change, now: number): void {
    const next = this.#waiting.shift()
    if (next !== change) throw broken(this.#disk, 'writes do not resolve in the order in which they were issued', {})
    if (now > this.#durableAt) {
      this.#sealed = this.#durable.last
      this.#stateSealed = this.#durable.state !== undefined && this.#stateAt < now
      this.#durableAt = now
    }
    this.#durable.apply(change)
    if (change.at !== undefined) this.#sealed = Math.min(this.#sealed, change.at - 1)
    if (change.state !== undefined) {
      this.#stateSealed = false
      this.#stateAt = now
    }
    if (change.reset) this.#lowest = change.at!
    this.#disk.changed()
  }

  /** What a read that begins now must give. */
  expects(from: Index): (run: Run) => void {
    const { first, records } = this.#issued
    const expected = from < first ? undefined : records.slice(from - first)
    return ({ count, bytes }) => {
      if (this.#disk.damaged || !expected) return
      let at = 0
      for (let i = 0; i < count; i++) {
        const record = expected[i]
        if (!record || !equal(record, bytes.subarray(at, at + record.length)))
          throw broken(this.#disk, `a read from ${from} on gives another record ${from + i} than was written`, {
            count,
          })
        at += record.length
      }
      if (at !== bytes.length || count === 0)
        throw broken(this.#disk, `a read from ${from} on gives ${count} records in ${bytes.length} bytes`, {})
    }
  }

  /** Which of the waiting writes the log found: the latest that fits. */
  #match(found: Found, records: readonly Uint8Array[]): { readonly content: Content; readonly applied: number } {
    const content = this.#durable.copy()
    let lowest = this.#lowest
    let best: { content: Content; applied: number; lowest: Index; strange: number } | undefined
    for (let applied = 0; applied <= this.#waiting.length; applied++) {
      if (applied > 0) {
        const change = this.#waiting[applied - 1]!
        content.apply(change)
        if (change.reset) lowest = change.at!
      }
      const strange = this.#strangers(content, found, records)
      if (strange <= (best?.strange ?? this.#tolerated)) best = { content: content.copy(), applied, lowest, strange }
    }
    const { first, last } = this.#durable
    if (!best || found.first < best.lowest)
      throw broken(
        this.#disk,
        `it opens with the records ${found.first} to ${found.last}: no prefix of what was written, with ${first} to ${last} durable`,
        { found, waiting: this.#waiting.length },
      )
    this.#lowest = best.lowest
    return best
  }

  /** Records that are not what was written. Harm that was done to them is the protocol's to find. */
  get #tolerated(): number {
    return this.#disk.damaged ? Number.MAX_SAFE_INTEGER : 0
  }

  /** How many of the records found are not those of `content`; infinite if there are others, or another state. */
  #strangers(content: Content, found: Found, records: readonly Uint8Array[]): number {
    const { state, first, last } = content
    if (found.last !== last || found.first > first) return Number.POSITIVE_INFINITY
    if (found.state === undefined ? state !== undefined : !state || !equal(found.state, state))
      return Number.POSITIVE_INFINITY
    return content.records.filter((record, i) => !equal(record, records[first - found.first + i])).length
  }
}

/** The log as one process has it: the real one, held to its word. */
class WatchedLog implements LogStore {
  readonly found: Found
  readonly #expected: ExpectedLog
  readonly #log: LogStore
  readonly #process: Process

  constructor(expected: ExpectedLog, log: LogStore, process: Process) {
    this.#expected = expected
    this.#log = log
    this.#process = process
    this.found = log.found
  }

  write(change: LogWrite): Promise<void> {
    const process = this.#process
    if (!process.alive) return never()
    const { watchers } = process.world
    watchers.issued(process.server, { id: process.writeId, change })
    const written = this.#log.write(change)
    let issued: Change
    try {
      issued = this.#expected.issue(change)
    } catch {
      return written // it does not fit, and so is the log's to refuse
    }
    return written.then(() => {
      if (!process.alive) return never()
      judged(process, () => this.#expected.settled(issued, process.world.now))
    })
  }

  read(from: Index, to: Index, maxBytes: number): Promise<Run> {
    const process = this.#process
    if (!process.alive) return never()
    const check = this.#expected.expects(from)
    return this.#log.read(from, to, maxBytes).then((run) => {
      if (!process.alive) return never()
      judged(process, () => check(run))
      return run
    })
  }

  close(): Promise<void> {
    return this.#process.alive ? this.#log.close() : never()
  }
}

/** A check must not disturb the process that it watches. */
function judged<T>(process: Process, check: () => T): T | undefined {
  try {
    return check()
  } catch (error) {
    process.world.watchers.fail(error)
    return undefined
  }
}

/** All records; of a damaged disk, those before the first that can not be read. */
async function readAll(log: LogStore, damaged: boolean): Promise<Uint8Array[]> {
  const { first, last } = log.found
  const records: Uint8Array[] = []
  while (first + records.length <= last) {
    const run = await log.read(first + records.length, last, 1 << 20).catch((error: unknown) => {
      if (!damaged) throw error
      return undefined
    })
    if (!run) break
    const { bytes, count } = run
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let i = 0, at = 0; i < count; i++) {
      const length = view.getUint32(at, true)
      records.push(bytes.subarray(at, at + length))
      at += length
    }
  }
  return records
}

const equal = (a: Uint8Array, b: Uint8Array | undefined): boolean =>
  b !== undefined && a.length === b.length && Buffer.compare(a, b) === 0

const broken = ({ server }: Disk, sentence: string, details: object): Violation =>
  new Violation('storage keeps its word', `the log of ${server.id} breaks its promise: ${sentence}`, details)
