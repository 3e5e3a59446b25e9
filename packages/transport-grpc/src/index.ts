/** Frames between nodes over gRPC streams. The wire contract is proto/raftkit/transport/v1/transport.proto. */
export type { TransportReport } from './reports.ts'
export { type GrpcTransport, type GrpcTransportOptions, grpcTransport } from './transport.ts'
