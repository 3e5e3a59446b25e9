import { RaftkitError } from '@raftkit/contract'

/*
 * Which public keys there are (RFC 8032, §5.1.3, and stricter). Libraries differ on keys that no honest program makes: written in another
 * way than the shortest, or of small order, under which one signature stands for many texts. All members must judge alike, so such keys are none.
 */

const keyBytes = 32

const p = 2n ** 255n - 19n
const order = 2n ** 252n + 27742317777372353535851937790883648493n
/** The curve: y² - x² = 1 + d x² y². */
const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n

/** What `y` may be of a point of order 1, 2, 4 or 8, whatever its `x`. */
const smallOrder: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  p - 1n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
])

/** What is wrong with a key, without looking whether it is a point; undefined: nothing. Costs little. */
export function flawOfKey(key: Uint8Array): string | undefined {
  if (key.length !== keyBytes) return `it has ${key.length} bytes, and not ${keyBytes}`
  const y = yOf(key)
  if (y >= p) return 'it is not written in the one way'
  if (smallOrder.has(y)) return 'it is a point of small order, under which one signature stands for many texts'
  return undefined
}

/** RFC 8032, §5.1.7: without it, whoever sees a signature can make a second one of the same text. */
export function isCanonical(signature: Uint8Array): boolean {
  // The order begins with 0x10: nearly all signatures need no more than a look at one byte.
  return signature.length === 64 && (signature[63]! < 0x10 || number(signature.subarray(32)) < order)
}

/** Throws `REFUSED`: not 32 bytes, not the one encoding of a point, not on the curve, or of small order. */
export function admitKey(key: Uint8Array): void {
  const flaw = flawOfKey(key) ?? (isPoint(yOf(key)) ? undefined : 'it is no point of the curve')
  if (flaw !== undefined) throw new RaftkitError('REFUSED', `this is no key to be admitted: ${flaw}; make another one`)
}

/** A key as people write it, 64 hex digits. Throws `INVALID_OPTION`, and as `admitKey`. */
export function publicKey(text: string): Uint8Array {
  if (typeof text !== 'string' || !/^[0-9a-f]{64}$/i.test(text))
    throw new RaftkitError('INVALID_OPTION', 'a public key is written as 64 hexadecimal digits')
  const key = new Uint8Array(Buffer.from(text, 'hex'))
  admitKey(key)
  return key
}

/** Without the sign of x. */
const yOf = (key: Uint8Array): bigint => number(key) & (2n ** 255n - 1n)

const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)

/** Whether (y² - 1) / (d y² + 1) is a square: then it is the one of x. */
function isPoint(y: bigint): boolean {
  const square = (y * y) % p
  const ratio = ((square - 1n + p) * (d * square + 1n)) % p
  let power = 1n
  for (let base = ratio, left = (p - 1n) / 2n; left > 0n; left >>= 1n, base = (base * base) % p)
    if (left & 1n) power = (power * base) % p
  return power <= 1n
}
