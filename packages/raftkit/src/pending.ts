import { type Environment, type ErrorCode, type ProtocolEvent, RaftkitError, type Settled } from '@raftkit/contract'
import type { CallOptions } from './calls.ts'
import { notSettled } from './failure.ts'

type Accepted = Extract<Settled, { readonly type: 'committed' | 'read' | 'transferred' }>

/** How a call ends, once the protocol has said yes. Both are idempotent; after an abort they do nothing. */
export interface Ending<T> {
  done(value: T): void
  fail(error: unknown): void
  /** Runs once the call has ended, however it did. */
  onEnd(run: () => void): void
}

export interface CallKind<T> {
  /** Whether it can have an effect: if not, giving up is always `refused`. */
  readonly effect: boolean
  /** Counted against `limits.waitingBytes`. */
  readonly bytes: number
  event(id: number): ProtocolEvent
  /** The call waits from now on; it may end without the protocol's word. */
  opened?(ending: Ending<T>): void
  /** The protocol agreed. `Ending` may come later, when the machine has got there. */
  accept(settled: Accepted, ending: Ending<T>): void
}

interface Call {
  readonly event: ProtocolEvent
  readonly kind: CallKind<unknown>
  readonly ending: Ending<unknown>
  readonly deadline: number
  /** It was stepped: from here on, its outcome is the protocol's to tell. */
  placed: boolean
}

/** Calls that run out of time are looked for this often, in milliseconds: a timer for each would cost more than they do. */
const sweepInterval = 50

/** Calls of clients that wait for the protocol. Bounded in number and bytes: beyond that they are refused at once. */
export class Pending {
  readonly #environment: Environment
  readonly #limits: { readonly calls: number; readonly bytes: number }
  readonly #timeout: number
  readonly #wake: () => void
  readonly #open = new Map<number, Call>()
  #unplaced: Call[] = []
  #bytes = 0
  #next = 1
  #cancelSweep: (() => void) | undefined
  #closed: RaftkitError | undefined

  constructor(
    environment: Environment,
    limits: { readonly calls: number; readonly bytes: number },
    timeout: number,
    wake: () => void,
  ) {
    this.#environment = environment
    this.#limits = limits
    this.#timeout = timeout
    this.#wake = wake
  }

  get count(): number {
    return this.#open.size
  }

  call<T>(kind: CallKind<T>, options: CallOptions = {}): Promise<T> {
    const { signal, timeout = this.#timeout } = options
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) return reject(this.#closed)
      if (signal?.aborted) return reject(gaveUp('ABORTED', 'it was aborted before it began', 'refused', signal.reason))
      if (!(timeout > 0))
        return reject(new RaftkitError('INVALID_OPTION', `timeout is ${timeout}; give milliseconds above 0`))
      if (this.#open.size >= this.#limits.calls || this.#bytes + kind.bytes > this.#limits.bytes)
        return reject(
          new RaftkitError(
            'OVERLOADED',
            `${this.#open.size} calls of ${this.#bytes} bytes wait already; wait for some of them, or raise limits`,
            { outcome: 'refused', retryable: true },
          ),
        )
      const id = this.#next++
      let cleanUp: (() => void) | undefined
      const end = (): boolean => {
        if (!this.#open.delete(id)) return false
        this.#bytes -= kind.bytes
        signal?.removeEventListener('abort', abort)
        cleanUp?.()
        return true
      }
      const ending: Ending<T> = {
        done: (value) => void (end() && resolve(value)),
        fail: (error) => void (end() && reject(error)),
        onEnd: (run) => {
          cleanUp = run
        },
      }
      const abort = (): void => this.#giveUp(call, 'ABORTED', 'the caller gave up waiting', signal?.reason)
      const call: Call = {
        event: kind.event(id),
        kind: kind as CallKind<unknown>,
        ending: ending as Ending<unknown>,
        deadline: this.#environment.now() + timeout,
        placed: false,
      }
      signal?.addEventListener('abort', abort)
      this.#open.set(id, call)
      kind.opened?.(ending)
      this.#bytes += kind.bytes
      this.#unplaced.push(call)
      if (timeout !== Number.POSITIVE_INFINITY) this.#sweepLater()
      this.#wake()
    })
  }

  /** The events of calls that came in since, in order. From now on they count as placed. */
  place(): ProtocolEvent[] {
    const events: ProtocolEvent[] = []
    for (const call of this.#unplaced) {
      if (!this.#open.has((call.event as { id: number }).id)) continue // aborted meanwhile: it certainly did not happen
      call.placed = true
      events.push(call.event)
    }
    this.#unplaced = []
    return events
  }

  get hasUnplaced(): boolean {
    return this.#unplaced.length > 0
  }

  settle(settled: Settled): void {
    const call = this.#open.get(settled.id)
    if (!call) return // given up by its caller
    if (settled.type === 'refused' || settled.type === 'unknown') call.ending.fail(notSettled(settled))
    else call.kind.accept(settled, call.ending)
  }

  /** Ends every call, now and from now on. */
  close(code: ErrorCode, reason: string, cause?: unknown): void {
    this.#closed ??= new RaftkitError(code, reason, { outcome: 'refused', cause })
    this.#cancelSweep?.()
    this.#unplaced = []
    for (const call of [...this.#open.values()]) {
      const outcome = call.placed && call.kind.effect ? 'unknown' : 'refused'
      call.ending.fail(new RaftkitError(code, reason, { outcome, cause }))
    }
  }

  /** Refuses new calls; those that wait go on. */
  refuse(code: ErrorCode, reason: string): void {
    this.#closed ??= new RaftkitError(code, reason, { outcome: 'refused' })
  }

  #giveUp(call: Call, code: ErrorCode, reason: string, cause?: unknown): void {
    const unknown = call.placed && call.kind.effect
    const sentence = unknown ? `${reason}; it may still happen` : `${reason}; it did not happen`
    call.ending.fail(gaveUp(code, sentence, unknown ? 'unknown' : 'refused', cause))
  }

  #sweepLater(): void {
    this.#cancelSweep ??= this.#environment.at(this.#environment.now() + sweepInterval, () => this.#sweep())
  }

  #sweep(): void {
    this.#cancelSweep = undefined
    const now = this.#environment.now()
    let timed = false
    for (const call of [...this.#open.values()]) {
      if (call.deadline <= now) this.#giveUp(call, 'TIMEOUT', 'no answer within the timeout')
      else timed ||= call.deadline !== Number.POSITIVE_INFINITY
    }
    if (timed && !this.#closed) this.#sweepLater()
  }
}

function gaveUp(code: ErrorCode, sentence: string, outcome: 'refused' | 'unknown', cause?: unknown): RaftkitError {
  return new RaftkitError(code, sentence, { outcome, cause, retryable: code === 'TIMEOUT' && outcome === 'refused' })
}
