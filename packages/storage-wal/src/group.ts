import type { GroupId, Index } from '@raftkit/contract'
import { frameHeadBytes, itemHeadBytes, pieceBytes } from './layout.ts'
import type { Segment, Segments } from './segment.ts'

/** Records that were handed over and are not durable yet. Small runs that follow each other become one, until a frame takes it. */
export class Piece {
  readonly at: Index
  count = 0
  bytes = 0
  /** Told by the frame that takes it. */
  crc = 0
  readonly chunks: Uint8Array[] = []
  /** Where it is written; undefined until that is known. */
  place: number | undefined
  /** A frame has taken it. */
  taken = false
  /** A later write has cut it away. */
  dropped = false

  constructor(at: Index) {
    this.at = at
  }

  add(count: number, bytes: Uint8Array): void {
    this.count += count
    this.bytes += bytes.length
    this.chunks.push(bytes)
  }

  whole(): Uint8Array {
    return this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks)
  }
}

/** The checksum of a piece that was found altered. */
export const altered = -1

/**
 * What one group is, as the writes issued so far add up to, and where its records stand. An entry per piece, not per record: piece i holds the
 * records from `at[i]` up to the next piece or `last`, without a gap; the durable ones come first, then the `fresh`.
 */
export class Group {
  readonly name: GroupId
  first: Index = 1
  last: Index = 0
  state: Uint8Array | undefined
  readonly at: Index[] = []
  readonly count: number[] = []
  readonly place: number[] = []
  readonly bytes: number[] = []
  readonly crc: number[] = []
  readonly fresh: Piece[] = []
  /** Waits for the next frame. */
  dirty = false
  stateDirty = false
  /** Which segments hold its state and its newest item. */
  #stateIn: Segment | undefined
  #itemIn: Segment | undefined
  readonly #segments: Segments
  /** What a frame with nothing but one piece of this group takes besides the records. */
  readonly #overhead: number
  #toldBytes = 0

  constructor(name: GroupId, segments: Segments) {
    this.name = name
    this.#segments = segments
    this.#overhead = frameHeadBytes + itemHeadBytes + name.length + pieceBytes
  }

  /** From `at` on there is nothing any more. */
  cutFrom(at: Index): void {
    for (let piece = this.fresh.at(-1); piece && piece.at >= at; piece = this.fresh.at(-1)) {
      piece.dropped = true
      if (piece.place !== undefined) this.#segments.at(piece.place).needed--
      this.fresh.pop()
    }
    let keep = this.at.length
    while (keep > 0 && this.at[keep - 1]! >= at) keep--
    this.#drop(keep, this.at.length - keep)
  }

  /** Pieces that hold nothing from `first` on are needed no more. */
  dropBelow(): void {
    const { at, fresh, first, last } = this
    const none = first > last
    const beginAfter = (i: number): Index => at[i + 1] ?? fresh[0]?.at ?? last + 1
    let gone = none ? at.length : 0
    while (gone < at.length && beginAfter(gone) <= first) gone++
    this.#drop(0, gone)
    while (at.length === 0 && fresh.length > 0 && (none || (fresh[1]?.at ?? last + 1) <= first)) {
      const piece = fresh.shift()!
      piece.dropped = true
      if (piece.place !== undefined) this.#segments.at(piece.place).needed--
    }
  }

  #drop(from: number, count: number): void {
    if (count === 0) return
    for (let i = from; i < from + count; i++) {
      this.#segments.at(this.place[i]!).needed--
      this.#segments.live -= this.bytes[i]! + this.#overhead
    }
    for (const list of [this.at, this.count, this.place, this.bytes, this.crc]) list.splice(from, count)
  }

  /** Records that a frame has brought, at the end. */
  push(at: Index, count: number, bytes: number, crc: number, place: number): void {
    this.at.push(at)
    this.count.push(count)
    this.bytes.push(bytes)
    this.crc.push(crc)
    this.place.push(place)
    this.#segments.at(place).needed++
    this.#segments.live += bytes + this.#overhead
  }

  /** The same records stand somewhere else, too: the piece that begins there, or one that was known only in a segment that has gone. */
  move(at: Index, count: number, bytes: number, crc: number, place: number): void {
    const i = this.indexOf(at)
    if (this.at[i] === at) this.#drop(i, 1)
    const rest = [at, count, place, bytes, crc]
    for (const [n, list] of [this.at, this.count, this.place, this.bytes, this.crc].entries())
      list.splice(i, 0, rest[n]!)
    this.#segments.at(place).needed++
    this.#segments.live += bytes + this.#overhead
  }

  /** A frame that held the piece is durable. */
  settle(piece: Piece): void {
    if (piece.dropped) return
    this.fresh.shift()
    // It was counted when the frame took it.
    this.#segments.at(piece.place!).needed--
    this.push(piece.at, piece.count, piece.bytes, piece.crc, piece.place!)
  }

  /** All that is not in a frame yet, for the next one. */
  takeFresh(): readonly Piece[] {
    for (const piece of this.fresh) piece.taken = true
    return [...this.fresh]
  }

  /** The next frame tells of it, and of its state, instead of an older one. */
  untold(withState: boolean): void {
    if (this.#itemIn) this.#itemIn.needed--
    this.#itemIn = undefined
    if (!withState) return
    if (this.#stateIn) this.#stateIn.needed--
    this.#stateIn = undefined
  }

  /** A frame in this segment does. */
  told(segment: Segment, withState: boolean): void {
    this.#itemIn = segment
    segment.needed++
    if (withState) {
      this.#stateIn = segment
      segment.needed++
    }
    const bytes = this.#overhead + (this.state?.length ?? 0)
    this.#segments.live += bytes - this.#toldBytes
    this.#toldBytes = bytes
  }

  /** It is destroyed. */
  forget(): void {
    this.cutFrom(0)
    this.untold(true)
    this.#segments.live -= this.#toldBytes
    this.#toldBytes = 0
  }

  stateIsIn(segment: Segment): boolean {
    return this.#stateIn === segment
  }

  needs(segment: Segment): boolean {
    const end = segment.base + segment.end
    return (
      this.#itemIn === segment ||
      this.#stateIn === segment ||
      this.place.some((place) => place >= segment.base && place < end)
    )
  }

  /** Whether the durable piece that begins at `at` stands in this place. */
  isAt(at: Index, place: number): boolean {
    const i = this.indexOf(at)
    return this.at[i] === at && this.place[i] === place
  }

  /** The first piece that begins at `index` or behind it. */
  indexOf(index: Index): number {
    let low = 0
    let high = this.at.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.at[middle]! < index) low = middle + 1
      else high = middle
    }
    return low
  }

  /** What of the durable pieces is missing or altered, in words; undefined for a whole log. */
  defect(): string | undefined {
    const { at, count, crc, first, last } = this
    let next = first
    for (let i = 0; i < at.length && next <= last; i++) {
      if (at[i]! > next) break
      if (crc[i] === altered) return `the records from ${at[i]} on are altered`
      next = Math.max(next, at[i]! + count[i]!)
    }
    return next <= last ? `the records from ${next} to ${last} are gone` : undefined
  }
}
