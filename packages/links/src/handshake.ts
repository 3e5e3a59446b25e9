import type { Lane, NodeId, Receiver } from '@raftkit/contract'
import { Refusal, reasonOf } from './refusal.ts'
import { type Greetings, newNonce, nonceBytes, type Secret } from './secret.ts'
import type { Certificate, Credentials } from './tls.ts'

/** What both sides say first, in whatever layout the adapter gives it. */
export interface Hello {
  /** Of the receiver; opaque. */
  readonly hello: Uint8Array
  /** Tells one life of a transport from the next: eight random bytes, as 16 hexadecimal digits. */
  readonly life: string
  readonly maxFrameBytes: number
  /** Sixteen random bytes, others on each connection. */
  readonly nonce: Uint8Array
  /** The listener's, that it knows the secret: 32 bytes. Empty where no secret is asked for, and in the hello of a dialler. */
  readonly proof: Uint8Array
}

/** Of `Hello.hello`, on the way out. What comes in is bounded by the adapter, before it is read. */
export const maxHelloBytes = 8000

/** The other side of a connection, once admitted. */
export interface Caller {
  readonly peer: NodeId
  readonly life: string
  /** Absent without TLS. */
  readonly certificate?: Certificate
}

const nothing = new Uint8Array(0)

/** What a node says and checks before a frame passes. */
export class Handshake {
  readonly life: string
  readonly #self: NodeId
  readonly #receiver: Receiver
  readonly #maxFrameBytes: number
  readonly #credentials: Credentials | undefined
  readonly secret: Secret | undefined

  constructor(of: {
    self: NodeId
    receiver: Receiver
    life: string
    maxFrameBytes: number
    credentials?: Credentials | undefined
    secret?: Secret | undefined
  }) {
    this.life = of.life
    this.secret = of.secret
    this.#self = of.self
    this.#receiver = of.receiver
    this.#maxFrameBytes = of.maxFrameBytes
    this.#credentials = of.credentials
  }

  /** Another nonce each time. Throws what the receiver throws, or a `Refusal`. */
  hello(): Hello {
    const hello = this.#receiver.hello()
    if (hello.length > maxHelloBytes) throw new Refusal('failed', 'this node says more than a hello may hold')
    return { hello, life: this.life, maxFrameBytes: this.#maxFrameBytes, nonce: newNonce(), proof: nothing }
  }

  /** Before anything is told or judged. Throws a `Refusal`. */
  wellFormed(hello: Hello | undefined, certificate: Certificate | undefined): Hello {
    // Whoever forgets to judge a certificate admits nobody.
    if (this.#credentials && !certificate) throw new Refusal('refused', 'it shows no certificate')
    if (hello?.nonce.length !== nonceBytes)
      throw new Refusal('malformed', 'no hello, or a malformed one: is this a Raftkit node?')
    return hello
  }

  /** Who it is. After all else: the receiver learns from a hello. Throws a `Refusal`. */
  admit(hello: Hello, certificate: Certificate | undefined): Caller {
    if (hello.maxFrameBytes !== this.#maxFrameBytes)
      throw new Refusal(
        'limits',
        `maxFrameBytes is ${this.#maxFrameBytes} here and ${hello.maxFrameBytes} there: set the same on all nodes`,
      )
    let peer: NodeId
    try {
      peer = this.#receiver.admit(hello.hello, certificate?.names)
    } catch (error) {
      throw new Refusal('refused', reasonOf(error))
    }
    if (peer === this.#self) throw new Refusal('refused', `${peer} is the name of this node itself`)
    return { peer, life: hello.life, ...(certificate ? { certificate } : {}) }
  }

  /** Why the caller would not be admitted any more, for its certificate. */
  objection({ certificate }: Caller): Refusal | undefined {
    return certificate && this.#credentials?.objection(certificate)
  }
}

/** The dialler's side of one handshake: `hello`, `answer` if it is asked, `check`. */
export class Calling {
  readonly #handshake: Handshake
  readonly #lane: Lane
  #said: Hello | undefined
  #greetings: Greetings | undefined

  constructor(handshake: Handshake, lane: Lane) {
    this.#handshake = handshake
    this.#lane = lane
  }

  hello(): Hello {
    this.#said = this.#handshake.hello()
    return this.#said
  }

  answer(challenge: Uint8Array): Uint8Array {
    const { secret } = this.#handshake
    if (!secret) throw new Refusal('refused', 'it asks for a secret, and this node was given none')
    if (!this.#said || this.#greetings || challenge.length !== nonceBytes)
      throw new Refusal('malformed', 'a challenge out of order')
    this.#greetings = { lane: this.#lane, dialler: this.#said, challenge }
    return secret.prove('dialler', this.#greetings)
  }

  check(theirs: Hello | undefined, certificate: Certificate | undefined): Caller {
    const hello = this.#handshake.wellFormed(theirs, certificate)
    const { secret } = this.#handshake
    if (secret && !this.#greetings)
      throw new Refusal('refused', 'it asks for no secret, and this node was given one: give all nodes the same')
    if (secret && !secret.isProven(hello.proof, 'listener', { ...this.#greetings!, listener: hello }))
      throw wrongSecret()
    return this.#handshake.admit(hello, certificate)
  }
}

/** The listener's side of one handshake: `challenge` if there is one, then `admit`. */
export class Meeting {
  /** To be said before anything else, and answered. Undefined: nothing is asked. */
  readonly challenge: Uint8Array | undefined
  readonly #handshake: Handshake
  readonly #theirs: Hello
  readonly #lane: Lane
  readonly #certificate: Certificate | undefined
  readonly #consider: (caller: Caller) => void

  /** `consider`: a last word on who it is; throws a `Refusal`, as this does. */
  constructor(
    handshake: Handshake,
    theirs: Hello | undefined,
    lane: Lane,
    certificate: Certificate | undefined,
    consider: (caller: Caller) => void,
  ) {
    this.#handshake = handshake
    this.#theirs = handshake.wellFormed(theirs, certificate)
    this.#lane = lane
    this.#certificate = certificate
    this.#consider = consider
    this.challenge = handshake.secret && newNonce()
  }

  /** `proof`: their answer to the challenge. Gives who they are, and what to say. Throws a `Refusal`, or what the receiver throws. */
  admit(proof: Uint8Array = nothing): { readonly caller: Caller; readonly hello: Hello } {
    const { secret } = this.#handshake
    const { challenge } = this
    if (!secret || !challenge) return this.#admit()
    const greetings = { lane: this.#lane, dialler: this.#theirs, challenge }
    if (!secret.isProven(proof, 'dialler', greetings)) throw wrongSecret()
    const { caller, hello } = this.#admit()
    return { caller, hello: { ...hello, proof: secret.prove('listener', { ...greetings, listener: hello }) } }
  }

  #admit(): { caller: Caller; hello: Hello } {
    const caller = this.#handshake.admit(this.#theirs, this.#certificate)
    this.#consider(caller)
    return { caller, hello: this.#handshake.hello() }
  }
}

const wrongSecret = () => new Refusal('refused', 'it does not prove that it knows the secret of this node')
