import type { Lane } from '@raftkit/contract'
import { type Hello, maxHelloBytes } from './handshake.ts'
import { Refusal, type RefusalKind } from './refusal.ts'
import { nonceBytes, proofBytes } from './secret.ts'

/*
 * What both sides say before frames, as messages of bytes: for adapters that bring no layout of their own. u8 kind, body; numbers are
 * little-endian.
 *
 *   1 hello        u8 lane: 0 control, 1 bulk · 8 bytes life · u32 maxFrameBytes · 16 bytes nonce · 32 bytes proof (zero: none)
 *                  · the receiver's hello
 *   2 admitted     nothing
 *   3 refused      u8 why · a sentence in ASCII
 *   4 challenge    16 bytes
 *   5 proof        32 bytes
 *
 *   dialler:   hello               [proof]           admitted | refused     frames …
 *   listener:         [challenge]           hello                           frames …
 *
 * Only where a secret is asked for are there a challenge, and proofs. Either side may say `refused` in place of what it would say next,
 * and then closes. The dialler's `admitted` opens the connection in both directions. A kind or a reason that is not known is malformed.
 */
const lanes: readonly Lane[] = ['control', 'bulk']
const reasons: readonly RefusalKind[] = ['malformed', 'refused', 'limits', 'connected', 'busy', 'failed']
const helloBytes = 1 + 1 + 8 + 4 + nonceBytes + proofBytes
const nonceAt = 14
const proofAt = nonceAt + nonceBytes

/** Of one message. Check it against every length before anything is allocated. */
export const maxGreetingBytes: number = helloBytes + maxHelloBytes

export type Greeting =
  | { readonly kind: 'hello'; readonly lane: Lane; readonly hello: Hello }
  | { readonly kind: 'admitted' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'challenge'; readonly challenge: Uint8Array }
  | { readonly kind: 'proof'; readonly proof: Uint8Array }

export function encodeGreeting(greeting: Greeting): Uint8Array {
  switch (greeting.kind) {
    case 'hello':
      return encodeHello(greeting.lane, greeting.hello)
    case 'admitted':
      return new Uint8Array([2])
    case 'refused':
      return encodeRefusal(greeting.refusal)
    case 'challenge':
      return new Uint8Array([4, ...greeting.challenge])
    case 'proof':
      return new Uint8Array([5, ...greeting.proof])
  }
}

function encodeHello(lane: Lane, { hello, life, maxFrameBytes, nonce, proof }: Hello): Uint8Array {
  const message = new Uint8Array(helloBytes + hello.length)
  message[0] = 1
  message[1] = lanes.indexOf(lane)
  for (let n = 0; n < 8; n++) message[2 + n] = Number.parseInt(life.slice(2 * n, 2 * n + 2), 16)
  new DataView(message.buffer).setUint32(10, maxFrameBytes, true)
  message.set(nonce, nonceAt)
  message.set(proof, proofAt)
  message.set(hello, helloBytes)
  return message
}

/** `error`: whatever was thrown. */
export function encodeRefusal(error: unknown): Uint8Array {
  const { kind, reason } = error instanceof Refusal ? error : new Refusal('failed', String(error))
  return new Uint8Array([3, reasons.indexOf(kind), ...new TextEncoder().encode(reason)])
}

/** Copies what it keeps. Throws a `Refusal`, of the kind `malformed`. */
export function decodeGreeting(message: Uint8Array): Greeting {
  const [kind, first] = message
  const length = message.length
  if (kind === 1 && length >= helloBytes && length <= maxGreetingBytes) {
    const lane = lanes[first!]
    if (!lane) throw unreadable()
    const life = Array.from(message.subarray(2, 10), (byte) => byte.toString(16).padStart(2, '0')).join('')
    const maxFrameBytes = new DataView(message.buffer, message.byteOffset).getUint32(10, true)
    const nonce = new Uint8Array(message.subarray(nonceAt, proofAt))
    const given = new Uint8Array(message.subarray(proofAt, helloBytes))
    const proof = given.some((byte) => byte !== 0) ? given : new Uint8Array(0)
    const hello = new Uint8Array(message.subarray(helloBytes))
    return { kind: 'hello', lane, hello: { hello, life, maxFrameBytes, nonce, proof } }
  }
  if (kind === 2 && length === 1) return { kind: 'admitted' }
  if (kind === 3 && length >= 2) {
    const reason = reasons[first!]
    if (!reason) throw unreadable()
    return { kind: 'refused', refusal: new Refusal(reason, new TextDecoder().decode(message.subarray(2))) }
  }
  if (kind === 4 && length === 1 + nonceBytes)
    return { kind: 'challenge', challenge: new Uint8Array(message.subarray(1)) }
  if (kind === 5 && length === 1 + proofBytes) return { kind: 'proof', proof: new Uint8Array(message.subarray(1)) }
  throw unreadable()
}

const unreadable = (): Refusal => new Refusal('malformed', 'no greeting of a Raftkit node')
