import type { Lane, NodeId } from '@raftkit/contract'
import type { Address } from './address.ts'
import type { Carrier } from './carrier.ts'
import type { Connection } from './connection.ts'
import { type Caller, Calling, type Handshake, type Hello } from './handshake.ts'
import { misunderstandingOf, Refusal, reasonOf, turnedDown } from './refusal.ts'
import type { Certificate } from './tls.ts'

/** A connection that is not admitted by then is closed, and an attempt to connect given up. */
export const handshakeMs = 5000

/** Nobody answered; somebody did, and one of us turned the other down; we are connected already. */
export type Failure = 'unreachable' | 'refused' | 'connected'

/** One attempt to connect one lane to one peer. It ends once: the first of `opened` and `failed` counts, and so does being given up. */
export interface Attempt {
  readonly address: Address
  readonly lane: Lane
  /** No more use in going on. */
  readonly over: boolean
  /** Our side of the handshake. Throws: fail with `reasonOf` it. */
  hello(): Hello
  /** What to say to a challenge, which comes before their hello where a secret is asked for. Throws a `Refusal`. */
  answer(challenge: Uint8Array): Uint8Array
  /**
   * Who answered, from its hello; undefined if it could not be read. Throws a `Refusal`, also if it is not the one that was dialled.
   * `certificate`: what `Credentials.judge` gave, on a connection with TLS.
   */
  check(hello: Hello | undefined, certificate?: Certificate): Caller
  /** Both sides have admitted each other. */
  opened(connection: Connection): void
  failed(kind: Failure, reason: string): void
  /** The other side has turned us down, and says why. */
  turnedDown(refusal: Refusal): void
  /** The connection has failed below us. */
  broke(error: Error): void
}

interface Wanted {
  readonly peer: NodeId
  readonly address: Address
  readonly lane: Lane
  readonly handshake: Handshake
  opened(connection: Connection): void
  failed(kind: Failure, reason: string): void
}

/** Returns what gives it up; nothing more is told then. `failed` may be told before this returns. */
export function attempt(carrier: Carrier, { handshake, ...wanted }: Wanted): () => void {
  let over = false
  let giveUp: (() => void) | undefined
  const settle = () => {
    if (over) return false
    over = true
    clearTimeout(timer)
    return true
  }
  let vain = false
  const fail = (kind: Failure, reason: string) => {
    if (!settle()) return
    vain = true
    giveUp?.()
    wanted.failed(kind, reason)
  }
  const timer = setTimeout(() => fail('unreachable', `no answer within ${handshakeMs} ms`), handshakeMs)
  const calling = new Calling(handshake, wanted.lane)
  try {
    giveUp = carrier.dial({
      address: wanted.address,
      lane: wanted.lane,
      get over() {
        return over
      },
      hello: () => calling.hello(),
      answer: (challenge) => calling.answer(challenge),
      check(hello, certificate) {
        const caller = calling.check(hello, certificate)
        if (caller.peer === wanted.peer) return caller
        throw new Refusal('refused', `${wanted.peer} is expected there, but ${caller.peer} answers`)
      },
      opened(connection) {
        const objection = handshake.objection(connection.caller)
        if (objection) fail('refused', objection.reason)
        if (settle()) wanted.opened(connection)
        else connection.destroy()
      },
      failed: fail,
      turnedDown(refusal) {
        fail(refusal.kind === 'connected' ? 'connected' : 'refused', turnedDown(refusal).reason)
      },
      broke(error) {
        const misunderstanding = misunderstandingOf(error)
        if (misunderstanding) fail('refused', misunderstanding)
        else fail('unreachable', error.message)
      },
    })
    // Failed before there was anything to give up.
    if (vain) giveUp()
  } catch (error) {
    fail('unreachable', reasonOf(error))
  }
  return () => {
    if (settle()) giveUp?.()
  }
}
