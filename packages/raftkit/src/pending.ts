import {
  type Environment,
  type ErrorCode,
  type Index,
  type ProtocolEvent,
  RaftkitError,
  type Settled,
} from '@raftkit/contract'
import { Alarm } from './alarm.ts'
import type { CallOptions } from './calls.ts'
import { notSettled } from './failure.ts'

export type Accepted = Extract<Settled, { readonly type: 'committed' | 'read' | 'transferred' }>

/** How a call ends, once the protocol has said yes. Both are idempotent; after an abort they do nothing. */
export interface Ending<T> {
  /** When the call was opened. */
  readonly began: number
  /** Where it stands in the log, once that is known. */
  index: Index
  done(value: T): void
  fail(error: unknown): void
}

export interface CallKind<T> {
  /** Whether it can have an effect: if not, giving up is always `refused`. */
  readonly effect: boolean
  /** Counted against `limits.waitingBytes`. */
  readonly bytes: number
  /** What is stepped for it. `time`: milliseconds since the epoch, an integer, for those that stamp an entry. */
  event(id: number, time: number): ProtocolEvent
  /** The call waits from now on; it may end without the protocol's word. */
  opened?(ending: Ending<T>): void
  /** The protocol agreed. `Ending` may come later, when the machine has got there. */
  accept(settled: Accepted, ending: Ending<T>, now: number): void
  /** It has ended, well or with `error`. */
  ended?(error?: unknown): void
}

/** Who hears how a call ended: one of the two, once, and not before the call was opened. */
export interface Caller<T> {
  resolve(value: T): void
  reject(error: unknown): void
}

/** Calls of clients that wait for the protocol. Bounded in number and bytes: beyond that they are refused at once. */
export class Pending {
  readonly #environment: Environment
  readonly #alarm: Alarm
  readonly #limits: { readonly calls: number; readonly bytes: number }
  readonly #timeout: number
  readonly #wake: () => void
  readonly #open = new Map<number, Call<unknown>>()
  #unplaced: Call<unknown>[] = []
  #bytes = 0
  #next = 1
  #closed: RaftkitError | undefined

  constructor(
    environment: Environment,
    limits: { readonly calls: number; readonly bytes: number },
    timeout: number,
    wake: () => void,
  ) {
    this.#environment = environment
    this.#alarm = new Alarm(environment, (now) => this.#look(now))
    this.#limits = limits
    this.#timeout = timeout
    this.#wake = wake
  }

  get count(): number {
    return this.#open.size
  }

