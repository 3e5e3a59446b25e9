import type { GroupId, Index, Run } from './words.ts'

/** Everything durable of one host. An adapter implements this; it keeps records and blobs and knows nothing of Raft. */
export interface Storage {
  readonly contract: 1
  /** False: nothing outlives the process, and a restart is a wipe (a new incarnation that must be added again). */
  readonly durable: boolean
  /** All groups that hold anything, a log or a snapshot. */
  groups(): Promise<readonly GroupId[]>
  /** Opens one group's log. It has one owner: rejects `LOCKED` while another has it, `DAMAGED` for that group alone. */
  log(group: GroupId): Promise<LogStore>
  /** The group's snapshots. */
  snapshots(group: GroupId): Promise<SnapshotStore>
  /** Removes the group's log and snapshots, durably. Its log must be closed. */
  destroy(group: GroupId): Promise<void>
  /** Idempotent; resolves after what is pending has settled. Calls after it reject `CLOSED`. */
  close(): Promise<void>
}

export interface LogStore {
  /**
   * The log as open found it: the effect of a prefix of the writes ever issued, every resolved one among them.
   * Never updated. An empty log has `last = first - 1`; one that was never written is `{ first: 1, last: 0 }`.
   */
  readonly found: Found
  /**
   * Atomic, in call order; resolves in call order, once durable; may stay pending (a slow or full disk).
   * Writes that wait together share one flush. After a crash, a rejection or close, open finds a prefix as above.
   * One rejection rejects all that follow: a failed flush is never retried.
   * A change that does not fit the log rejects `INVALID_OPTION` and changes nothing.
   */
  write(change: LogWrite): Promise<void>
  /**
   * Records `from` … `to`, both included: a prefix of that range of about `maxBytes`, never empty.
   * Sees every write issued before. Rejects `COMPACTED` below the first record, `MISSING` above the last; anything else is fatal.
   */
  read(from: Index, to: Index, maxBytes: number): Promise<Run>
  /** Idempotent; resolves after pending writes have settled. Later calls reject `CLOSED`. */
  close(): Promise<void>
}

export interface Found {
  readonly state?: Uint8Array
  readonly first: Index
  readonly last: Index
}

/** One atomic step. At least one field is present. */
export interface LogWrite {
  /**
   * From `at` on, the log is exactly this run (`count` may be 0: a plain truncation). `first ≤ at ≤ last + 1`.
   * `reset`: any `at`, and the log begins there, with nothing before it.
   */
  readonly tail?: { readonly at: Index; readonly run: Run; readonly reset?: true }
  /** At most `last` (after `tail`). Records up to here may vanish, now or later; `first` of a later open lies anywhere up to `compactTo + 1`. */
  readonly compactTo?: Index
  /** Replaces the state blob. */
  readonly state?: Uint8Array
}

/** Blobs by name (same rule as a node's name, at most 128 characters). Which one is in force, the log's state says. */
export interface SnapshotStore {
  /** A complete one, pinned until closed. Rejects `MISSING` or `DAMAGED`. */
  open(name: string): Promise<SnapshotReader>
  /** Begins a blob, or goes on with an unfinished one of that name: `bytes` says how many it holds. Rejects `LOCKED` while a writer of that name is open, `REFUSED` if a complete one exists. */
  create(name: string): Promise<SnapshotWriter>
  /** Removes all others that exist at the call, unfinished too; one that is open goes as soon as it is closed. What is created after the call stays. */
  retain(names: readonly string[]): Promise<void>
}

export interface SnapshotReader {
  /** Size of the whole blob. */
  readonly bytes: number
  /** Up to `maxBytes` from `offset`, never empty before the end, empty at it. Rejects `DAMAGED`. */
  read(offset: number, maxBytes: number): Promise<Uint8Array>
  close(): Promise<void>
}

export interface SnapshotWriter {
  /** How much is held; every resolved `write` raises it. */
  readonly bytes: number
  /** Appends. In call order; need not be durable before `commit`. */
  write(chunk: Uint8Array): Promise<void>
  /** File and folder durable; from now on `open` finds it. Ends the writer. */
  commit(): Promise<void>
  /** Without commit: leaves an unfinished blob that `create` goes on with. Idempotent. */
  close(): Promise<void>
}
