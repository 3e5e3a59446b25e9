/** Frames between nodes over WebSocket. The wire is written down in line.ts, and in greeting.ts and frames.ts of @raftkit/links. */
import { type LinkTransport, linkTransport } from '@raftkit/links'
import { type WsTransportOptions, wsCarrier } from './carrier.ts'

export type { Tls, TransportReport } from '@raftkit/links'
export type { UpgradeServer } from './server.ts'
export type { WsTransportOptions }
export type WsTransport = LinkTransport

/** Frames over WebSocket: one connection per lane and peer. Throws `INVALID_OPTION`. */
export function wsTransport(options: WsTransportOptions = {}): WsTransport {
  return linkTransport(options, wsCarrier(options))
}
