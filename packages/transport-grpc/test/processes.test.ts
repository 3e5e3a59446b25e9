import { missWhatStandsStill } from '@raftkit/testing/links'
import { closeAll } from '@raftkit/testing/node'
import { grpcTransport } from '@raftkit/transport-grpc'
import { afterEach, test } from 'vitest'

afterEach(closeAll)

// By keepalive, which it does not answer.
test(
  'a process that stands still is found out by keepalive, and heard again when it goes on',
  () =>
    missWhatStandsStill({ transport: () => grpcTransport() }, new URL('subject.ts', import.meta.url), [
      '@grpc/grpc-js',
    ]),
  60_000,
)
