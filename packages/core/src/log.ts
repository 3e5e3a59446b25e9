import {
  type LogRecord,
  readRecord,
  recordKind,
  recordKindAt,
  recordLength,
  recordTerm,
  recordTime,
  verifyRecord,
  writeRecord,
} from '@raftkit/bytes'
import type { Config, Index, LogWrite, Term } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { decodeConfig } from './config-encoding.ts'

/** Records that lie end to end in one piece of memory. They never change; the open segment, always the last, takes more behind them. */
interface Segment {
  readonly first: Index
  /** May be longer than the records in it. */
  readonly bytes: Uint8Array
  /** Where each record ends in `bytes`. */
  readonly ends: number[]
}

const lengthOf = ({ ends }: Segment): number => ends[ends.length - 1]!
const lastOf = ({ first, ends }: Segment): Index => first + ends.length - 1

/** Segments begin small, since most logs of a model checker or of an idle group are, and double as they fill. */
const smallestSegment = 256
const largestSegment = 256 * 1024
/** A message's records of at least so many bytes stay where they came; fewer are copied behind each other, as a turn's proposals are. */
const largeRun = 16 * 1024

/** From `index` on, entries are of `term`, until the next run. */
interface TermRun {
  readonly index: Index
  readonly term: Term
}

export interface ConfigEntry {
  readonly index: Index
  readonly config: Config
}

/** Some records of the log, in pieces. */
export interface Slice {
  readonly count: number
  readonly byteLength: number
  readonly parts: readonly Uint8Array[]
}

/** Records that arrived or were loaded, checked: where each ends and what their terms and configurations are. */
export interface CheckedRun {
  readonly bytes: Uint8Array
  readonly first: Index
  readonly ends: number[]
}

/**
 * One server's log: terms and configurations of all of it, the records of its tail, and what the next write must say.
 * Invariant: `first - 1 ≤ last`; what is not yet handed to a write is always in `segments`.
 */
export class Log {
  first: Index = 1
  last: Index = 0
  /** Time stamp of the newest entry ever appended: stamps never go back. */
  lastTime = 0
  /** Seeds every record's checksum, so that a record of another cluster or group is damage. */
  checksumSeed = 0
  /** Configurations in the log, committed or not: in force when appended, gone when truncated (thesis §4.1). */
  configs: ConfigEntry[] = []
  cachedBytes = 0

  /** Term of `first - 1`; undefined when a restart found a compacted log and nobody wrote it down. */
  #baseTerm: Term | undefined = 0
  #runs: TermRun[] = []
  #segments: Segment[] = []
  /** The last segment takes more records. Never so in two logs at once: a fork seals. */
  #open = false
  /** In one turn, the disk, each peer and the machine mostly want the same records. */
  #latest: { readonly from: Index; readonly to: Index; readonly slice: Slice } | undefined
  /** Of the next segment that is opened. */
  #segmentBytes = smallestSegment

  /** The lowest index the next write has to say anew. */
  #unwritten: Index | undefined
  #reset = false
  #compactTo: Index | undefined

  get lastTerm(): Term {
    return this.termAt(this.last) ?? 0
  }

  /** Undefined where the log cannot say: above `last`, below `first - 1`, or at an unknown base. Never a made-up 0. */
  termAt(index: Index): Term | undefined {
    if (index === this.first - 1) return this.#baseTerm
    if (index < this.first || index > this.last) return undefined
    return this.#runs[this.#runAt(index)]!.term
  }

  /** The largest index up to `index` whose term is at most `term`: where two logs may still agree. 0 if there is none. */
  agreeUpTo(index: Index, term: Term): Index {
    const from = Math.min(index, this.last)
    if (from < this.first - 1) return from
    for (let at = from < this.first ? -1 : this.#runAt(from); at >= 0; at--) {
      const run = this.#runs[at]!
      if (run.term <= term) return at === this.#runs.length - 1 ? from : Math.min(from, this.#runs[at + 1]!.index - 1)
    }
    // The entry before the log may be of a later term, too: then they agree somewhere below it, if at all.
    return (this.#baseTerm ?? 0) <= term ? this.first - 1 : this.first - 2
  }

  /** Whether a log that ends with (index, term) is at least as up-to-date as this one (§5.4.1). */
  isUpToDate(lastIndex: Index, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.last)
  }

