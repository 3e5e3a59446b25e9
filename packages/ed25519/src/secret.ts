import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { RaftkitError } from '@raftkit/contract'

/** `where`: what a refusal calls it. */
export function secretOf(pem: string, where = 'the private key'): KeyObject {
  let key: KeyObject | undefined
  let cause: unknown
  try {
    key = createPrivateKey(pem)
  } catch (error) {
    cause = error
  }
  if (key?.asymmetricKeyType === 'ed25519') return key
  throw new RaftkitError('INVALID_OPTION', `${where} is no Ed25519 key in PEM (PKCS #8): make one with generateKey`, {
    cause,
  })
}

export function publicOf(secret: KeyObject): Uint8Array {
  // The key itself ends its SubjectPublicKeyInfo (RFC 8410).
  return new Uint8Array(createPublicKey(secret).export({ format: 'der', type: 'spki' }).subarray(-32))
}
