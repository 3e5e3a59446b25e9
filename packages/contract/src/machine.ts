import type { Index } from './words.ts'

/** A committed proposal as the state machine sees it. */
export interface Command {
  readonly index: Index
  /** Milliseconds since the epoch by the leader's clock, carried in the log: equal on every replica, never going back. */
  readonly time: number
  /** 32 random bits from the leader, carried in the log. */
  readonly seed: number
  readonly data: Uint8Array
  /** The public key of whoever signed it, on a protocol that verifies such signatures: equal on every replica. */
  readonly client?: Uint8Array
}

/**
 * The replicated program. Deterministic: equal commands give equal states and equal results on every replica.
 * Empty at every open, then restored and replayed. A throw stops the node, it never skips a command.
 */
export interface StateMachine {
  /** Rises when `apply`, `snapshot` or the meaning of a command changes. */
  readonly version: number
  /** One result per command, in order. Not called again before it has settled. */
  apply(batch: readonly Command[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]>
  /** Reads only. Called between batches. */
  query(question: unknown): unknown
  /** Called between batches. The content is frozen on return; it is streamed while `apply` goes on. */
  snapshot(): AsyncIterable<Uint8Array>
  /** Replaces everything with what `snapshot` of some replica gave. */
  restore(chunks: AsyncIterable<Uint8Array>): Promise<void>
}
