import { defineMachine } from 'raftkit'
import {
  type Change,
  changeAt,
  type Entry,
  emptyStore,
  entryOf,
  keysOf,
  limits,
  remove,
  type Store,
  write,
} from './store.ts'

/** What a change did. `MISSING`: no such key; `TOO_LARGE`: the value would pass its limit; `MISMATCH`: the key is not as expected. */
export type Written =
  | { done: true; revision: number }
  | { done: false; why: 'MISSING' | 'TOO_LARGE' | 'MISMATCH'; current: Entry | null }

/** What a compare-and-set wants to find: no such key, this value, or this revision. */
export type Expectation = { absent: true } | { value: string } | { revision: number }

export type Page = { entries: ({ key: string } & Entry)[]; next: string | null; revision: number }

/** `next`: where to go on; everything below it has been looked at. */
export type Changes = { compacted: number } | { changes: Change[]; next: number; revision: number }

/** A page ends at its limit, or once it holds this many bytes of values. */
const pageBytes = 1024 * 1024
/** A look into the recent changes is bounded too, so that no query holds up the machine. */
const changesPerLook = 1_000

const done = (revision: number): Written => ({ done: true, revision })
const refused = (why: 'MISSING' | 'TOO_LARGE' | 'MISMATCH', entry: Entry | undefined): Written => ({
  done: false,
  why,
  current: entry ?? null,
})

/** A code unit takes three bytes at most: what is appended to is mostly far from its limit, and need not be measured. */
const fits = (value: string): boolean =>
  value.length * 3 <= limits.valueBytes || Buffer.byteLength(value) <= limits.valueBytes

function matches(entry: Entry | undefined, expect: Expectation): boolean {
  if ('absent' in expect) return entry === undefined
  if (entry === undefined) return false
  return 'value' in expect ? entry.value === expect.value : entry.revision === expect.revision
}

/** The replicated key-value store. A key's revision is the log index of its last change. */
export const kv = defineMachine({
  version: 1,
  initial: emptyStore,
  commands: {
    put: (store: Store, { key, value }: { key: string; value: string }, { index }): Written => {
      write(store, 'put', key, value, index)
      return done(index)
    },
    append: (store: Store, { key, value }: { key: string; value: string }, { index }): Written => {
      if (!fits((store.values.get(key) ?? '') + value)) return refused('TOO_LARGE', entryOf(store, key))
      write(store, 'append', key, value, index)
      return done(index)
    },
    del: (store: Store, { key }: { key: string }, { index }): Written =>
      remove(store, key, index) ? done(index) : refused('MISSING', undefined),
    cas: (store: Store, input: { key: string; expect: Expectation; value: string }, { index }): Written => {
      const entry = entryOf(store, input.key)
      if (!matches(entry, input.expect)) return refused('MISMATCH', entry)
      write(store, 'put', input.key, input.value, index)
      return done(index)
    },
  },
  queries: {
    get: (store: Store, { key }: { key: string }): Entry | null => entryOf(store, key) ?? null,
    list: (store: Store, input: { prefix: string; after: string | null; limit: number }): Page => {
      const { prefix, after, limit } = input
      const page: Page = { entries: [], next: null, revision: store.revision }
      let bytes = 0
      for (const key of keysOf(store).walk(after !== null && after > prefix ? after : prefix)) {
        if (key === after) continue
        if (!key.startsWith(prefix)) break
        const last = page.entries.at(-1)
        if (last !== undefined && (page.entries.length === limit || bytes >= pageBytes))
          return { ...page, next: last.key }
        const entry = entryOf(store, key)!
        page.entries.push({ key, ...entry })
        bytes += Buffer.byteLength(entry.value)
      }
      return page
    },
    changes: (store: Store, { prefix, from }: { prefix: string; from: number }): Changes => {
      if (from <= store.compacted) return { compacted: store.compacted }
      const start = changeAt(store, from)
      const seen = store.changes.slice(start, start + changesPerLook)
      const changes: Change[] = []
      let size = 0
      for (const change of seen) {
        if (size >= pageBytes) return { changes, next: change.revision, revision: store.revision }
        if (!change.key.startsWith(prefix)) continue
        changes.push(change)
        size += change.value?.length ?? 0
      }
      return { changes, next: Math.max(from, (seen.at(-1)?.revision ?? 0) + 1), revision: store.revision }
    },
    summary: (store: Store): { keys: number; revision: number; compacted: number } => ({
      keys: store.values.size,
      revision: store.revision,
      compacted: store.compacted,
    }),
  },
})
