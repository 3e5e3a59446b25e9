import { createPublicKey, type KeyObject, sign as signWith, verify as verifyWith } from 'node:crypto'
import { RaftkitError, type SignatureCheck, type Signatures } from '@raftkit/contract'
import { flawOfKey, isCanonical } from './admission.ts'
import type { PrivateKey } from './key.ts'
import { publicOf, secretOf } from './secret.ts'

export interface VerifierOptions {
  /**
   * Signatures that are verified beside the event loop at once. Default 2: libuv has four threads unless told otherwise, and the disk
   * needs some of them. 0: all on the event loop, which costs a tenth less and holds it up.
   */
  readonly threads?: number
}

/**
 * Up to here signatures are verified at once: votes are few, and everybody waits for them, so they shall not queue up behind a batch of
 * clients' requests.
 */
const few = 4
/** Keys that are kept ready; making one costs nearly as much as using it. */
const mostKeys = 4096
/** What comes before the key in its SubjectPublicKeyInfo (RFC 8410). */
const spki = Buffer.from('302a300506032b6570032100', 'hex')

/** A node's own key and the rule: the option `signatures` of a node. Throws `INVALID_OPTION` if it is no Ed25519 key. */
export function ed25519(key: PrivateKey | string, options?: VerifierOptions): Signatures {
  const secret = secretOf(typeof key === 'string' ? key : key.pem)
  const { verify } = verifier(options)
  return { key: publicOf(secret), sign: (bytes) => signed(secret, bytes), verify }
}

/** Reading one takes longer than signing with it. */
const secrets = new WeakMap<PrivateKey, KeyObject>()

/** What `key` says to `bytes`, for clients. */
export function sign(key: PrivateKey, bytes: Uint8Array): Uint8Array {
  let secret = secrets.get(key)
  if (secret === undefined) {
    secret = secretOf(key.pem)
    secrets.set(key, secret)
  }
  return signed(secret, bytes)
}

/**
 * The rule: the key is admitted but for being a point, which no signature survives that is none; S is below the order; and OpenSSL, which
 * compares R byte by byte and multiplies by no cofactor, agrees. See the vectors in the tests.
 */
export function verifier({ threads = 2 }: VerifierOptions = {}): Pick<Signatures, 'verify'> {
  if (!(Number.isSafeInteger(threads) && threads >= 0))
    throw new RaftkitError('INVALID_OPTION', `threads is ${String(threads)}; give an integer, 0 or more`)
  const keys = new Keys()
  const queue: (() => void)[] = []
  let running = 0
  const next = (): void => {
    while (running < threads && queue.length > 0) {
      running++
      queue.shift()!()
    }
  }
  const beside = (check: SignatureCheck): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const key = isCanonical(check.signature) ? keys.get(check.key) : undefined
      if (!key) return resolve(false)
      queue.push(() =>
        verifyWith(null, check.bytes, key, check.signature, (error, isValid) => {
          running--
          next()
          if (error) reject(error)
          else resolve(isValid)
        }),
      )
    })
  return {
    verify(checks) {
      if (checks.length <= few || threads === 0) return checks.map((check) => isSigned(keys, check))
      const all = Promise.all(checks.map(beside))
      next()
      return all
    },
  }
}

/** The same rule, at once: for what is verified offline, where nobody else waits for the processor. */
export function verifyHere(checks: readonly SignatureCheck[]): boolean[] {
  const keys = new Keys()
  return checks.map((check) => isSigned(keys, check))
}

function isSigned(keys: Keys, { key, bytes, signature }: SignatureCheck): boolean {
  const known = isCanonical(signature) ? keys.get(key) : undefined
  return known !== undefined && verifyWith(null, bytes, known, signature)
}

function signed(secret: KeyObject, bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = signWith(null, bytes, secret)
  return new Uint8Array(buffer, byteOffset, length)
}

/** Public keys, ready for use; those that are none, too. */
class Keys {
  readonly #known = new Map<string, KeyObject | undefined>()

  get(raw: Uint8Array): KeyObject | undefined {
    const name = Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('latin1')
    if (this.#known.has(name)) return this.#known.get(name)
    const key =
      flawOfKey(raw) === undefined
        ? createPublicKey({ key: Buffer.concat([spki, raw]), format: 'der', type: 'spki' })
        : undefined
    if (this.#known.size >= mostKeys) for (const oldest of this.#known.keys()) return this.#replace(oldest, name, key)
    this.#known.set(name, key)
    return key
  }

  #replace(oldest: string, name: string, key: KeyObject | undefined): KeyObject | undefined {
    this.#known.delete(oldest)
    this.#known.set(name, key)
    return key
  }
}
