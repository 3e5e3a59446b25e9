import { checksumSeed, readRecord, recordEnd, recordKind, verifyRecord } from '@raftkit/bytes'
import type { Config, Index, Term } from '@raftkit/contract'
import { configOf } from './encoding.ts'

/** One entry as some server wrote it. Two servers that hold the same entry hold the same object: `Entries` sees to it. */
export interface Entry {
  readonly index: Index
  readonly term: Term
  readonly kind: number
  readonly time: number
  readonly seed: number
  readonly payload: Uint8Array
  /** The record's own checksum: what stands in the entry, in 32 bits. */
  readonly checksum: number
  /** Term of the entry before it, -1 where the first server to write it did not know. */
  previous: Term
  /** Of an entry that is one. */
  readonly config: Config | undefined
}

/** A record that cannot be what it should be. */
export interface Unreadable {
  readonly index: Index
  readonly reason: string
}

/** Two entries of one index and one term that are not the same, or do not follow the same. */
export interface Clash {
  readonly entry: Entry
  readonly other: Entry
}

/** Every entry that any server ever wrote, once. */
export class Entries {
  readonly #byIndex: Entry[][] = []
  readonly #seeds = new Map<string, number>()

  /** The record at `offset`, which must be entry `index`, behind one of term `previous` (-1: nobody knows). */
  read(bytes: Uint8Array, offset: number, index: Index, previous: Term, genesis: string): Entry | Unreadable | Clash {
    try {
      verifyRecord(bytes, offset, this.#seedOf(genesis), index)
    } catch (error) {
      return { index, reason: String(error) }
    }
    const checksum =
      (bytes[offset + 4]! | (bytes[offset + 5]! << 8) | (bytes[offset + 6]! << 16) | (bytes[offset + 7]! << 24)) >>> 0
    const { kind, term, time, seed, payload } = readRecord(bytes, offset)
    this.#byIndex[index] ??= []
    const there = this.#byIndex[index]!
    for (const known of there) {
      if (known.term !== term) continue
      const clashes =
        known.checksum !== checksum || (known.previous !== previous && known.previous >= 0 && previous >= 0)
      if (clashes) return { entry: { ...known, time, seed, payload, checksum, previous, kind } as Entry, other: known }
      if (known.previous < 0) known.previous = previous
      return known
    }
    const config = kind === recordKind.config ? configOf(payload) : undefined
    const entry: Entry = { index, term, kind, time, seed, payload, checksum, previous, config }
    there.push(entry)
    return entry
  }

  /** The payload's own bytes are enough of a run: where each record of it ends. */
  static end(bytes: Uint8Array, offset: number): number {
    return offset + 4 <= bytes.length ? recordEnd(bytes, offset) : bytes.length + 1
  }

  #seedOf(genesis: string): number {
    let seed = this.#seeds.get(genesis)
    if (seed === undefined) {
      seed = checksumSeed(genesis, 'main')
      this.#seeds.set(genesis, seed)
    }
    return seed
  }
}

/** The entries of one log, from `first` on: of a process or of a disk. */
export class LogSeen {
  first: Index = 1
  /** Term of `first - 1`; -1: nobody knows. */
  base: Term = 0
  entries: Entry[] = []
  /** Those of `entries` that are configurations. */
  configs: Entry[] = []

  get last(): Index {
    return this.first + this.entries.length - 1
  }

  at(index: Index): Entry | undefined {
    return this.entries[index - this.first]
  }

  termAt(index: Index): Term | undefined {
    return index === this.first - 1 ? this.base : this.entries[index - this.first]?.term
  }

  push(entry: Entry): void {
    this.entries.push(entry)
    if (entry.config !== undefined) this.configs.push(entry)
  }

  /** Cuts `from` and all behind it; returns what went. */
  cut(from: Index): Entry[] {
    if (from > this.last) return none
    while (this.configs.length > 0 && this.configs[this.configs.length - 1]!.index >= from) this.configs.pop()
    return this.entries.splice(Math.max(0, from - this.first))
  }

  /** The log begins at `at`, behind an entry of term `base`, with nothing in it. */
  reset(at: Index, base: Term): Entry[] {
    const gone = this.entries
    this.entries = []
    this.configs = []
    this.first = at
    this.base = base
    return gone
  }

  compact(first: Index): void {
    if (first <= this.first) return
    this.base = this.termAt(first - 1) ?? -1
    this.entries.splice(0, first - this.first)
    this.configs = this.configs.filter(({ index }) => index >= first)
    this.first = first
  }

  copy(): LogSeen {
    const copy = new LogSeen()
    copy.first = this.first
    copy.base = this.base
    copy.entries = this.entries.slice()
    copy.configs = this.configs.slice()
    return copy
  }
}

const none: Entry[] = []