  /** The leader's own append. */
  append(record: Omit<LogRecord, 'index'>): Index {
    const index = this.last + 1
    const length = recordLength(record.payload.length)
    const segment = this.#segmentFor(length)
    const at = segment.ends.length === 0 ? 0 : lengthOf(segment)
    const { kind, term, time, seed, payload } = record
    segment.ends.push(writeRecord(segment.bytes, at, { kind, index, term, time, seed, payload }, this.checksumSeed))
    this.cachedBytes += length
    this.#unwritten ??= index
    this.#extend(index, term, time)
    if (kind === recordKind.config) this.configs.push({ index, config: decodeConfig(payload) })
    return index
  }

  /** Verifies records that came from disk or wire: length, checksum, index, and terms that do not go back. Throws MALFORMED or UNKNOWN_FORMAT. */
  check(bytes: Uint8Array, count: number, first: Index, previousTerm: Term, highestTerm: Term): CheckedRun {
    const ends: number[] = []
    let offset = 0
    let term = previousTerm
    for (let at = 0; at < count; at++) {
      const end = verifyRecord(bytes, offset, this.checksumSeed, first + at)
      const next = recordTerm(bytes, offset)
      if (next < term || next > highestTerm) {
        throw new RaftkitError('MALFORMED', `record ${first + at} has term ${next} between ${term} and ${highestTerm}`)
      }
      term = next
      ends.push(end)
      offset = end
    }
    if (offset !== bytes.length)
      throw new RaftkitError('MALFORMED', `${bytes.length - offset} bytes behind the last of ${count} records`)
    return { bytes, first, ends }
  }

  /** How many of the checked records, from the first on, are still the log's: read from the disk, they may be those of a suffix cut since. */
  sameTerms(run: CheckedRun): number {
    let same = 0
    for (let offset = 0; same < run.ends.length; offset = run.ends[same++]!) {
      if (this.termAt(run.first + same) !== recordTerm(run.bytes, offset)) break
    }
    return same
  }

  /** Appends the checked records from `from` on; `from` must be `last + 1`. `written`: they came from the disk. */
  adopt(run: CheckedRun, from: Index, written = false): void {
    if (from !== this.last + 1) throw new RaftkitError('INVARIANT', `append at ${from} behind ${this.last}`)
    const skipped = from - run.first
    if (skipped >= run.ends.length) return
    const start = skipped === 0 ? 0 : run.ends[skipped - 1]!
    for (let at = skipped, offset = start; at < run.ends.length; offset = run.ends[at++]!) {
      const index = run.first + at
      this.#extend(index, recordTerm(run.bytes, offset), recordTime(run.bytes, offset))
      if (recordKindAt(run.bytes, offset) === recordKind.config)
        this.configs.push({ index, config: decodeConfig(readRecord(run.bytes, offset).payload) })
    }
    const bytes = start === 0 ? run.bytes : run.bytes.subarray(start)
    this.cachedBytes += bytes.length
    if (bytes.length < largeRun) {
      const segment = this.#segmentFor(bytes.length, from)
      const moved = (segment.ends.length === 0 ? 0 : lengthOf(segment)) - start
      segment.bytes.set(bytes, moved + start)
      for (let at = skipped; at < run.ends.length; at++) segment.ends.push(run.ends[at]! + moved)
    } else {
      this.seal()
      const ends = start === 0 ? run.ends : run.ends.slice(skipped).map((end) => end - start)
      this.#segments.push({ first: from, bytes, ends })
    }
    if (!written) this.#unwritten ??= from
  }

