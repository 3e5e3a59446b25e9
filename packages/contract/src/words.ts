/** A node's name, unique in its cluster for ever: at most 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. */
export type NodeId = string
/** A Raft group's name, under the same rule. A host without Multi-Raft has one group, `main`. */
export type GroupId = string
/** Integer, 0 … 2^53-1. The field's logical clock (Raft paper §5.1). */
export type Term = number
/** Integer, 0 … 2^53-1. The first record of a log is 1 (Raft paper, Figure 2). */
export type Index = number

/**
 * Records end to end. Each begins with its own length (u32, little-endian, of the whole record);
 * that is all an adapter knows of it.
 * Bytes handed over are never changed, detached or pooled again, by either side. Who keeps a small part of a buffer copies it.
 */
export interface Run {
  readonly count: number
  readonly bytes: Uint8Array
}
