import type { Lane, NodeId } from '@raftkit/contract'
import { type Address, formatAddress } from './address.ts'
import { attempt, type Failure } from './attempt.ts'
import type { Carrier } from './carrier.ts'
import type { Connection } from './connection.ts'
import type { Handshake } from './handshake.ts'
import { Outbox, weightOf } from './outbox.ts'

/** Bytes handed to a connection that it has not yet taken; beyond, frames gather in the outbox. What is below us may have no bound. */
const windowBytes = 512 * 1024
const leastWaitMs = 50
const mostWaitMs = 1000

/** The end of this turn of the event loop. */
const atEndOfTurn: (then: () => void) => void = globalThis.process?.nextTick ?? queueMicrotask

/** What a lane needs of the transport it belongs to. */
export interface Surroundings {
  readonly self: NodeId
  readonly carrier: Carrier
  readonly handshake: Handshake
  readonly queueBytes: number
  frame(from: NodeId, frame: Uint8Array): unknown
  report(kind: 'unreachable' | 'refused' | 'malformed', remote: string, reason: string, peer: NodeId): void
  /** Connections that are not over, in force or not. */
  readonly connections: Set<Connection>
  /** One of them is over. */
  ended(): void
}

/**
 * One lane to one peer: at most one connection in force, and what waits for it.
 *
 * Both sides may dial. Each dials only while it has no connection, so two exist only if both came about at the same moment;
 * then the one dialled by the smaller id stays, which both sides know without asking. The other is emptied, not cut.
 */
export class PeerLane {
  readonly #around: Surroundings
  readonly #peer: NodeId
  readonly #lane: Lane
  readonly #changed: () => void
  readonly #answered: () => void
  readonly #outbox: Outbox
  #connection: Connection | undefined
  #inFlight = 0
  #flushing = false
  #full = false
  #address: Address | undefined
  #giveUp: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  /** Until then the connection has proved nothing: a peer whose frames cannot be read is admitted each time, and cut at once. */
  #probation: ReturnType<typeof setTimeout> | undefined

  /** `changed`: connected, full, or neither, other than before. `answered`: the peer was dialled, with success. */
  constructor(around: Surroundings, peer: NodeId, lane: Lane, changed: () => void, answered: () => void) {
    this.#around = around
    this.#peer = peer
    this.#lane = lane
    this.#changed = changed
    this.#answered = answered
    this.#outbox = new Outbox(around.queueBytes)
  }

  get connection(): Connection | undefined {
    return this.#connection
  }

  /** Frames are being dropped, until half of what waits is gone. */
  get full(): boolean {
    return this.#full
  }

  send(parts: readonly Uint8Array[], bytes: number): void {
    if (!this.#connection) return
    const outbox = this.#outbox
    if (!outbox.fits(bytes)) {
      if (this.#lane === 'bulk') this.#full = true
      // The newest control frame says most: a vote or a heartbeat supersedes those before it.
      else while (!outbox.empty && !outbox.fits(bytes)) outbox.dropOldest()
    }
    if (outbox.fits(bytes)) outbox.add(parts, bytes)
    if (this.#flushing) return
    // All that is sent in this turn goes as one batch.
    this.#flushing = true
    atEndOfTurn(this.#endTurn)
  }

  readonly #endTurn = (): void => {
    this.#flushing = false
    this.#flush()
  }

  #flush(): void {
    const connection = this.#connection
    while (connection && this.#inFlight < windowBytes && !this.#outbox.empty) {
      const batch = this.#outbox.take()
      const weight = weightOf(batch)
      this.#inFlight += weight
      connection.write(batch, () => {
        if (this.#connection !== connection) return
        this.#inFlight -= weight
        this.#flush()
      })
    }
    if (this.#full && this.#inFlight < windowBytes && this.#outbox.bytes <= this.#around.queueBytes / 2)
      this.#full = false
    this.#changed()
  }

  /** From now on dials this address, or nobody. A connection that was dialled elsewhere is dropped. */
  dial(address: Address | undefined): void {
    if (this.#address && address ? formatAddress(this.#address) === formatAddress(address) : this.#address === address)
      return
    this.#address = address
    this.#stopDialling()
    this.#failures = 0
    if (this.#connection?.dialled) this.#connection.destroy()
    else this.#dialAfter(0)
  }

  #dialAfter(ms: number): void {
    if (!this.#address || this.#connection || this.#giveUp || this.#timer) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#dialNow()
    }, ms)
  }

  /** The peer is there after all: if an attempt waits for its time, now is the time. */
  hurry(): void {
    if (!this.#timer) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#dialNow()
  }

  #dialNow(): void {
    const address = this.#address!
    let failed = false
    const giveUp = attempt(this.#around.carrier, {
      peer: this.#peer,
      address,
      lane: this.#lane,
      handshake: this.#around.handshake,
      opened: (connection) => this.adopt(connection),
      failed: (kind: Failure, reason) => {
        failed = true
        this.#giveUp = undefined
        this.#dialAfter(this.#backOff())
        if (kind !== 'connected') this.#around.report(kind, formatAddress(address), reason, this.#peer)
      },
    })
    if (!failed) this.#giveUp = giveUp
  }

  /** Doubles from failure to failure; half of it is left to chance, so that nodes which lost each other do not collide again. */
  #backOff(): number {
    const most = Math.min(mostWaitMs, 2 * leastWaitMs * 2 ** this.#failures++)
    return most * (0.5 + Math.random() / 2)
  }

  #stopDialling(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#giveUp?.()
    this.#giveUp = undefined
  }

  /** Both sides have admitted each other. */
  adopt(connection: Connection): void {
    const before = this.#connection
    const crossed =
      before !== undefined && before.caller.life === connection.caller.life && before.dialled !== connection.dialled
    const stays = !crossed || this.#wins(connection)
    if (stays) {
      this.#connection = connection
      this.#inFlight = 0
      clearTimeout(this.#probation)
      this.#probation = setTimeout(() => {
        this.#failures = 0
      }, mostWaitMs)
    }
    this.#stopDialling()
    this.#listen(connection)
    if (crossed) {
      const loser = stays ? before : connection
      // The side that dialled it ends it: frames that are on their way still arrive.
      if (loser.dialled) loser.end()
    } else before?.destroy()
    this.#flush()
    if (connection.dialled) this.#answered()
  }

  #wins(connection: Connection): boolean {
    return connection.dialled === this.#around.self < this.#peer
  }

  /** Whether another connection of that life of the peer would only lose. */
  holdsAgainst(life: string): boolean {
    return this.#connection?.caller.life === life && this.#connection.dialled && this.#wins(this.#connection)
  }

  #listen(connection: Connection): void {
    this.#around.connections.add(connection)
    connection.listen({
      frame: (frame) => this.#around.frame(this.#peer, frame),
      malformed: (reason) => this.#around.report('malformed', connection.remote, reason, this.#peer),
      over: () => {
        this.#around.connections.delete(connection)
        if (this.#connection === connection) this.#lost()
        this.#around.ended()
      },
    })
  }

  #lost(): void {
    clearTimeout(this.#probation)
    this.#connection = undefined
    this.#outbox.clear()
    this.#inFlight = 0
    this.#full = false
    this.#dialAfter(this.#backOff())
    this.#changed()
  }

  /** Ends for good; what waits still goes out. */
  finish(): void {
    clearTimeout(this.#probation)
    this.#address = undefined
    this.#stopDialling()
    while (this.#connection && !this.#outbox.empty) this.#connection.write(this.#outbox.take(), () => {})
    this.#connection?.end()
  }
}
