import { type Environment, isRaftkitError, type NodeId, type Outcome, RaftkitError } from '@raftkit/contract'
import type { AbortListeners } from './abort.ts'
import type { Attempts } from './attempts.ts'
import { outcomeOf, type Result } from './result.ts'

/** Someone who waits for a command to be done: settled once, and then nothing of it is left in timers, signals or sessions. */
export class WaitingCall {
  readonly name: string
  readonly input: Uint8Array
  /** Whether there may be a second attempt. */
  readonly retry: boolean
  attempts: Attempts | undefined
  /** Gives up its place in the session. */
  leave: () => void = nothing
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  readonly #ended: () => void
  #unlimit: () => void = nothing

  constructor(
    name: string,
    input: Uint8Array,
    retry: boolean,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
    ended: () => void,
  ) {
    this.name = name
    this.input = input
    this.retry = retry
    this.#resolve = resolve
    this.#reject = reject
    this.#ended = ended
  }

  get outcome(): Outcome {
    return this.attempts?.placed ? 'unknown' : 'refused'
  }

  /** Calls `over` at most once, when the time is over or the caller has had enough; not after the call has settled. */
  limit(
    environment: Environment,
    timeout: number,
    signal: AbortSignal | undefined,
    listeners: AbortListeners,
    over: (makeError: (outcome: Outcome, last: unknown) => RaftkitError) => void,
  ): void {
    const ignore = signal ? listeners.add(signal, () => over((outcome) => abortedError(signal, outcome))) : nothing
    const cancel =
      timeout === Number.POSITIVE_INFINITY
        ? nothing
        : environment.at(environment.now() + timeout, () =>
            over((outcome, last) => timeoutError(this.name, timeout, outcome, last)),
          )
    this.#unlimit = () => {
      cancel()
      ignore()
    }
  }

  settle(result: Result): void {
    this.#end()
    try {
      this.#resolve(outcomeOf(result))
    } catch (error) {
      this.#reject(error)
    }
  }

  fail(error: RaftkitError): void {
    this.#end()
    this.#reject(error)
  }

  /** Out of its session, which has executed nothing of it. */
  detach(): void {
    this.attempts = undefined
    this.#leave()
  }

  #end(): void {
    this.#unlimit()
    this.#ended()
    this.#leave()
  }

  #leave(): void {
    const leave = this.leave
    this.leave = nothing
    leave()
  }
}

export function abortedError(signal: AbortSignal, outcome: Outcome): RaftkitError {
  const known = outcome === 'unknown' ? 'the command may still be executed' : 'nothing was sent that could be executed'
  return new RaftkitError('ABORTED', `the caller gave up waiting; ${known}`, { cause: signal.reason, outcome })
}

function timeoutError(name: string, timeout: number, outcome: Outcome, last: unknown): RaftkitError {
  const known = outcome === 'unknown' ? 'it may or may not be executed' : 'it was not and will not be executed'
  const why = last instanceof Error ? `; the last attempt: ${last.message}` : ''
  return new RaftkitError('TIMEOUT', `${JSON.stringify(name)} had no answer in ${timeout} ms, and ${known}${why}`, {
    cause: last,
    outcome,
    retryable: outcome === 'refused',
    ...leaderHintOf(last),
  })
}

export function leaderHintOf(error: unknown): { leaderHint?: NodeId } {
  return isRaftkitError(error) && error.leaderHint !== undefined ? { leaderHint: error.leaderHint } : {}
}

function nothing(): void {}
