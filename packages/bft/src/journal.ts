import {
  encodeRecords,
  type LogRecord,
  Reader,
  type RecordKind,
  readRecord,
  recordKind,
  verifyRecord,
  Writer,
} from '@raftkit/bytes'
import { type Index, type LogWrite, RaftkitError, type Run } from '@raftkit/contract'
import { type Held, readHeld, writeHeld } from './base.ts'
import { type Entry, readEntry, writeEntry } from './entry.ts'
import type { Hash } from './hash.ts'
import { encodeState, type State } from './state.ts'

/** An entry that is kept, or a checkpoint of this member's own. `key`: of the line, for `compact`. */
export type Line =
  | { readonly type: 'entry'; readonly key: Hash; readonly entry: Entry }
  | { readonly type: 'held'; readonly key: Hash; readonly held: Held }

/**
 * The storage's log as a journal: a line for each thing that is kept, in the order in which it came, whatever branch it is on. A write holds
 * the new lines and all that the member has promised: after a crash both are there, or neither.
 */
export class Journal {
  readonly #seed: number
  #lines: Line[] = []
  /** Where each line is. */
  #places: Map<Hash, Index> = new Map()
  /** Of the next line to be written. */
  #at = 1
  /** Lines up to here may go, with the next write. */
  #compactTo = 0
  #compacted = 0
  #isDirty = true
  /** The last write that was issued. */
  issued = 0
  /** The last one that is on the disk. */
  durable = 0

  /** `seed`: ties the lines to their cluster and group. */
  constructor(seed: number) {
    this.#seed = seed
  }

  fork(): Journal {
    const copy = new Journal(this.#seed)
    copy.#lines = [...this.#lines]
    copy.#places = new Map(this.#places)
    copy.#at = this.#at
    copy.#compactTo = this.#compactTo
    copy.#compacted = this.#compacted
    copy.#isDirty = this.#isDirty
    copy.issued = this.issued
    copy.durable = this.durable
    return copy
  }

  /** These lines are on the disk already, from `first` on. */
  resume(first: Index, lines: readonly Line[]): void {
    this.#at = first
    this.#compactTo = first - 1
    this.#compacted = first - 1
    for (const { key } of lines) this.#places.set(key, this.#at++)
  }

  add(line: Line): void {
    this.#places.set(line.key, this.#at + this.#lines.length)
    this.#lines.push(line)
  }

  /** What the member has promised is another by now. */
  touch(): void {
    this.#isDirty = true
  }

  /** Lines other than these are of no use any more: those before the first of these may go. */
  compact(kept: Iterable<Hash>): void {
    const places = new Map<Hash, Index>()
    let first = this.#at + this.#lines.length
    for (const key of kept) {
      const place = this.#places.get(key)
      if (place === undefined) continue
      places.set(key, place)
      first = Math.min(first, place)
    }
    this.#places = places
    this.#compactTo = Math.max(this.#compactTo, first - 1)
    this.#isDirty = true
  }

  write(state: State): { readonly id: number; readonly change: LogWrite } | undefined {
    if (!this.#isDirty && this.#lines.length === 0) return undefined
    this.#isDirty = false
    const at = this.#at
    const records = this.#lines.map((line, more) => recordOf(line, at + more))
    this.#at += records.length
    this.#lines = []
    const tail = { at, run: { count: records.length, bytes: encodeRecords(records, this.#seed) } }
    const compactTo = Math.min(this.#compactTo, this.#at - 1)
    const isCompacting = compactTo > this.#compacted
    this.#compacted = Math.max(compactTo, this.#compacted)
    const change = {
      state: encodeState(state),
      ...(records.length > 0 && { tail }),
      ...(isCompacting && { compactTo }),
    }
    return { id: ++this.issued, change }
  }
}

function recordOf(line: Line, index: Index): LogRecord {
  if (line.type === 'held') {
    const { snapshot } = line.held
    const payload = writeHeld(new Writer(1024), line.held).finish()
    return { kind: recordKind.config, index, term: snapshot.term, time: 0, seed: 0, payload }
  }
  const { header } = line.entry
  const payload = writeEntry(new Writer(1024), line.entry).finish()
  return { kind: recordKind.command, index, term: header.term, time: header.time, seed: 0, payload }
}

/** What stands in the journal from line `first` on. Throws `MALFORMED` for anything but what was written. */
export function readJournal(seed: number, hashOf: (entry: Entry) => Hash, first: Index, { bytes, count }: Run): Line[] {
  const lines: Line[] = []
  let at = 0
  for (let line = first; line < first + count; line++) {
    if (at >= bytes.length) throw new RaftkitError('MALFORMED', `line ${line} of the journal is missing`)
    const end = verifyRecord(bytes, at, seed, line)
    const { kind, payload } = readRecord(bytes, at)
    lines.push(readLine(kind, new Reader(payload), hashOf))
    at = end
  }
  return lines
}

function readLine(kind: RecordKind, reader: Reader, hashOf: (entry: Entry) => Hash): Line {
  if (kind === recordKind.config) {
    const held = readHeld(reader)
    reader.end()
    return { type: 'held', key: held.checkpoint.root, held }
  }
  const entry = readEntry(reader)
  reader.end()
  return { type: 'entry', key: hashOf(entry), entry }
}
