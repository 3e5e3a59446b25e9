import { readRecord, recordEnd, recordHeaderBytes, recordKind, verifyRecord } from '@raftkit/bytes'
import {
  type Command,
  type Environment,
  type Index,
  isRaftkitError,
  type LogStore,
  RaftkitError,
  type SnapshotPoint,
  type StateMachine,
  type Term,
} from '@raftkit/contract'
import { failure } from './failure.ts'
import type { Ending } from './pending.ts'

/** What one call of the machine's `apply` gets at most: it shall not hold up the event loop for long. */
const batchCommands = 1024
const readBytes = 1024 * 1024
/** Milliseconds of applying after which the event loop gets its turn. */
const slice = 8

export interface Applied {
  readonly index: Index
  readonly result: Uint8Array
}

export interface ApplierEvents {
  /** The machine holds everything up to `index`. */
  applied(from: Index, index: Index, bytes: number, milliseconds: number): void
  restored(): void
  failed(error: RaftkitError): void
}

/**
 * Everything that touches the state machine, one thing at a time and in order: apply, restore, and, between two batches,
 * queries and the freezing of snapshots. A throw of the machine ends it; it never skips an entry.
 */
export class Applier {
  readonly #machine: StateMachine
  readonly #log: LogStore
  readonly #environment: Environment
  readonly #events: ApplierEvents
  readonly #checksumSeed: () => number
  readonly #tasks: (() => void | Promise<void>)[] = []
  readonly #waiters = new Map<Index, Ending<Applied>>()
  #readers: { readonly index: Index; readonly run: () => void; readonly fail: (error: RaftkitError) => void }[] = []
  /** The machine is inside `apply` or `restore`. */
  #inside = false
  /** A task is under way, though the machine may be between two batches. */
  #busy = false
  #stopped: RaftkitError | undefined
  #index: Index
  #term: Term
  #idle: (() => void)[] = []

  constructor(
    machine: StateMachine,
    log: LogStore,
    environment: Environment,
    at: { readonly index: Index; readonly term: Term },
    events: ApplierEvents,
    checksumSeed: () => number,
  ) {
    this.#machine = machine
    this.#log = log
    this.#environment = environment
    this.#events = events
    this.#checksumSeed = checksumSeed
    this.#index = at.index
    this.#term = at.term
  }

  /** The machine holds everything up to here. */
  get index(): Index {
    return this.#index
  }

  /** Of the entry at `index`. */
  get term(): Term {
    return this.#term
  }

