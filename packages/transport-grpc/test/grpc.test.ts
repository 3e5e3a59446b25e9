import { type GrpcTransport, grpcTransport } from '@raftkit/transport-grpc'
import { describeTransport } from './promises.ts'

describeTransport('gRPC', {
  transport: () => grpcTransport(),
  address: () => '127.0.0.1:0',
  reached: (transport) => (transport as GrpcTransport).address!,
})
