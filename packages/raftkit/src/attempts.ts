import { type Environment, type ErrorCode, isRaftkitError, RaftkitError } from '@raftkit/contract'

/** How an entry gets into the log. */
export interface Placing {
  /**
   * Places `data` and resolves with what applying it answered. Rejects with `outcome: 'refused'` only if this placement certainly did
   * not happen and never will; every other rejection counts as unknown. `signal`: nobody waits any more.
   */
  readonly propose: (data: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>
  readonly environment: Environment
  /** Milliseconds for one attempt. */
  readonly attemptTimeout: number
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

/** Places one entry again and again until it is answered, an error is final, or `stop`. Each callback comes at most once, and only one of them. */
export class Attempts {
  readonly #placing: Placing
  readonly #data: () => Uint8Array
  readonly #again: boolean
  readonly #answered: (result: Uint8Array) => void
  readonly #failed: (error: unknown) => void
  #count = 0
  #over = false
  #placed = false
  #lastError: unknown
  #running: AbortController | undefined
  #cancelTimer: () => void = nothing

  /** `data` is asked for each attempt: all must mean the same entry. `again`: whether there may be a second attempt. */
  constructor(
    placing: Placing,
    data: () => Uint8Array,
    again: boolean,
    answered: (result: Uint8Array) => void,
    failed: (error: unknown) => void,
  ) {
    this.#placing = placing
    this.#data = data
    this.#again = again
    this.#answered = answered
    this.#failed = failed
    this.#attempt()
  }

  /** Some attempt may be in the log, now or later. */
  get placed(): boolean {
    return this.#placed || this.#running !== undefined
  }

  /** Why the last attempt that ended came to nothing. */
  get lastError(): unknown {
    return this.#lastError
  }

  /** No callback from here on. `placed` stays what it was. */
  stop(): void {
    if (this.#over) return
    const running = this.#running
    if (running) this.#placed = true
    this.#end()
    running?.abort()
  }

  #attempt(): void {
    const { propose, environment, attemptTimeout } = this.#placing
    const running = new AbortController()
    this.#running = running
    this.#count++
    if (attemptTimeout !== Number.POSITIVE_INFINITY)
      this.#cancelTimer = environment.at(environment.now() + attemptTimeout, () => {
        this.#lost(running, new RaftkitError('TIMEOUT', `no answer in ${attemptTimeout} ms`, { outcome: 'unknown' }))
        running.abort()
      })
    let answer: Promise<Uint8Array>
    try {
      answer = propose(this.#data(), running.signal)
    } catch (error) {
      answer = Promise.reject(error)
    }
    answer.then(
      // An answer that comes after its attempt was given up is as good as any: all attempts mean the same entry.
      (result) => {
        if (this.#over) return
        this.#end()
        this.#answered(result)
      },
      (error: unknown) => this.#lost(running, error),
    )
  }

  #lost(attempt: AbortController, error: unknown): void {
    if (this.#over || attempt !== this.#running) return
    this.#running = undefined
    this.#cancelTimer()
    this.#lastError = error
    if (!(isRaftkitError(error) && error.outcome === 'refused')) this.#placed = true
    if (this.#again && isRaftkitError(error) && (error.retryable || passing.has(error.code))) {
      const { environment } = this.#placing
      this.#cancelTimer = environment.at(environment.now() + this.#pause(), () => this.#attempt())
    } else {
      this.#end()
      this.#failed(error)
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
    this.#cancelTimer()
    this.#cancelTimer = nothing
  }
}

function nothing(): void {}