  /** Removes `from` and all behind it. */
  truncate(from: Index): void {
    if (from > this.last) return
    if (from < this.first)
      throw new RaftkitError('INVARIANT', `truncation at ${from} below the first index ${this.first}`)
    this.seal()
    this.#latest = undefined
    while (this.#segments.length > 0) {
      const segment = this.#segments[this.#segments.length - 1]!
      if (lastOf(segment) < from) break
      this.#segments.pop()
      this.cachedBytes -= lengthOf(segment)
      const kept = from - segment.first
      if (kept > 0) {
        const ends = segment.ends.slice(0, kept)
        this.#segments.push({ first: segment.first, bytes: segment.bytes, ends })
        this.cachedBytes += ends[kept - 1]!
        break
      }
    }
    while (this.#runs.length > 0 && this.#runs[this.#runs.length - 1]!.index >= from) this.#runs.pop()
    while (this.configs.length > 0 && this.configs[this.configs.length - 1]!.index >= from) this.configs.pop()
    this.last = from - 1
    this.#unwritten = Math.min(this.#unwritten ?? from, from)
  }

  /** Forgets everything: the log goes on behind (index, term), which a snapshot holds. */
  reset(index: Index, term: Term): void {
    this.seal()
    this.#latest = undefined
    this.#segments = []
    this.#runs = []
    this.configs = []
    this.cachedBytes = 0
    this.first = index + 1
    this.last = index
    this.#baseTerm = term
    this.#unwritten = index + 1
    this.#reset = true
    this.#compactTo = undefined
  }

  /** Drops what a snapshot holds, up to `to`. */
  compact(to: Index): void {
    if (to < this.first) return
    const term = this.termAt(to)
    if (term === undefined) throw new RaftkitError('INVARIANT', `compaction to ${to} above the last index ${this.last}`)
    this.#baseTerm = term
    const run = to < this.last ? this.#runAt(to + 1) : this.#runs.length
    this.#runs = this.#runs.slice(run)
    if (this.#runs[0] !== undefined)
      this.#runs[0] = { index: Math.max(to + 1, this.#runs[0].index), term: this.#runs[0].term }
    this.configs = this.configs.filter((entry) => entry.index > to)
    this.first = to + 1
    this.evict(to, 0)
    if (!this.#reset) this.#compactTo = to
  }

  /** At a restart, before anything is loaded. */
  begin(first: Index, baseTerm: Term | undefined): void {
    this.first = first
    this.last = first - 1
    this.#baseTerm = baseTerm
  }

  /** Records from `from` on: about `maxBytes`, at least one. Undefined if they are not in memory. */
  slice(from: Index, to: Index, maxBytes: number): Slice | undefined {
    const latest = this.#latest
    if (latest !== undefined && latest.from === from && latest.to === to && latest.slice.byteLength <= maxBytes)
      return latest.slice
    const segments = this.#segments
    if (segments.length === 0 || from < segments[0]!.first || from > to || to > this.last) return undefined
    let low = 0
    for (let high = segments.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1
      if (segments[middle]!.first <= from) low = middle
      else high = middle - 1
    }
    const parts: Uint8Array[] = []
    let count = 0
    let byteLength = 0
    for (let index = from; low < segments.length && index <= to; low++) {
      const { first, bytes, ends } = segments[low]!
      const start = index === first ? 0 : ends[index - first - 1]!
      let stop = Math.min(ends.length - 1, to - first)
      while (stop >= index - first && byteLength + ends[stop]! - start > maxBytes) stop--
      if (stop < index - first) {
        if (count > 0) break
        stop = index - first // the first record goes whatever its size
      }
      const end = ends[stop]!
      parts.push(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
      byteLength += end - start
      count += stop - (index - first) + 1
      index = first + stop + 1
      if (stop < ends.length - 1) break
    }
    const slice = { count, byteLength, parts }
    if (from + count - 1 === to) this.#latest = { from, to, slice }
    return slice
  }

  /** The lowest index whose record is in memory; `last + 1` if none is. */
  get cachedFrom(): Index {
    return this.#segments[0]?.first ?? this.last + 1
  }

  /** Bytes of the cached records above `index`. */
  bytesAbove(index: Index): number {
    let bytes = 0
    for (let at = this.#segments.length - 1; at >= 0; at--) {
      const segment = this.#segments[at]!
      if (lastOf(segment) <= index) break
      bytes += lengthOf(segment) - (segment.first > index ? 0 : segment.ends[index - segment.first]!)
    }
    return bytes
  }

  /** Frees cached segments that end at or below `upTo`, oldest first, while more than `keepBytes` are held. */
  evict(upTo: Index, keepBytes: number): void {
    if (this.cachedBytes <= keepBytes) return
    const limit = Math.min(upTo, (this.#unwritten ?? this.last + 1) - 1)
    let gone = 0
    for (; gone < this.#segments.length && this.cachedBytes > keepBytes; gone++) {
      const segment = this.#segments[gone]!
      if (lastOf(segment) > limit) break
      this.cachedBytes -= lengthOf(segment)
    }
    if (gone > 0) {
      this.#segments.splice(0, gone)
      this.#latest = undefined
    }
    // The one that is to go next must not grow on.
    if (this.#segments.length === 0 || (this.#segments.length === 1 && this.cachedBytes > keepBytes)) this.seal()
  }

  /** What the next write has to say, `state` among it; afterwards, nothing is left to say. Undefined: nothing is. */
  takeWrite(state: Uint8Array | undefined): LogWrite | undefined {
    const at = this.#unwritten
    const compactTo = this.#compactTo
    if (at === undefined && compactTo === undefined && state === undefined) return undefined
    const change: { -readonly [K in keyof LogWrite]: LogWrite[K] } = {}
    if (at !== undefined) {
      const slice = this.slice(at, this.last, Number.POSITIVE_INFINITY)
      const run = { count: slice?.count ?? 0, bytes: joined(slice?.parts ?? []) }
      if (at + run.count !== this.last + 1)
        throw new RaftkitError('INVARIANT', `unwritten records from ${at} are not in memory`)
      change.tail = this.#reset ? { at, run, reset: true } : { at, run }
    }
    if (compactTo !== undefined) change.compactTo = compactTo
    if (state !== undefined) change.state = state
    this.#unwritten = undefined
    this.#compactTo = undefined
    this.#reset = false
    return change
  }

  /** No more records go into the last segment. */
  seal(): void {
    this.#open = false
    this.#segmentBytes = smallestSegment
  }

  fork(): Log {
    this.seal()
    const copy = new Log()
    copy.first = this.first
    copy.last = this.last
    copy.lastTime = this.lastTime
    copy.checksumSeed = this.checksumSeed
    copy.cachedBytes = this.cachedBytes
    copy.configs = this.configs.slice()
    copy.#baseTerm = this.#baseTerm
    copy.#runs = this.#runs.slice()
    copy.#segments = this.#segments.slice()
    copy.#unwritten = this.#unwritten
    copy.#reset = this.#reset
    copy.#compactTo = this.#compactTo
    return copy
  }

  /** Where the log stands against the disk, for the digest. */
  get unwritten(): { readonly at: Index | undefined; readonly reset: boolean; readonly compactTo: Index | undefined } {
    return { at: this.#unwritten, reset: this.#reset, compactTo: this.#compactTo }
  }

  #extend(index: Index, term: Term, time: number): void {
    const run = this.#runs[this.#runs.length - 1]
    if (run === undefined || run.term !== term) this.#runs.push({ index, term })
    this.last = index
    if (time > this.lastTime) this.lastTime = time
  }

  #runAt(index: Index): number {
    let low = 0
    for (let high = this.#runs.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1
      if (this.#runs[middle]!.index <= index) low = middle
      else high = middle - 1
    }
    return low
  }

  /** A segment with room for so many bytes of records from `first` on. */
  #segmentFor(length: number, first: Index = this.last + 1): Segment {
    if (this.#open) {
      const last = this.#segments[this.#segments.length - 1]!
      if (lengthOf(last) + length <= last.bytes.length) return last
      this.#segmentBytes = Math.min(this.#segmentBytes * 2, largestSegment)
    }
    const segment = { first, bytes: new Uint8Array(Math.max(length, this.#segmentBytes)), ends: [] }
    this.#segments.push(segment)
    this.#open = true
    return segment
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