  /** The result of the proposal committed at `index`, once it is applied there. */
  expect(index: Index, ending: Ending<Applied>): void {
    if (index <= this.#index) ending.fail(resultLost(index))
    else this.#waiters.set(index, ending)
  }

  apply(from: Index, to: Index, records: readonly Uint8Array[] | undefined): void {
    this.#add(() => (records ? this.#applyRecords(from, split(records, from, to)) : this.#applyFromLog(from, to)))
  }

  /** `chunks` of the snapshot replace the machine's state, after what is being applied. */
  restore(snapshot: SnapshotPoint, load: () => Promise<void>, done: () => void): void {
    this.#add(async () => {
      this.#inside = true
      await load()
      this.#inside = false
      this.#index = snapshot.index
      this.#term = snapshot.term
      for (const [index, ending] of this.#waiters) {
        if (index > snapshot.index) continue
        this.#waiters.delete(index)
        ending.fail(resultLost(index)) // committed, but its result never passed through this replica
      }
      this.#events.restored()
      done()
    })
  }

  /** Runs once the machine has applied `index`, between two batches. */
  between(index: Index, run: () => void, fail: (error: RaftkitError) => void): void {
    if (this.#stopped) {
      fail(this.#stopped)
      return
    }
    this.#readers.push({ index, run, fail })
    if (!this.#inside) this.#read()
  }

  /** Nothing is applied any more; who waits for a read is told. Resolves when the machine is left alone. */
  stop(error: RaftkitError): Promise<void> {
    this.#stopped ??= error
    this.#tasks.length = 0
    this.#waiters.clear() // their calls are settled by Pending
    for (const { fail } of this.#readers.splice(0)) fail(this.#stopped)
    return this.#busy ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve()
  }

  #add(task: () => void | Promise<void>): void {
    if (this.#stopped) return
    this.#tasks.push(task)
    this.#pump()
  }

  #pump(): void {
    const began = this.#environment.now()
    while (!this.#busy) {
      this.#read()
      const task = this.#tasks.shift()
      if (!task) break
      this.#busy = true
      try {
        const working = task()
        if (working)
          working.then(
            () => this.#next(),
            (error) => this.#fail(error),
          )
        else if (this.#tasks.length > 0 && this.#environment.now() - began > slice)
          this.#environment.soon(() => this.#next())
        else this.#busy = false
      } catch (error) {
        this.#fail(error)
      }
    }
    if (!this.#busy) for (const resolve of this.#idle.splice(0)) resolve()
  }

  #next(): void {
    this.#busy = false
    this.#pump()
  }

  #fail(cause: unknown): void {
    this.#busy = false
    this.#inside = false
    for (const resolve of this.#idle.splice(0)) resolve()
    if (this.#stopped) return
    this.#events.failed(failure(cause, 'MACHINE_MISMATCH', `the state machine failed after entry ${this.#index}`))
  }

  #read(): void {
    if (this.#readers.length === 0 || this.#inside) return
    const waiting = this.#readers
    this.#readers = []
    for (const reader of waiting) {
      if (reader.index <= this.#index) reader.run()
      else this.#readers.push(reader)
    }
  }

  async #applyFromLog(from: Index, to: Index): Promise<void> {
    for (let next = from; next <= to && !this.#stopped; next = this.#index + 1) {
      const run = await this.#log.read(next, to, readBytes).catch((error) => {
        // A snapshot was installed over what was to be applied; it is restored next.
        if (isRaftkitError(error, 'COMPACTED')) return undefined
        throw error
      })
      if (this.#stopped || run === undefined) return
      const records = split([run.bytes], next, to)
      this.#verify(next, records)
      await this.#applyRecords(next, records)
    }
  }

  /** Records that come from the disk must be what was written; those from memory were verified when they came there. */
  #verify(from: Index, records: readonly Uint8Array[]): void {
    const seed = this.#checksumSeed()
    try {
      for (let at = 0; at < records.length; at++) verifyRecord(records[at]!, 0, seed, from + at)
    } catch (error) {
      if (!isRaftkitError(error, 'MALFORMED')) throw error
      throw new RaftkitError(
        'DAMAGED',
        'a record of the log is not what was written; wipe this node and add it again',
        { cause: error },
      )
    }
  }

  #applyRecords(from: Index, records: readonly Uint8Array[]): void | Promise<void> {
    if (from !== this.#index + 1)
      throw new RaftkitError('INVARIANT', `entry ${from} was handed out after entry ${this.#index}`)
    for (let at = 0; at < records.length; at += batchCommands) {
      const working = this.#applyBatch(records.slice(at, at + batchCommands))
      if (working) return working.then(() => this.#applyRest(records.slice(at + batchCommands)))
    }
  }

  async #applyRest(records: readonly Uint8Array[]): Promise<void> {
    if (records.length > 0 && !this.#stopped) await this.#applyRecords(this.#index + 1, records)
  }

  #applyBatch(records: readonly Uint8Array[]): void | Promise<void> {
    const began = this.#environment.now()
    const from = this.#index + 1
    const commands: Command[] = []
    let bytes = 0
    let term = this.#term
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!
      const { kind, index, time, seed, payload, ...of } = readRecord(record, 0)
      if (index !== from + i) throw new RaftkitError('INVARIANT', `entry ${index} stands where ${from + i} belongs`)
      bytes += record.length
      term = of.term
      if (kind === recordKind.command) commands.push({ index, time, seed, data: payload })
    }
    const last = from + records.length - 1
    const finish = (results: readonly Uint8Array[]): void => {
      this.#inside = false
      if (this.#stopped) return
      if (results.length !== commands.length)
        throw new RaftkitError(
          'MACHINE_MISMATCH',
          `apply returned ${results.length} results for ${commands.length} commands; return one for each`,
        )
      this.#index = last
      this.#term = term
      for (let i = 0; i < commands.length; i++) this.#settle(commands[i]!.index, results[i]!)
      this.#events.applied(from, last, bytes, this.#environment.now() - began)
    }
    if (commands.length === 0) return finish([])
    this.#inside = true
    const results = this.#machine.apply(commands)
    if ('then' in results) return results.then(finish)
    finish(results)
  }

  #settle(index: Index, result: Uint8Array): void {
    const waiter = this.#waiters.get(index)
    if (!waiter) return
    this.#waiters.delete(index)
    waiter.done({ index, result })
  }
}

/** The records of pieces of the log, each of which holds some end to end, `from` … `to` at most. */
function split(pieces: readonly Uint8Array[], from: Index, to: Index): Uint8Array[] {
  const records: Uint8Array[] = []
  for (const bytes of pieces) {
    for (let at = 0; at < bytes.length && from + records.length <= to; ) {
      const end = at + recordHeaderBytes <= bytes.length ? recordEnd(bytes, at) : Number.POSITIVE_INFINITY
      if (end < at + recordHeaderBytes || end > bytes.length)
        throw new RaftkitError('DAMAGED', `record ${from + records.length} of the log is cut short`)
      records.push(bytes.subarray(at, end))
      at = end
    }
  }
  if (records.length === 0) throw new RaftkitError('DAMAGED', `the log gave no record for ${from}, which is committed`)
  return records
}

function resultLost(index: Index): RaftkitError {
  return new RaftkitError(
    'UNKNOWN_OUTCOME',
    `it was committed at ${index}, but this node took a snapshot over and never saw its result; retry within a session to get it`,
    { outcome: 'unknown' },
  )
}
