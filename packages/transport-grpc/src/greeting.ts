import { Metadata, status } from '@grpc/grpc-js'
import { type Hello, Refusal, type RefusalKind } from '@raftkit/links'
import { decodeHello, encodeHello } from './wire.ts'

const helloKey = 'raftkit-hello-bin'
const challengeKey = 'raftkit-challenge-bin'
export const refusedKey = 'raftkit-refused-bin'

/*
 * Hellos travel in metadata, so that next to nothing of a stranger's messages is read: until it is admitted, all that it can make us
 * hold is one block of headers, and where a secret is asked for one message, its proof.
 */

export function greet(hello: Hello): Metadata {
  return metadata(helloKey, encodeHello(hello))
}

export function challenged(challenge: Uint8Array): Metadata {
  return metadata(challengeKey, Buffer.from(challenge))
}

function metadata(key: string, value: Buffer): Metadata {
  const metadata = new Metadata()
  metadata.set(key, value)
  return metadata
}

/** Undefined: none, a malformed one, or more than one. */
export function heard(metadata: Metadata): Hello | undefined {
  const value = one(metadata, helloKey)
  return value && decodeHello(value)
}

/** Undefined: none was made. */
export function challengeOf(metadata: Metadata): Uint8Array | undefined {
  return one(metadata, challengeKey)
}

/** What a dialler says in place of its hello, which turns us down for our certificate. */
export function refusalOf(metadata: Metadata): Refusal | undefined {
  const value = one(metadata, refusedKey)
  return value && new Refusal('refused', value.toString('latin1'))
}

function one(metadata: Metadata, key: string): Buffer | undefined {
  const [value, ...more] = metadata.get(key)
  return typeof value === 'object' && more.length === 0 ? value : undefined
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

/** How a call ended that was turned down by the other side; undefined if it ended otherwise. */
export function refusedWith({ code, details }: { code: status; details: string }): Refusal | undefined {
  if (code === status.INTERNAL) return undefined
  const kind = (Object.keys(statuses) as RefusalKind[]).find((each) => statuses[each] === code)
  return kind && new Refusal(kind, details)
}
