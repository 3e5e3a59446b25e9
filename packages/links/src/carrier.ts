import type { Lane } from '@raftkit/contract'
import type { Address } from './address.ts'
import type { Attempt } from './attempt.ts'
import type { Connection } from './connection.ts'
import type { Caller, Hello } from './handshake.ts'

/** What the adapter has to keep to. */
export interface Limits {
  /** Check it against every length before anything is allocated. */
  readonly maxFrameBytes: number
  /** That others may make to us, at a time. */
  readonly maxConnections: number
}

/** How connections come about, and how bytes travel on them: all that an adapter brings. */
export interface Carrier {
  /**
   * Begins one attempt to connect one lane. What it returns gives up whatever is under way; it is called once, unless the attempt
   * succeeded. A throw counts as `unreachable`.
   */
  dial(attempt: Attempt): () => void
  /** Not started. Absent: a platform that can only dial. */
  listener?(reception: Reception): Listener
}

export interface Listener {
  /** Resolves to the address it is bound to. Rejects `TRANSPORT_FAILED`, or `CLOSED` when it is stopped before. */
  listen(at: Address): Promise<Address>
  /** No new connections. Resolves when the last one has closed. */
  stop(): Promise<void>
  /** Cuts all that are left. */
  destroy(): void
}

/** Where those are received who dial us. */
export interface Reception {
  /** Our side of the handshake. Throws: the connection is over. */
  hello(): Hello
  /**
   * Asked before our own hello is said, and before anything else of the caller is read. Throws a `Refusal`.
   * `hello`: undefined if it could not be read. `proven`: the names in the caller's certificate.
   */
  check(hello: Hello | undefined, lane: Lane, proven?: readonly string[]): Caller
  /** Both sides have admitted each other. */
  opened(connection: Connection): void
  /** Tell why a caller was turned down, or turned us down. `connected` is passed over. */
  refused(remote: string, error: unknown): void
}
