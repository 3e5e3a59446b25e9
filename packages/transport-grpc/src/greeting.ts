import { Metadata, status } from '@grpc/grpc-js'
import { type Hello, Refusal, type RefusalKind } from '@raftkit/links'
import { decodeHello, encodeHello } from './wire.ts'

const helloKey = 'raftkit-hello-bin'

/*
 * The hello travels in metadata, so that nothing of a stranger's messages is read:
 * until it is admitted, all that it can make us hold is one block of headers.
 */

export function greet(hello: Hello): Metadata {
  const metadata = new Metadata()
  metadata.set(helloKey, encodeHello(hello))
  return metadata
}

/** Undefined: none, a malformed one, or more than one. */
export function heard(metadata: Metadata): Hello | undefined {
  const [value, ...more] = metadata.get(helloKey)
  return typeof value === 'object' && more.length === 0 ? decodeHello(value) : undefined
}

const statuses: Readonly<Record<RefusalKind, status>> = {
  malformed: status.INVALID_ARGUMENT,
  refused: status.PERMISSION_DENIED,
  limits: status.FAILED_PRECONDITION,
  connected: status.ALREADY_EXISTS,
  busy: status.RESOURCE_EXHAUSTED,
  failed: status.INTERNAL,
}

/** How a call is told that it is turned down. */
export function refuse(error: unknown): { code: status; details: string } {
  const { kind, reason } = error instanceof Refusal ? error : new Refusal('failed', String(error))
  return { code: statuses[kind], details: reason }
}
