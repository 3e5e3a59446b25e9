import type { Transport } from '@raftkit/contract'
import { type GrpcTransport, grpcTransport } from '@raftkit/transport-grpc'

// What the compliance suite is told of this adapter. Real child processes load this file, too, and are as secure as we are.

export const create = (): Transport => grpcTransport(JSON.parse(process.env.RAFTKIT_TEST_SECURITY ?? '{}'))
export const address = (): string => '127.0.0.1:0'
export const reached = (transport: Transport): string => (transport as GrpcTransport).address!
