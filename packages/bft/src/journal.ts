import { encodeRecords, Reader, readRecord, recordKind, verifyRecord, Writer } from '@raftkit/bytes'
import { type LogWrite, RaftkitError, type Run } from '@raftkit/contract'
import { type Entry, readEntry, writeEntry } from './entry.ts'
import { encodeState, type State } from './state.ts'

/**
 * The storage's log as a journal: a line for each entry that is kept, in the order in which it came, whatever branch it is on. A write holds
 * the new lines and all that the member has promised: after a crash both are there, or neither.
 */
export class Journal {
  readonly #seed: number
  #lines: Entry[] = []
  /** Of the next line. */
  #at = 1
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
    copy.#at = this.#at
    copy.#isDirty = this.#isDirty
    copy.issued = this.issued
    copy.durable = this.durable
    return copy
  }

  /** So many lines are on the disk already. */
  resume(lines: number): void {
    this.#at += lines
  }

  add(entry: Entry): void {
    this.#lines.push(entry)
  }

  /** What the member has promised is another by now. */
  touch(): void {
    this.#isDirty = true
  }

  write(state: State): { readonly id: number; readonly change: LogWrite } | undefined {
    if (!this.#isDirty && this.#lines.length === 0) return undefined
    this.#isDirty = false
    const change = { state: encodeState(state) }
    if (this.#lines.length === 0) return { id: ++this.issued, change }
    const at = this.#at
    const records = this.#lines.map((entry, line) => ({
      kind: recordKind.command,
      index: at + line,
      term: entry.header.term,
      time: entry.header.time,
      seed: 0,
      payload: writeEntry(new Writer(1024), entry).finish(),
    }))
    this.#at += records.length
    this.#lines = []
    const tail = { at, run: { count: records.length, bytes: encodeRecords(records, this.#seed) } }
    return { id: ++this.issued, change: { ...change, tail } }
  }
}

/** Throws `MALFORMED` for anything but what was written. */
export function readJournal(seed: number, { bytes, count }: Run): Entry[] {
  const entries: Entry[] = []
  let at = 0
  for (let line = 1; line <= count; line++) {
    if (at >= bytes.length) throw new RaftkitError('MALFORMED', `line ${line} of the journal is missing`)
    const end = verifyRecord(bytes, at, seed, line)
    const reader = new Reader(readRecord(bytes, at).payload)
    entries.push(readEntry(reader))
    reader.end()
    at = end
  }
  return entries
}