  call<T>(kind: CallKind<T>, options: CallOptions = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => this.open(kind, { resolve, reject }, options))
  }

  /** As `call`, for a caller that is no promise. Throws what refuses the call at once: then `caller` is not told. */
  open<T>(kind: CallKind<T>, caller: Caller<T>, options: CallOptions = {}): Call<T> {
    const { signal, timeout = this.#timeout } = options
    if (this.#closed) throw this.#closed
    if (signal?.aborted) throw gaveUp('ABORTED', 'it was aborted before it began', 'refused', signal.reason)
    if (!(timeout > 0)) throw new RaftkitError('INVALID_OPTION', `timeout is ${timeout}; give milliseconds above 0`)
    if (this.#open.size >= this.#limits.calls || this.#bytes + kind.bytes > this.#limits.bytes)
      throw new RaftkitError(
        'OVERLOADED',
        `${this.#open.size} calls of ${this.#bytes} bytes wait already; wait for some of them, or raise limits`,
        { outcome: 'refused', retryable: true },
      )
    const id = this.#next++
    const call = new Call(id, kind, caller, this.#environment.now(), timeout, this.#ended)
    this.#open.set(id, call as Call<unknown>)
    this.#bytes += kind.bytes
    if (signal) call.heed(signal)
    kind.opened?.(call)
    this.#unplaced.push(call as Call<unknown>)
    this.#alarm.set(call.deadline)
    this.#wake()
    return call
  }

  /** The events of calls that came in since, in order. From now on they count as placed. */
  place(): ProtocolEvent[] {
    const events: ProtocolEvent[] = []
    if (this.#unplaced.length === 0) return events
    const time = Math.floor(this.#environment.wall())
    for (const call of this.#unplaced) {
      if (call.over) continue // aborted meanwhile: it certainly did not happen
      events.push(call.place(time))
    }
    this.#unplaced = []
    return events
  }

  settle(all: readonly Settled[]): void {
    if (all.length === 0) return
    const now = this.#environment.now()
    for (const settled of all) {
      const call = this.#open.get(settled.id)
      if (!call) continue // given up by its caller
      if (settled.type === 'refused' || settled.type === 'unknown') call.fail(notSettled(settled))
      else call.accept(settled, now)
    }
  }

  /** Ends every call, now and from now on. */
  close(code: ErrorCode, reason: string, cause?: unknown): void {
    this.#closed ??= new RaftkitError(code, reason, { outcome: 'refused', cause })
    this.#unplaced = []
    for (const call of [...this.#open.values()])
      call.fail(new RaftkitError(code, reason, { outcome: call.outcome, cause }))
  }

  /** Refuses new calls; those that wait go on. */
  refuse(code: ErrorCode, reason: string): void {
    this.#closed ??= new RaftkitError(code, reason, { outcome: 'refused' })
  }

  #look(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const call of this.#open.values()) {
      if (call.deadline <= now) call.expire()
      else next = Math.min(next, call.deadline)
    }
    return next
  }

  readonly #ended = (call: Call<never>): void => {
    this.#open.delete(call.id)
    this.#bytes -= call.bytes
    if (this.#open.size === 0) this.#alarm.off()
  }
}

/** One of them. */
class Call<T> implements Ending<T> {
  readonly id: number
  readonly began: number
  readonly deadline: number
  index: Index = 0
  /** It was stepped: from here on, its outcome is the protocol's to tell. */
  placed = false
  over = false
  readonly #kind: CallKind<T>
  readonly #caller: Caller<T>
  readonly #ended: (call: Call<never>) => void
  #signal: AbortSignal | undefined
  #abort: (() => void) | undefined

  constructor(
    id: number,
    kind: CallKind<T>,
    caller: Caller<T>,
    now: number,
    timeout: number,
    ended: (call: Call<never>) => void,
  ) {
    this.id = id
    this.began = now
    this.deadline = now + timeout
    this.#kind = kind
    this.#caller = caller
    this.#ended = ended
  }

  get bytes(): number {
    return this.#kind.bytes
  }

  /** What is known of a call that ends without the protocol's word. */
  get outcome(): 'refused' | 'unknown' {
    return this.placed && this.#kind.effect ? 'unknown' : 'refused'
  }

  place(time: number): ProtocolEvent {
    this.placed = true
    return this.#kind.event(this.id, time)
  }

  accept(settled: Accepted, now: number): void {
    this.#kind.accept(settled, this, now)
  }

  done(value: T): void {
    if (this.#end()) this.#caller.resolve(value)
  }

  fail(error: unknown): void {
    if (this.#end(error)) this.#caller.reject(error)
  }

  /** Ends it when `signal` aborts. */
  heed(signal: AbortSignal): void {
    this.#signal = signal
    this.#abort = () => this.abandon(signal.reason)
    signal.addEventListener('abort', this.#abort)
  }

  /** Nobody waits for it any more. */
  abandon(reason?: unknown): void {
    this.#giveUp('ABORTED', 'the caller gave up waiting', reason)
  }

  expire(): void {
    this.#giveUp('TIMEOUT', 'no answer within the timeout')
  }

  #giveUp(code: ErrorCode, reason: string, cause?: unknown): void {
    if (this.over) return
    const { outcome } = this
    const sentence = outcome === 'unknown' ? `${reason}; it may still happen` : `${reason}; it did not happen`
    this.fail(gaveUp(code, sentence, outcome, cause))
  }

  /** False: it had ended already. */
  #end(error?: unknown): boolean {
    if (this.over) return false
    this.over = true
    this.#ended(this as Call<never>)
    if (this.#abort) this.#signal?.removeEventListener('abort', this.#abort)
    this.#kind.ended?.(error)
    return true
  }
}

export type { Call }

function gaveUp(code: ErrorCode, sentence: string, outcome: 'refused' | 'unknown', cause?: unknown): RaftkitError {
  return new RaftkitError(code, sentence, { outcome, cause, retryable: code === 'TIMEOUT' && outcome === 'refused' })
}
