import { Metadata, status } from '@grpc/grpc-js'
import type { NodeId, Receiver } from '@raftkit/contract'
import { decodeHello, encodeHello, maxHelloBytes } from './wire.ts'

const helloKey = 'raftkit-hello-bin'

/** The other side of a connection, once admitted. */
export interface Caller {
  readonly peer: NodeId
  /** Tells one life of its transport from the next. */
  readonly life: string
}

/** Why a connection is turned down, and the gRPC status that says so to the other side. */
export class Refusal {
  readonly code: status
  readonly reason: string

  constructor(code: status, reason: string) {
    this.code = code
    // A status travels in a header: printable, and short whatever a hello made of it.
    this.reason = reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 300)
  }
}

/**
 * What both sides say and check first. It travels in metadata, so that nothing of a stranger's messages is read:
 * until it is admitted, all that it can make us hold is one block of headers.
 */
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

  hello(): Metadata {
    const hello = encodeHello({ hello: this.#receiver.hello(), life: this.life, maxFrameBytes: this.#maxFrameBytes })
    if (hello.length > maxHelloBytes) throw new Refusal(status.INTERNAL, 'this node says more than a hello may hold')
    const metadata = new Metadata()
    metadata.set(helloKey, hello)
    return metadata
  }

  /** Throws a `Refusal`. */
  check(metadata: Metadata): Caller {
    const [value, ...more] = metadata.get(helloKey)
    const hello = typeof value === 'object' && more.length === 0 ? decodeHello(value) : undefined
    if (!hello) throw new Refusal(status.INVALID_ARGUMENT, 'no hello, or a malformed one: is this a Raftkit node?')
    let peer: NodeId
    try {
      // With TLS, the names in the peer's certificate go along here.
      peer = this.#receiver.admit(hello.hello)
    } catch (error) {
      throw new Refusal(status.PERMISSION_DENIED, error instanceof Error ? error.message : String(error))
    }
    if (peer === this.#self) throw new Refusal(status.PERMISSION_DENIED, `${peer} is the name of this node itself`)
    if (hello.maxFrameBytes !== this.#maxFrameBytes)
      throw new Refusal(
        status.FAILED_PRECONDITION,
        `maxFrameBytes is ${this.#maxFrameBytes} here and ${hello.maxFrameBytes} there: set the same on all nodes`,
      )
    return { peer, life: hello.life }
  }
}
