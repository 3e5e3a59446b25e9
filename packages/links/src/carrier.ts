import type { Lane } from '@raftkit/contract'
import type { Address, Schemes } from './address.ts'
import type { Attempt } from './attempt.ts'
import type { Connection } from './connection.ts'
import type { Hello, Meeting } from './handshake.ts'
import type { Refusal } from './refusal.ts'
import type { Certificate, Credentials } from './tls.ts'

/** What the adapter has to keep to. */
export interface Terms {
  /** Check it against every length before anything is allocated. */
  readonly maxFrameBytes: number
  /** That others may make to us, at a time. */
  readonly maxConnections: number
  /** Every connection is TLS with these, both ways. Undefined: none is. */
  readonly credentials: Credentials | undefined
}

/** How connections come about, and how bytes travel on them: all that an adapter brings. */
export interface Carrier {
  /**
   * Begins one attempt to connect one lane. What it returns gives up whatever is under way; it is called once, unless the attempt
   * succeeded. A throw counts as `unreachable`.
   */
  dial(attempt: Attempt): () => void
  /** URLs that it can dial, beside `host:port`. */
  readonly schemes?: Schemes
  /** Not started. Absent: a platform that can only dial. */
  listener?(reception: Reception): Listener
  /** It listens where the app does: `listen` is given no address. */
  readonly attached?: boolean
}

export interface Listener {
  /** Resolves to the address it is bound to, if that is known. Rejects `TRANSPORT_FAILED`, or `CLOSED` when it is stopped before. */
  listen(at: Address | undefined): Promise<Address | undefined>
  /** No new connections. Resolves when the last one has closed. */
  stop(): Promise<void>
  /** Cuts all that are left. */
  destroy(): void
}

/** Where those are received who dial us. */
export interface Reception {
  /**
   * With their hello, before anything is said, and before anything else of the caller is read. `hello`: undefined if it could not be
   * read. `certificate`: the guest's. Throws a `Refusal`.
   */
  meet(hello: Hello | undefined, lane: Lane, certificate?: Certificate): Meeting
  /** Both sides have admitted each other. */
  opened(connection: Connection): void
  /** Tell why a caller was turned down. `connected` is passed over. */
  refused(remote: string, error: unknown): void
  /** The caller has turned us down, and says why. */
  turnedDown(remote: string, refusal: Refusal): void
}
