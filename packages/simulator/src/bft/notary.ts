import { createHash } from 'node:crypto'
import type { Check, Digest } from '@raftkit/bft'

export const sha256: Digest = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest())

/**
 * Signatures that cost little: a hash over a secret and the bytes. The notary alone knows the secrets, and signs only in the name of
 * whoever asks: nobody forges, liars included. What real signatures bring of their own (edge encodings) is not to be had here.
 */
export class Notary {
  readonly #secrets: Map<string, Uint8Array> = new Map()

  /** The public key under which that one signs. */
  register(name: string): Uint8Array {
    const secret = sha256(new TextEncoder().encode(`secret of ${name}`))
    const key = sha256(secret)
    this.#secrets.set(key.join(), secret)
    return key
  }

  sign(key: Uint8Array, bytes: Uint8Array): Uint8Array {
    return seal(this.#secrets.get(key.join())!, bytes)
  }

  isSigned = ({ key, bytes, signature }: Check): boolean => {
    const secret = this.#secrets.get(key.join())
    return secret !== undefined && Buffer.compare(seal(secret, bytes), signature) === 0
  }
}

const seal = (secret: Uint8Array, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(secret).update(bytes).digest())
