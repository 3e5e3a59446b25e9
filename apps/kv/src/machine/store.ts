import { SortedKeys } from './sorted-keys.ts'

/** What a key holds. `revision`: the log index of its last change; `created`: of the change that made it. */
export type Entry = { value: string; revision: number; created: number }

/** One change of one key. `value`: what was put, or what was appended; absent after a deletion. */
export type Change = { revision: number; type: 'put' | 'append' | 'delete'; key: string; value?: string }

/**
 * The replicated state: plain values only, so that the runtime can copy, hash and freeze it. What keys hold lies in three maps with the same keys, not in an
 * object for each: a snapshot is written down in one go, and objects, with the names of their fields, take it a quarter longer.
 */
export type Store = {
  values: Map<string, string>
  revisions: Map<string, number>
  created: Map<string, number>
  /** The log index of the last change. */
  revision: number
  /** The most recent changes, oldest first, the same on every member: a watch resumes on any of them. */
  changes: Change[]
  changesSize: number
  /** Changes up to this revision are no longer in `changes`. */
  compacted: number
}

/** UTF-8 bytes. Part of the machine: every member must have the same. */
export const limits = { keyBytes: 1024, valueBytes: 256 * 1024 } as const

/** `slack`: how far the list may grow over its bound before it is cut, so that cutting costs nothing per change. */
const recent = { changes: 10_000, slack: 1_000, size: 16 * 1024 * 1024 }

export const emptyStore = (): Store => ({
  values: new Map(),
  revisions: new Map(),
  created: new Map(),
  revision: 0,
  changes: [],
  changesSize: 0,
  compacted: 0,
})

/** Derived from the keys when first needed, and so neither replicated nor part of a snapshot. */
const orders = new WeakMap<Map<string, string>, SortedKeys>()

export function keysOf(store: Store): SortedKeys {
  let keys = orders.get(store.values)
  if (keys === undefined) {
    keys = new SortedKeys(store.values.keys())
    orders.set(store.values, keys)
  }
  return keys
}

export function entryOf({ values, revisions, created }: Store, key: string): Entry | undefined {
  const value = values.get(key)
  return value === undefined ? undefined : { value, revision: revisions.get(key)!, created: created.get(key)! }
}

export function write(store: Store, type: 'put' | 'append', key: string, value: string, revision: number): void {
  const { values, revisions, created } = store
  const before = values.get(key)
  if (before === undefined) {
    created.set(key, revision)
    orders.get(values)?.add(key)
  }
  values.set(key, type === 'append' && before !== undefined ? before + value : value)
  revisions.set(key, revision)
  record(store, { revision, type, key, value })
}

export function remove(store: Store, key: string, revision: number): boolean {
  const { values, revisions, created } = store
  if (!values.delete(key)) return false
  revisions.delete(key)
  created.delete(key)
  orders.get(values)?.remove(key)
  record(store, { revision, type: 'delete', key })
  return true
}

function record(store: Store, change: Change): void {
  store.revision = change.revision
  store.changes.push(change)
  store.changesSize += sizeOf(change)
  if (store.changes.length <= recent.changes + recent.slack && store.changesSize <= recent.size) return
  let dropped = 0
  // Down to the bound in count, and well below that in size, or else every further change would cut again.
  while (store.changes.length - dropped > recent.changes || store.changesSize > recent.size * 0.75) {
    const oldest = store.changes[dropped++]!
    store.changesSize -= sizeOf(oldest)
    store.compacted = oldest.revision
  }
  store.changes.splice(0, dropped)
}

/** Code units, and a little for the rest: a bound on memory, not a measure of it. */
const sizeOf = (change: Change): number => change.key.length + (change.value?.length ?? 0) + 64

/** The first change whose revision is not below `revision`. */
export function changeAt(store: Store, revision: number): number {
  let low = 0
  let high = store.changes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (store.changes[middle]!.revision < revision) low = middle + 1
    else high = middle
  }
  return low
}
