import {
  type Found,
  type GroupId,
  type Index,
  isRaftkitError,
  type LogStore,
  type LogWrite,
  RaftkitError,
  type Run,
} from '@raftkit/contract'
import type { Database, Operation } from './database.ts'
import { failed, groupDamaged, isDamage } from './failure.ts'
import type { Flusher } from './flusher.ts'
import {
  decodePiece,
  encodePiece,
  encodeState,
  type Head,
  type Piece,
  pieceKey,
  placeOf,
  type Range,
  stateKey,
} from './layout.ts'
import { cut, slice } from './run.ts'

/** Where the pieces of a log begin, and the stamps of the writes that made them; both ascend. */
export interface Places {
  readonly at: Index[]
  readonly stamps: number[]
}

/** Pieces looked at by one read. */
const piecesPerRead = 1024

/**
 * One group's log. The fields say what the writes issued so far add up to; which of them are durable, the flusher knows.
 * Invariant: piece i holds the records from `at[i]` up to the next piece or `last`, without a gap.
 */
export class LevelLog implements LogStore {
  readonly found: Found
  readonly #group: GroupId
  readonly #database: Database
  readonly #flusher: Flusher
  readonly #release: () => void
  readonly #at: Index[]
  readonly #stamps: number[]
  /** Pieces of writes that are not durable yet, by place. */
  readonly #pending = new Map<Index, Piece>()
  #head: Head | undefined
  #first: Index
  #last: Index
  /** Pieces of this epoch below here are swept. */
  #swept: Index = 0
  #tail: Promise<void> = Promise.resolve()
  #failed: RaftkitError | undefined
  #closed = false

  constructor(
    group: GroupId,
    database: Database,
    flusher: Flusher,
    found: Found,
    head: Head | undefined,
    places: Places,
    release: () => void,
  ) {
    this.#group = group
    this.#database = database
    this.#flusher = flusher
    this.found = found
    this.#head = head
    this.#first = found.first
    this.#last = found.last
    this.#at = places.at
    this.#stamps = places.stamps
    this.#release = release
  }

