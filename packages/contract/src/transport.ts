import type { NodeId } from './words.ts'

/** Control frames (votes, heartbeats, acknowledgements) never queue behind bulk ones (records, snapshot chunks). */
export type Lane = 'control' | 'bulk'

export interface Peer {
  readonly id: NodeId
  /** Where to dial it, `host:port`. Absent: it dials us (a browser, a client). */
  readonly address?: string
}

/** What a link is like: `full` means bulk frames are being dropped, so hold them back until it is `up` again. */
export type LinkState = 'up' | 'full' | 'down'

/** Moves frames between hosts. An adapter implements this; a frame is opaque to it. */
export interface Transport {
  readonly contract: 1
  /** The largest frame it carries, in bytes, the same in both directions. At least 65,536. */
  readonly maxFrameBytes: number
  /** Resolves when this node is reachable. Called once. Rejects `TRANSPORT_FAILED`, or `CLOSED` if it was closed before or meanwhile. */
  start(self: Peer, receiver: Receiver): Promise<void>
  /**
   * The parts are one frame. Never blocks and never throws; may drop, duplicate and reorder; its queue per peer is bounded in bytes.
   * A frame for a peer that is not connected, or larger than `maxFrameBytes`, is dropped.
   */
  send(to: NodeId, frame: readonly Uint8Array[], lane: Lane): void
  /** Whom to dial from now on; others that were dialled are dropped. `self` is passed over. */
  setPeers(peers: readonly Peer[]): void
  /** Idempotent. No call to the receiver once resolved. */
  close(): Promise<void>
}

/** The host's side. Called synchronously; `frame` and `link` never throw. */
export interface Receiver {
  /** The first thing on every connection, in both directions. Small: under 4 KiB. */
  hello(): Uint8Array
  /**
   * Who the other side is, from its hello. Throws `REFUSED`: the connection is then closed, and nothing of it is passed on.
   * `proven`: the names in the peer's certificate, if the connection has one. One check serves every transport.
   */
  admit(hello: Uint8Array, proven?: readonly string[]): NodeId
  /**
   * A whole frame of an admitted peer; the receiver's to keep. False: it is none, so whatever else comes by that connection cannot be
   * trusted either, and the transport closes it.
   */
  frame(from: NodeId, frame: Uint8Array): unknown
  /** A hint for probing and back-pressure, never for safety. */
  link(peer: NodeId, state: LinkState): void
}
