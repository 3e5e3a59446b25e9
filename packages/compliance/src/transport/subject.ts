import type { Transport } from '@raftkit/contract'

/** The adapter under test, and what its author says of it. */
export interface TransportSubject {
  /** A new transport, not started. All that one subject gives belong to one network, and have the same `maxFrameBytes`. */
  readonly create: () => Transport
  /** A place where nobody listens: `start` gets it as the node's address. Port 0 will do, with `reached`. */
  readonly address: () => string | Promise<string>
  /** Where others reach a transport that was started at `address`. Default: there. */
  readonly reached?: (transport: Transport, address: string) => string
  /** A wire that can be blocked and cut, leading to an address: `tcpWire` for all that goes over TCP. Without it, tests are skipped. */
  readonly wire?: (address: string) => Promise<Wire>
  /** The address of a module that exports `create` (and `reached`), for real child processes. Without it, tests are skipped. */
  readonly program?: string | URL
  /** Promises more than the port: on a quiet network every frame arrives once, and each lane keeps its order. Default false. */
  readonly orderly?: boolean
  /** Bytes: the most that it holds for a peer that does not read, all lanes and copies together. Default 64 MiB. */
  readonly heldBytes?: number
  /** Milliseconds after which something that has not come true never will. Default 20,000. */
  readonly patience?: number
}

/** What leads from a dialler to a listener, in the hands of the suite. */
export interface Wire {
  /** To be dialled in place of the listener. */
  readonly address: string
  /** Nothing passes any more, in either direction, and neither side is told. */
  block(): void
  unblock(): void
  /** Breaks the connections there are; new ones may be made at once. */
  cut(): void
  close(): void
}
