/** The transport for a page: by the browser's own WebSocket, it dials, and nobody dials it. */
import { type LinkOptions, type LinkTransport, linkTransport } from '@raftkit/links'
import { checkPath, schemes, urlOf } from './address.ts'
import { dial } from './dialler.ts'
import { connect } from './page-line.ts'

export type { TransportReport } from '@raftkit/links'

export interface WsTransportOptions
  extends Pick<LinkOptions, 'secret' | 'insecure' | 'maxFrameBytes' | 'queueBytes' | 'onReport'> {
  /** Where nodes are found on their hosts, for addresses of the form `host:port`. Default `/raftkit`. */
  readonly path?: string
}
export type WsTransport = LinkTransport

/** Frames over a page's own WebSocket: one connection per lane and peer. Throws `INVALID_OPTION`. */
export function wsTransport(options: WsTransportOptions = {}): WsTransport {
  const path = checkPath(options.path)
  return linkTransport(options, ({ maxFrameBytes }) => ({
    schemes,
    dial: (attempt) =>
      dial(attempt, { maxFrameBytes, connect: (ear) => connect(urlOf(attempt, { tls: false, path }), ear) }),
  }))
}
