import {
  type Found,
  type Index,
  isRaftkitError,
  type LogStore,
  type LogWrite,
  RaftkitError,
  type Run,
} from '@raftkit/contract'
import { closed, failed, groupDamaged } from './failure.ts'
import type { Flusher } from './flusher.ts'
import { type Group, Piece } from './group.ts'
import { pieceTarget } from './layout.ts'
import { type Place, readPieces } from './pieces.ts'
import { cut, slice } from './run.ts'
import type { Segments } from './segment.ts'

/** One group's log, for its owner: checks what is asked for. What the writes add up to is in the group; what of it is durable, the flusher knows. */
export class WalLog implements LogStore {
  readonly found: Found
  readonly #group: Group
  readonly #segments: Segments
  readonly #flusher: Flusher
  readonly #release: () => void
  #failed: RaftkitError | undefined
  #closing: Promise<void> | undefined

  constructor(group: Group, segments: Segments, flusher: Flusher, release: () => void) {
    const { first, last, state } = group
    this.found = { first, last, ...(state && { state }) }
    this.#group = group
    this.#segments = segments
    this.#flusher = flusher
    this.#release = release
  }

  write(change: LogWrite): Promise<void> {
    if (this.#closing) return Promise.reject(this.#closedError())
    this.#failed ??= this.#flusher.failed
    if (!this.#failed) {
      try {
        const pieces = this.#check(change)
        this.#issue(change, pieces)
        return this.#flusher.submit(this.#group)
      } catch (error) {
        // What the caller writes next assumes that this one was carried out.
        this.#failed = error as RaftkitError
      }
    }
    const failure = this.#failed
    const reject = (): never => {
      throw failure
    }
    return this.#flusher.settled().then(reject, reject)
  }

  async read(from: Index, to: Index, maxBytes: number): Promise<Run> {
    if (this.#closing) throw this.#closedError()
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to || !(maxBytes > 0))
      throw new RaftkitError('INVALID_OPTION', `cannot read ${maxBytes} bytes of the records ${from} to ${to}`)
    const { first, last, name } = this.#group
    if (from < first) throw new RaftkitError('COMPACTED', `record ${from} is gone; the log begins at ${first}`)
    if (to > last) throw new RaftkitError('MISSING', `the log ends at ${last}; there is no record ${to}`)

    // All that is needed of the group is taken now: writes that are issued while the disk is read change it.
    const { durable, fresh } = this.#overlapping(from, to, maxBytes)
    const gathered = new Gathering(from, maxBytes)
    let i = 0
    try {
      if (durable.length > 0)
        for await (const records of readPieces(this.#segments, durable)) {
          const { at, end } = durable[i++]!
          if (!records) throw groupDamaged(name, `the records from ${at} on are gone or altered`)
          gathered.add(at, Math.min(end, to + 1), records)
          if (gathered.full) break
        }
    } catch (error) {
      throw isRaftkitError(error) ? error : failed(`could not read the log of ${name}`, error)
    }
    for (const { at, end, records } of fresh) {
      if (gathered.full) break
      gathered.add(at, Math.min(end, to + 1), records)
    }
    return gathered.run()
  }

  close(): Promise<void> {
    this.#closing ??= this.#flusher
      .settled()
      .catch(() => undefined)
      .then(this.#release)
    return this.#closing
  }

  /** Pieces with records from `from` on: as many as hold `maxBytes` of them, or up to `to`. `end`: where the next one begins. */
  #overlapping(from: Index, to: Index, maxBytes: number) {
    const { at, place, bytes, crc, fresh, last } = this.#group
    const durable: (Place & { at: Index; end: Index })[] = []
    const beginOfFresh = fresh[0]?.at ?? last + 1
    let held = 0
    for (
      let i = Math.max(0, this.#group.indexOf(from + 1) - 1);
      i < at.length && at[i]! <= to && held < maxBytes;
      i++
    ) {
      const end = at[i + 1] ?? beginOfFresh
      if (end <= from) continue
      durable.push({ at: at[i]!, end, place: place[i]!, bytes: bytes[i]!, crc: crc[i]! })
      // Of the first one a part may be skipped, any part.
      if (durable.length > 1) held += bytes[i]!
    }
    const pending: { at: Index; end: Index; records: Uint8Array }[] = []
    for (const [i, piece] of fresh.entries()) {
      const end = fresh[i + 1]?.at ?? last + 1
      if (end <= from) continue
      if (piece.at > to || held >= maxBytes) break
      pending.push({ at: piece.at, end, records: piece.whole() })
      if (durable.length + pending.length > 1) held += piece.bytes
    }
    return { durable, fresh: pending }
  }

  /** Throws before anything is changed. */
  #check({ tail, compactTo, state }: LogWrite): readonly Run[] {
    const { first, last: before } = this.#group
    let last = before
    let pieces: readonly Run[] = []
    if (tail) {
      const { at, run, reset = false } = tail
      if (!Number.isSafeInteger(at) || at < (reset ? 1 : first) || (!reset && at > last + 1))
        throw new RaftkitError('INVALID_OPTION', `a run at ${at} does not continue a log from ${first} to ${last}`)
      pieces = cut(run)
      last = at + run.count - 1
      if (!Number.isSafeInteger(last)) throw new RaftkitError('INVALID_OPTION', `a log cannot reach ${last}`)
    }
    if (compactTo !== undefined && !(Number.isSafeInteger(compactTo) && compactTo >= 0 && compactTo <= last))
      throw new RaftkitError('INVALID_OPTION', `cannot compact to ${compactTo}: the log ends at ${last}`)
    if (state !== undefined && !(state instanceof Uint8Array))
      throw new RaftkitError('INVALID_OPTION', 'the state is not a Uint8Array')
    return pieces
  }

  #issue({ tail, compactTo, state }: LogWrite, runs: readonly Run[]): void {
    const group = this.#group
    if (tail) {
      if (tail.reset) group.cutFrom(0)
      else if (tail.at <= group.last) group.cutFrom(tail.at)
      if (tail.reset) group.first = tail.at
      let { at } = tail
      for (const { count, bytes } of runs) {
        const open = group.fresh.at(-1)
        // A piece that ends where this run begins, and waits: it takes the run, too.
        if (open && !open.taken && open.at + open.count === at && open.bytes + bytes.length <= pieceTarget)
          open.add(count, bytes)
        else {
          const piece = new Piece(at)
          piece.add(count, bytes)
          group.fresh.push(piece)
        }
        at += count
      }
      group.last = at - 1
    }
    if (compactTo !== undefined && compactTo >= group.first) {
      group.first = compactTo + 1
      group.dropBelow()
    }
    if (state !== undefined) {
      // Kept for long, and often a small view of a large buffer.
      group.state = new Uint8Array(state)
      group.stateDirty = true
    }
  }

  #closedError(): RaftkitError {
    return closed(`the log of ${this.#group.name}`)
  }
}

/** Puts together what a read returns, piece by piece. */
class Gathering {
  readonly #from: Index
  readonly #maxBytes: number
  readonly #parts: Uint8Array[] = []
  #count = 0
  #size = 0

  constructor(from: Index, maxBytes: number) {
    this.#from = from
    this.#maxBytes = maxBytes
  }

  get full(): boolean {
    return this.#size >= this.#maxBytes
  }

  /** The piece holds the records from `at` up to, and without, `end`. */
  add(at: Index, end: Index, records: Uint8Array): void {
    const next = this.#from + this.#count
    const part = slice(records, next - at, end - next, this.#maxBytes - this.#size)
    this.#parts.push(part.bytes)
    this.#count += part.count
    this.#size += part.bytes.length
  }

  run(): Run {
    return { count: this.#count, bytes: this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts) }
  }
}
