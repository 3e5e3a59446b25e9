/** Frames between nodes over TCP: length-prefixed, one connection per lane. The wire is written down in greeting.ts and frames.ts, here and in @raftkit/links. */
import { type LinkOptions, type LinkTransport, linkTransport } from '@raftkit/links'
import { dial } from './dialler.ts'
import { tcpListener } from './listener.ts'

export type { Tls, TransportCounters, TransportReport } from '@raftkit/links'
export type TcpTransportOptions = LinkOptions
export type TcpTransport = LinkTransport

/** Frames over TCP: one connection per lane and peer. Throws `INVALID_OPTION`. */
export function tcpTransport(options: TcpTransportOptions = {}): TcpTransport {
  return linkTransport(options, (terms) => ({
    dial: (attempt) => dial(attempt, terms),
    listener: (reception) => tcpListener(reception, terms),
  }))
}
