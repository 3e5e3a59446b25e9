import type { NodeId, Receiver } from '@raftkit/contract'

/** What both sides say first, in whatever layout the adapter gives it. */
export interface Hello {
  /** Of the receiver; opaque. */
  readonly hello: Uint8Array
  /** Tells one life of a transport from the next: eight random bytes, as 16 hexadecimal digits. */
  readonly life: string
  readonly maxFrameBytes: number
}

/** Of `Hello.hello`, on the way out. What comes in is bounded by the adapter, before it is read. */
export const maxHelloBytes = 8000

/** The other side of a connection, once admitted. */
export interface Caller {
  readonly peer: NodeId
  readonly life: string
}

/**
 * `malformed`: no hello, or none that can be read. `refused`: not admitted. `limits`: another `maxFrameBytes`.
 * `connected`: we are connected already, so nothing is wrong. `busy`: too much was asked for. `failed`: we could not say or decide.
 */
export type RefusalKind = 'malformed' | 'refused' | 'limits' | 'connected' | 'busy' | 'failed'

/** Why a connection is turned down. */
export class Refusal {
  readonly kind: RefusalKind
  readonly reason: string

  constructor(kind: RefusalKind, reason: string) {
    this.kind = kind
    // It travels: printable, and short whatever a hello made of it.
    this.reason = reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 300)
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Refusal ? error.reason : error instanceof Error ? error.message : String(error)
}

/** What both sides say and check before a frame passes. */
export class Handshake {
  readonly life: string
  readonly #self: NodeId
  readonly #receiver: Receiver
  readonly #maxFrameBytes: number

  constructor(self: NodeId, receiver: Receiver, life: string, maxFrameBytes: number) {
    this.#self = self
    this.#receiver = receiver
    this.life = life
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Throws what the receiver throws, or a `Refusal`. */
  hello(): Hello {
    const hello = this.#receiver.hello()
    if (hello.length > maxHelloBytes) throw new Refusal('failed', 'this node says more than a hello may hold')
    return { hello, life: this.life, maxFrameBytes: this.#maxFrameBytes }
  }

  /** Throws a `Refusal`. `undefined` stands for a hello that could not be read. */
  check(hello: Hello | undefined, proven?: readonly string[]): Caller {
    if (!hello) throw new Refusal('malformed', 'no hello, or a malformed one: is this a Raftkit node?')
    let peer: NodeId
    try {
      peer = this.#receiver.admit(hello.hello, proven)
    } catch (error) {
      throw new Refusal('refused', reasonOf(error))
    }
    if (peer === this.#self) throw new Refusal('refused', `${peer} is the name of this node itself`)
    if (hello.maxFrameBytes !== this.#maxFrameBytes)
      throw new Refusal(
        'limits',
        `maxFrameBytes is ${this.#maxFrameBytes} here and ${hello.maxFrameBytes} there: set the same on all nodes`,
      )
    return { peer, life: hello.life }
  }
}
