import type { Certificate, Refusal } from '@raftkit/links'

/*
 * Messages on the wire: binary ones, of `maxMessageBytes` at most, under the subprotocol `raftkit1`. First the greeting, then, in both
 * directions, pieces of a stream of frames (greeting.ts and frames.ts of @raftkit/links). A message of no bytes is a sign of life: every
 * two seconds the listener says one, and the dialler says one back.
 */

export const protocol = 'raftkit1'

/** In the HTTP answer to an upgrade that is turned away: why, in a sentence. */
export const refusedHeader = 'raftkit-refused'

/** Of one message: what a stranger can make us hold, and small enough for whatever stands between. A larger frame takes several. */
export const maxMessageBytes = 65_536

/** One WebSocket, whoever made it: `ws` in Node.js, or a page's own. */
export interface Line {
  /** What is told of it. Set anew when the greeting is over. */
  ear: Ear
  /** Goes once the line is open. `sent`: there is room for more. Not called within `say`, nor once the line is closed. */
  say(message: Uint8Array, sent?: () => void): void
  /** What was said still goes out, and what arrives is still told. */
  end(): void
  /** At once. */
  destroy(): void
}

/** Whoever does not care leaves it out. */
export interface Ear {
  /** With TLS and a certificate: nothing has been read yet. `judge` throws a `Refusal`. */
  secured?(judge: () => Certificate): void
  opened?(): void
  message?(bytes: Uint8Array): void
  /** What came is no message of this wire; the line closes. */
  wrong?(reason: string): void
  /** Turned away before there was a WebSocket, in a sentence. */
  turnedDown?(refusal: Refusal): void
  /** Something below has failed; the line closes. */
  broke?(error: Error): void
  /** Once, and last. */
  closed?(): void
}

export const isText = 'a text, and frames are binary'
