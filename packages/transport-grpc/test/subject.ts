import type { Transport } from '@raftkit/contract'
import { type GrpcTransport, grpcTransport } from '@raftkit/transport-grpc'

// What the compliance suite is told of this adapter. Real child processes load this file, too.

export const create = (): Transport => grpcTransport()
export const address = (): string => '127.0.0.1:0'
export const reached = (transport: Transport): string => (transport as GrpcTransport).address!
