import {
  plain,
  recordEnd,
  recordHeaderBytes,
  recordIndex,
  recordKind,
  recordKindAt,
  recordSeed,
  recordTerm,
  recordTime,
  verifyRecord,
} from '@raftkit/bytes'
import {
  type Command,
  type Effects,
  type Environment,
  type Index,
  isRaftkitError,
  type LogStore,
  RaftkitError,
  type Run,
  type SnapshotPoint,
  type StateMachine,
  type Term,
} from '@raftkit/contract'
import type { Answers } from './answers.ts'
import { failure } from './failure.ts'
import type { Ending } from './pending.ts'

/** Whoever awaits it is told. */
const ignored = (): void => {}

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
  /** Ascending by index. */
  #expected: Ending<Applied>[] = []
  #readers: { readonly index: Index; readonly run: () => void; readonly fail: (error: RaftkitError) => void }[] = []
  /** Where the machine is looked at as it is there, and not one entry later; ascending. */
  #stops: { readonly index: Index; readonly run: () => void; readonly fail: (error: RaftkitError) => void }[] = []
  /** The machine is inside `apply` or `restore`. */
  #inside = false
  /** A task is under way, though the machine may be between two batches. */
  #busy = false
  #stopped: RaftkitError | undefined
  #index: Index
  #term: Term
  #idle: (() => void)[] = []
  /** Kept for those who ask for a result again. */
  answers: Answers | undefined

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
    if (index <= this.#index) {
      const result = this.answers?.get(index)
      return result ? ending.done({ index, result }) : ending.fail(resultLost(index))
    }
    ending.index = index
    const expected = this.#expected
    let at = expected.length
    while (at > 0 && expected[at - 1]!.index > index) at--
    if (at === expected.length) expected.push(ending)
    else expected.splice(at, 0, ending)
  }

  apply({ from, to, records, clients }: NonNullable<Effects['apply']>): void {
    this.#add(() =>
      records ? this.#applyRecords(from, new Records(records, from, to, clients)) : this.#applyFromLog(from, to),
    )
  }

  /** `chunks` of the snapshot replace the machine's state, after what is being applied. */
  restore(snapshot: SnapshotPoint, load: () => Promise<void>, done: () => void): void {
    this.#add(async () => {
      this.#inside = true
      await load()
      this.#inside = false
      this.#index = snapshot.index
      this.#term = snapshot.term
      // Committed, but their results never passed through this replica.
      for (const ending of this.#expectedUpTo(snapshot.index)) ending.fail(resultLost(ending.index))
      this.#stop()
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
    if (index <= this.#index && !this.#inside) run()
    else this.#readers.push({ index, run, fail })
  }

  /** Runs once the machine has applied exactly `index`, before anything behind it; fails if that is past. */
  at(index: Index, run: () => void, fail: (error: RaftkitError) => void): void {
    if (this.#stopped) return fail(this.#stopped)
    if (index < this.#index) return fail(missed(index))
    if (index === this.#index && !this.#inside) return run()
    const at = this.#stops.findIndex((stop) => stop.index > index)
    this.#stops.splice(at < 0 ? this.#stops.length : at, 0, { index, run, fail })
  }

  /** Nothing is applied any more; who waits for a read is told. Resolves when the machine is left alone. */
  stop(error: RaftkitError): Promise<void> {
    this.#stopped ??= error
    this.#tasks.length = 0
    this.#expected = [] // their calls are settled by Pending
    for (const { fail } of [...this.#readers.splice(0), ...this.#stops.splice(0)]) fail(this.#stopped)
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

  #stop(): void {
    while (this.#stops[0] && this.#stops[0].index <= this.#index) {
      const { index, run, fail } = this.#stops.shift()!
      if (index === this.#index) run()
      else fail(missed(index))
    }
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
    let reading = this.#readLog(from, to)
    try {
      for (let next = from; next <= to; next = this.#index + 1) {
        const run = await reading
        if (this.#stopped || run === undefined) return
        // The disk is read while the machine works.
        if (next + run.count <= to) reading = this.#readLog(next + run.count, to)
        this.#verify(run.bytes, next, to)
        await this.#applyRecords(next, new Records([run.bytes], next, to))
      }
    } finally {
      await reading.catch(ignored)
    }
  }

  /** Undefined: a snapshot was installed over what was to be applied; it is restored next. */
  #readLog(from: Index, to: Index): Promise<Run | undefined> {
    const reading = this.#log.read(from, to, readBytes).catch((error) => {
      if (isRaftkitError(error, 'COMPACTED')) return undefined
      throw error
    })
    reading.catch(ignored)
    return reading
  }

  /** Records that come from the disk must be what was written; those from memory were verified when they came there. */
  #verify(bytes: Uint8Array, from: Index, to: Index): void {
    const seed = this.#checksumSeed()
    try {
      for (let index = from, at = 0; index <= to && at < bytes.length; index++)
        at = verifyRecord(bytes, at, seed, index)
    } catch (error) {
      if (!isRaftkitError(error, 'MALFORMED')) throw error
      throw new RaftkitError(
        'DAMAGED',
        'a record of the log is not what was written; wipe this node and add it again',
        { cause: error },
      )
    }
  }

  #applyRecords(from: Index, records: Records): void | Promise<void> {
    if (from !== this.#index + 1)
      throw new RaftkitError('INVARIANT', `entry ${from} was handed out after entry ${this.#index}`)
    return this.#applyRest(records)
  }

  #applyRest(records: Records): void | Promise<void> {
    while (!records.ended && !this.#stopped) {
      const working = this.#applyBatch(records)
      if (working) return working.then(() => this.#applyRest(records))
    }
  }

  #applyBatch(records: Records): void | Promise<void> {
    const began = this.#environment.now()
    const from = this.#index + 1
    const commands: Command[] = []
    let bytes = 0
    let last = this.#index
    let term = this.#term
    const most = Math.min(batchCommands, (this.#stops[0]?.index ?? Number.POSITIVE_INFINITY) - this.#index)
    for (; !records.ended && last - this.#index < most; last++, records.next()) {
      const { piece, at, end } = records
      const index = recordIndex(piece, at)
      if (index !== last + 1) throw new RaftkitError('INVARIANT', `entry ${index} stands where ${last + 1} belongs`)
      bytes += end - at
      term = recordTerm(piece, at)
      if (recordKindAt(piece, at) !== recordKind.command) continue
      const data = piece.subarray(at + recordHeaderBytes, end)
      const command: Command = { index, time: recordTime(piece, at), seed: recordSeed(piece, at), data }
      const { client } = records
      commands.push(client === undefined ? command : { ...command, client })
    }
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
      if (this.answers) for (const [at, { index }] of commands.entries()) this.answers.add(index, results[at]!)
      let at = 0
      for (const ending of this.#expectedUpTo(last)) {
        while (at < commands.length && commands[at]!.index < ending.index) at++
        if (commands[at]?.index !== ending.index)
          throw new RaftkitError('INVARIANT', `entry ${ending.index} was proposed here, and is no command`)
        ending.done({ index: ending.index, result: results[at]! })
      }
      this.#stop()
      this.#events.applied(from, last, bytes, this.#environment.now() - began)
    }
    if (commands.length === 0) return finish([])
    this.#inside = true
    const results = this.#machine.apply(commands)
    if ('then' in results) return results.then(finish)
    finish(results)
  }

  /** Whoever waits for an entry up to `index` waits no more. */
  #expectedUpTo(index: Index): Ending<Applied>[] {
    let count = 0
    while (count < this.#expected.length && this.#expected[count]!.index <= index) count++
    return this.#expected.splice(0, count)
  }
}

/** Walks the records `from` … `to`, at most, of pieces of the log that each hold some end to end. Throws `DAMAGED` for one that is cut short, or if there is none. */
class Records {
  /** Where the current record stands: from `at` to `end` of `piece`. */
  piece: Uint8Array = new Uint8Array()
  at = 0
  end = 0
  readonly #pieces: readonly Uint8Array[]
  readonly #clients: readonly (Uint8Array | undefined)[] | undefined
  #next = 0
  readonly #from: Index
  #index: Index
  readonly #to: Index

  constructor(
    pieces: readonly Uint8Array[],
    from: Index,
    to: Index,
    clients?: readonly (Uint8Array | undefined)[] | undefined,
  ) {
    this.#pieces = pieces
    this.#clients = clients
    this.#from = from
    this.#index = from - 1
    this.#to = to
    this.next()
    if (this.ended) throw new RaftkitError('DAMAGED', `the log gave no record for ${from}, which is committed`)
  }

  get ended(): boolean {
    return this.end === 0
  }

  /** Whose key signed the current record. */
  get client(): Uint8Array | undefined {
    return this.#clients?.[this.#index - this.#from]
  }

  next(): void {
    this.at = this.end
    while (this.at === this.piece.length && this.#next < this.#pieces.length) {
      this.piece = plain(this.#pieces[this.#next++]!)
      this.at = 0
    }
    this.end = 0
    if (this.at === this.piece.length || this.#index === this.#to) return
    this.#index++
    const room = this.piece.length - this.at
    const end = room < recordHeaderBytes ? 0 : recordEnd(this.piece, this.at)
    if (end < this.at + recordHeaderBytes || end > this.piece.length)
      throw new RaftkitError('DAMAGED', `record ${this.#index} of the log is cut short`)
    this.end = end
  }
}

const missed = (index: Index): RaftkitError =>
  new RaftkitError('INVARIANT', `the machine is past entry ${index}, as which it was to be written down`)

function resultLost(index: Index): RaftkitError {
  return new RaftkitError(
    'UNKNOWN_OUTCOME',
    `it was committed at ${index}, but this node took a snapshot over and never saw its result; retry within a session to get it`,
    { outcome: 'unknown' },
  )
}
