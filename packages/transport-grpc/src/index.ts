/** Frames between nodes over gRPC streams. The wire contract is proto/raftkit/transport/v1/transport.proto. */
import { type LinkOptions, type LinkTransport, linkTransport } from '@raftkit/links'
import { dial } from './dialler.ts'
import { GrpcListener } from './listener.ts'

export type { Tls, TransportCounters, TransportReport } from '@raftkit/links'
export type GrpcTransportOptions = LinkOptions
export type GrpcTransport = LinkTransport

/** Frames over gRPC streams: one TCP connection per lane and peer. Throws `INVALID_OPTION`. */
export function grpcTransport(options: GrpcTransportOptions = {}): GrpcTransport {
  return linkTransport(options, (terms) => ({
    dial: (attempt) => dial(attempt, terms),
    listener: (reception) => new GrpcListener(reception, terms),
  }))
}
