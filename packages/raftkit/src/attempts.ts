import { type Environment, type ErrorCode, isRaftkitError, RaftkitError } from '@raftkit/contract'
import type { Alarm } from './alarm.ts'
import type { Caller } from './pending.ts'

/** How an entry gets into the log. */
export interface Placing {
  /**
   * Places `data` and tells `caller`, not before it returns, what applying it answered. It rejects with `outcome: 'refused'` only if this
   * placement certainly did not happen and never will; every other rejection, a throw too, counts as unknown.
   */
  readonly place: (data: Uint8Array, caller: Caller<Answer>) => Placement
  readonly environment: Environment
  /** Set for each attempt: who has it must `look` when it rings. */
  readonly alarm: Alarm
  /** Milliseconds for one attempt. */
  readonly attemptTimeout: number
}

export interface Answer {
  readonly result: Uint8Array
}

export interface Placement {
  /** Nobody waits any more. */
  abandon(): void
}

/** What is to be placed, and who hears what came of it: one of the two, at most once. */
export interface Placed {
  /** Asked for each attempt: all must mean the same entry. */
  entry(): Uint8Array
  answered(result: Uint8Array): void
  failed(error: unknown): void
}

/** What another attempt may cure. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NO_LEADER',
  'NOT_LEADER',
  'OVERLOADED',
  'TRANSFERRING',
  'SUPERSEDED',
  'UNKNOWN_OUTCOME',
  'TIMEOUT',
])

/** Milliseconds before the second attempt, doubled for each further one; half of it is random, so that clients do not move in step. */
const firstPause = 10
const longestPause = 1000

/** Places one entry again and again until it is answered, an error is final, or `stop`. */
export class Attempts {
  readonly #placing: Placing
  readonly #placed: Placed
  readonly #again: boolean
  #count = 0
  #over = false
  #mayBePlaced = false
  #lastError: unknown
  #running: Attempt | undefined
  /** Of the attempt that is running. */
  #deadline = Number.POSITIVE_INFINITY
  #cancelPause: () => void = nothing

  /** `again`: whether there may be a second attempt. */
  constructor(placing: Placing, placed: Placed, again: boolean) {
    this.#placing = placing
    this.#placed = placed
    this.#again = again
  }

  /** Some attempt may be in the log, now or later. */
  get placed(): boolean {
    return this.#mayBePlaced || this.#running !== undefined
  }

  /** Why the last attempt that ended came to nothing. */
  get lastError(): unknown {
    return this.#lastError
  }

  /** The first attempt. None of `placed` is told before it returns. */
  begin(): void {
    const { place, environment, alarm, attemptTimeout } = this.#placing
    const attempt = new Attempt(this)
    this.#running = attempt
    this.#count++
    this.#deadline = environment.now() + attemptTimeout
    alarm.set(this.#deadline)
    try {
      attempt.placement = place(this.#placed.entry(), attempt)
    } catch (error) {
      void Promise.resolve().then(() => this.lost(attempt, error))
    }
  }

  /** No callback from here on. `placed` stays what it was. */
  stop(): void {
    if (this.#over) return
    const running = this.#running
    if (running) this.#mayBePlaced = true
    this.#end()
    running?.placement?.abandon()
  }

  /** Gives an attempt up that takes too long: another one follows. Returns when to look again. */
  look(now: number): number {
    const running = this.#running
    if (!running || this.#deadline > now) return this.#deadline
    const { attemptTimeout } = this.#placing
    this.lost(running, new RaftkitError('TIMEOUT', `no answer in ${attemptTimeout} ms`, { outcome: 'unknown' }))
    running.placement?.abandon()
    return Number.POSITIVE_INFINITY
  }

  /** An answer that comes after its attempt was given up is as good as any: all attempts mean the same entry. */
  answered(result: Uint8Array): void {
    if (this.#over) return
    this.#end()
    this.#placed.answered(result)
  }

  lost(attempt: Attempt, error: unknown): void {
    if (this.#over || attempt !== this.#running) return
    this.#running = undefined
    this.#deadline = Number.POSITIVE_INFINITY
    this.#lastError = error
    if (!(isRaftkitError(error) && error.outcome === 'refused')) this.#mayBePlaced = true
    if (this.#again && isRaftkitError(error) && (error.retryable || passing.has(error.code))) {
      const { environment } = this.#placing
      this.#cancelPause = environment.at(environment.now() + this.#pause(), () => this.begin())
    } else {
      this.#end()
      this.#placed.failed(error)
    }
  }

  #pause(): number {
    const longest = Math.min(longestPause, firstPause * 2 ** (this.#count - 1))
    const random = new Uint8Array(1)
    this.#placing.environment.random(random)
    return (longest * (256 + random[0]!)) / 512
  }

  #end(): void {
    this.#over = true
    this.#running = undefined
    this.#deadline = Number.POSITIVE_INFINITY
    this.#cancelPause()
    this.#cancelPause = nothing
  }
}

/** One of them, so that what an earlier one comes to is told from what the present one does. */
class Attempt implements Caller<Answer> {
  placement: Placement | undefined
  readonly #attempts: Attempts

  constructor(attempts: Attempts) {
    this.#attempts = attempts
  }

  resolve({ result }: Answer): void {
    this.#attempts.answered(result)
  }

  reject(error: unknown): void {
    this.#attempts.lost(this, error)
  }
}

function nothing(): void {}
