import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import type { Lane } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import type { Hello } from './handshake.ts'

const leastCharacters = 32
/** Of a challenge, and of the nonce in a hello. */
export const nonceBytes = 16
export const proofBytes = 32

export function newNonce(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(nonceBytes))
}

/** What both sides have said. */
export interface Greetings {
  readonly lane: Lane
  readonly dialler: Hello
  /** The listener's. */
  readonly challenge: Uint8Array
  /** Said after the dialler's proof. */
  readonly listener?: Hello
}

/**
 * Known to all nodes of a cluster, and to nobody else. Each side proves that it knows it, by an HMAC-SHA256 over all that both have
 * said: the nonces of both, so that nothing can be said again later; the hellos of both, so that neither can be altered; the lane;
 * and who proves, so that nothing can be thrown back.
 */
export class Secret {
  readonly #key: Uint8Array

  /** Throws `INVALID_OPTION`. */
  constructor(secret: string) {
    if (typeof secret !== 'string' || secret.length < leastCharacters)
      throw new RaftkitError(
        'INVALID_OPTION',
        `\`secret\` has at least ${leastCharacters} characters, at random: whoever hears a greeting can try out all that is shorter`,
      )
    this.#key = new TextEncoder().encode(secret)
  }

  prove(by: 'dialler' | 'listener', { lane, dialler, challenge, listener }: Greetings): Uint8Array {
    const mac = hmac.create(sha256, this.#key)
    mac.update(new TextEncoder().encode(`raftkit secret 1 ${by} ${lane}\n`))
    mac.update(challenge)
    add(mac, dialler)
    if (listener) add(mac, listener)
    return mac.digest()
  }

  /** In a time that does not tell how much of it is right. */
  isProven(proof: Uint8Array, by: 'dialler' | 'listener', greetings: Greetings): boolean {
    const wanted = this.prove(by, greetings)
    let differs = proof.length ^ wanted.length
    for (let n = 0; n < wanted.length; n++) differs |= wanted[n]! ^ (proof[n] ?? 0)
    return differs === 0
  }
}

function add(mac: { update(bytes: Uint8Array): unknown }, { hello, life, maxFrameBytes, nonce }: Hello): void {
  const fixed = new Uint8Array(16)
  const view = new DataView(fixed.buffer)
  view.setBigUint64(0, BigInt(`0x${life}`))
  view.setUint32(8, maxFrameBytes)
  view.setUint32(12, hello.length)
  mac.update(fixed)
  mac.update(nonce)
  mac.update(hello)
}
