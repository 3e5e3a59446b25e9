import type { Target } from '../load/drive.ts'

export interface WirePlan {
  readonly kind: 'grpc' | 'http'
  readonly port: number
  readonly request: 'put' | 'get'
  /** Consistency of a `get` over HTTP; etcd's ranges are linearizable unless `stale`. */
  readonly consistency?: 'linearizable' | 'lease' | 'stale'
  /** Connections. gRPC carries many requests on each, HTTP/1.1 `depth`. */
  readonly connections: number
  /** Requests on one HTTP/1.1 connection that may wait for their answers (pipelining). */
  readonly depth: number
  /** How many different keys. Put: random. Get: random, or they would come from one place of memory. */
  readonly keys: number
  readonly valueBytes: number
  /** Put: the keys in order from 0, instead of at random: to fill a system before it is read. */
  readonly inOrder?: boolean
}

export interface Wire extends Target {
  close(): void
}