  write(change: LogWrite): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closedError())
    this.#failed ??= this.#flusher.failed
    if (!this.#failed) {
      try {
        const pieces = this.#check(change)
        const done = this.#issue(change, pieces)
        this.#tail = done.catch(() => undefined)
        return done
      } catch (error) {
        // What the caller writes next assumes that this one was carried out.
        this.#failed = error as RaftkitError
      }
    }
    const failure = this.#failed
    return this.#tail.then(() => {
      throw failure
    })
  }

  async read(from: Index, to: Index, maxBytes: number): Promise<Run> {
    if (this.#closed) throw this.#closedError()
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to || !(maxBytes > 0))
      throw new RaftkitError('INVALID_OPTION', `cannot read ${maxBytes} bytes of the records ${from} to ${to}`)
    if (from < this.#first)
      throw new RaftkitError('COMPACTED', `record ${from} is gone; the log begins at ${this.#first}`)
    if (to > this.#last) throw new RaftkitError('MISSING', `the log ends at ${this.#last}; there is no record ${to}`)

    // All that is needed of the fields is taken now: writes that are issued while the disk is read change them.
    const begin = upTo(this.#at, from) - 1
    const end = Math.min(upTo(this.#at, to), begin + piecesPerRead)
    const places = this.#at.slice(begin, end)
    const stamps = this.#stamps.slice(begin, end)
    const limit = Math.min(to + 1, this.#at[end] ?? this.#last + 1)
    const durable = stamps.findIndex((stamp) => stamp > this.#flusher.durable)

    const gathered = new Gathering(from, maxBytes)
    if (durable === 0) {
      for (const [i, place] of places.entries()) {
        if (gathered.full || stamps[i]! <= this.#flusher.durable) break
        gathered.add(place, places[i + 1] ?? limit, this.#pending.get(place)!)
      }
    } else {
      const held = durable < 0 ? places : places.slice(0, durable)
      await this.#gather(gathered, held, stamps, places[held.length] ?? limit)
    }
    return gathered.run()
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      void this.#tail.then(this.#release)
    }
    await this.#tail
  }

  /** Throws before anything is changed. */
  #check({ tail, compactTo, state }: LogWrite): readonly Run[] {
    let last = this.#last
    let pieces: readonly Run[] = []
    if (tail) {
      const { at, run, reset = false } = tail
      if (!Number.isSafeInteger(at) || at < (reset ? 1 : this.#first) || (!reset && at > last + 1))
        throw new RaftkitError(
          'INVALID_OPTION',
          `a run at ${at} does not continue a log from ${this.#first} to ${last}`,
        )
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

  #issue({ tail, compactTo, state }: LogWrite, runs: readonly Run[]): Promise<void> {
    const stamp = this.#flusher.begin()
    const before = this.#head
    const operations: Operation[] = []
    let epoch = before?.epoch ?? stamp
    let garbage: Range | undefined

    if (tail?.reset) {
      garbage = { gte: pieceKey(this.#group, epoch, this.#swept), lt: pieceKey(this.#group, stamp, 0) }
      epoch = stamp
      this.#swept = 0
      this.#first = tail.at
      this.#at.length = this.#stamps.length = 0
    } else if (tail) {
      for (let at = this.#at.at(-1); at !== undefined && at >= tail.at; at = this.#at.at(-1)) {
        operations.push({ type: 'del', key: pieceKey(this.#group, epoch, at) })
        this.#at.pop()
        this.#stamps.pop()
      }
    }
    const places: Index[] = []
    if (tail) {
      let at = tail.at
      for (const { count, bytes } of runs) {
        const key = pieceKey(this.#group, epoch, at)
        const piece = {
          stamp,
          previousAt: this.#at.at(-1) ?? 0,
          previousStamp: this.#stamps.at(-1) ?? 0,
          count,
          records: bytes,
        }
        operations.push({ type: 'put', key, value: encodePiece(key, piece) })
        this.#pending.set(at, piece)
        this.#at.push(at)
        this.#stamps.push(stamp)
        places.push(at)
        at += count
      }
      this.#last = at - 1
    }
    if (compactTo !== undefined && compactTo >= this.#first) {
      this.#first = compactTo + 1
      const drop = this.#first > this.#last ? this.#at.length : upTo(this.#at, this.#first) - 1
      this.#at.splice(0, drop)
      this.#stamps.splice(0, drop)
      if (drop > 0) {
        const lt = pieceKey(this.#group, epoch, this.#at[0] ?? this.#first)
        garbage = { gte: garbage?.gte ?? pieceKey(this.#group, epoch, this.#swept), lt }
        this.#swept = this.#at[0] ?? this.#first
      }
    }
    if (state !== undefined)
      operations.push({ type: 'put', key: stateKey(this.#group), value: encodeState(this.#group, stamp, state) })

    this.#head = {
      writes: (before?.writes ?? 0) + 1,
      epoch,
      first: this.#first,
      last: this.#last,
      pieceAt: this.#at.at(-1) ?? 0,
      pieceStamp: this.#stamps.at(-1) ?? 0,
      stateStamp: state === undefined ? (before?.stateStamp ?? 0) : stamp,
    }
    const change = { group: this.#group, stamp, operations, head: this.#head, ...(garbage && { garbage }) }
    return this.#flusher.submit(change).then(() => {
      for (const at of places) if (this.#pending.get(at)?.stamp === stamp) this.#pending.delete(at)
    })
  }

  async #gather(gathered: Gathering, places: readonly Index[], stamps: readonly number[], limit: Index): Promise<void> {
    const epoch = this.#head!.epoch
    const key = (at: Index): Uint8Array => pieceKey(this.#group, epoch, at)
    try {
      await this.#database.read(async (level) => {
        const iterator = level.iterator({
          gte: key(places[0]!),
          lte: key(places.at(-1)!),
          highWaterMarkBytes: Math.min(gathered.maxBytes, 16_777_216),
          fillCache: false,
        })
        try {
          for (let i = 0; i < places.length && !gathered.full; ) {
            const entries = await iterator.nextv(places.length - i)
            if (entries.length === 0) throw groupDamaged(this.#group, `the records from ${places[i]} on are gone`)
            for (const [entryKey, value] of entries) {
              if (gathered.full) break
              const piece = decodePiece(entryKey, value)
              if (!piece || placeOf(entryKey) !== places[i] || piece.stamp !== stamps[i])
                throw groupDamaged(this.#group, `the records from ${places[i]} on are gone or altered`)
              gathered.add(places[i]!, places[i + 1] ?? limit, piece)
              i++
            }
          }
        } finally {
          await iterator.close()
        }
      })
    } catch (error) {
      if (gathered.empty && places[0]! < this.#first && gathered.from < this.#first)
        throw new RaftkitError('COMPACTED', `record ${gathered.from} is gone; the log begins at ${this.#first}`)
      if (!isRaftkitError(error) && isDamage(error))
        throw groupDamaged(this.#group, `the records from ${places[0]} on cannot be read`, error)
      throw failed(`could not read the log of ${this.#group}`, error)
    }
  }

  #closedError(): RaftkitError {
    return new RaftkitError('CLOSED', `the log of ${this.#group} was closed; open it again`)
  }
}

/** Puts together what a read returns, piece by piece. */
class Gathering {
  readonly from: Index
  readonly maxBytes: number
  readonly #parts: Uint8Array[] = []
  #count = 0
  #size = 0

  constructor(from: Index, maxBytes: number) {
    this.from = from
    this.maxBytes = maxBytes
  }

  get empty(): boolean {
    return this.#count === 0
  }

  get full(): boolean {
    return this.#size >= this.maxBytes
  }

  /** The piece holds the records from `at` up to, and without, `end`. */
  add(at: Index, end: Index, { records }: Piece): void {
    const next = this.from + this.#count
    const part = slice(records, next - at, end - next, this.maxBytes - this.#size)
    this.#parts.push(part.bytes)
    this.#count += part.count
    this.#size += part.bytes.length
  }

  run(): Run {
    return { count: this.#count, bytes: this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts) }
  }
}

/** How many of the ascending `places` are at most `index`. */
function upTo(places: readonly Index[], index: Index): number {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (places[middle]! <= index) low = middle + 1
    else high = middle
  }
  return low
}
