import { isRaftkitError, type NodeId, type Outcome, RaftkitError } from '@raftkit/contract'
import type { Attempts, Placed } from './attempts.ts'
import { outcomeOf, type Result } from './result.ts'

/** An open session as its client sees it. */
export interface Live {
  readonly id: number
  next: number
  /** The lowest command in flight, or `next`. */
  low: number
  readonly inFlight: Map<number, WaitingCall>
}

/** Where a call stands in its session. */
export interface Place {
  readonly live: Live
  readonly seq: number
  /** An index below that of any of its entries. */
  readonly after: number
}

/** What a call tells its session. */
export interface CallKeeper {
  entry(call: WaitingCall, place: Place): Uint8Array
  answered(call: WaitingCall, place: Place, result: Uint8Array): void
  failed(call: WaitingCall, error: unknown): void
  /** The time is over, or the caller has had enough. */
  giveUp(call: WaitingCall, makeError: (outcome: Outcome, last: unknown) => RaftkitError): void
  /** It has settled. */
  ended(call: WaitingCall): void
  left(place: Place): void
}

/** Someone who waits for a command to be done: settled once, and then nothing of it is left in timers, signals or sessions. */
export class WaitingCall implements Placed {
  readonly name: string
  readonly input: Uint8Array
  readonly #deadline: number
  attempts: Attempts | undefined
  /** In the session that is open; undefined while it waits for one, or for room in it. */
  place: Place | undefined
  /** Forgets the signal. */
  ignore: (() => void) | undefined
  readonly #timeout: number
  readonly #keeper: CallKeeper
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  /** Whether there may be a second attempt. */
  readonly retry: boolean

  constructor(
    command: { readonly name: string; readonly input: Uint8Array; readonly retry: boolean },
    now: number,
    timeout: number,
    keeper: CallKeeper,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.name = command.name
    this.input = command.input
    this.retry = command.retry
    this.#deadline = now + timeout
    this.#timeout = timeout
    this.#keeper = keeper
    this.#resolve = resolve
    this.#reject = reject
  }

  get outcome(): Outcome {
    return this.attempts?.placed ? 'unknown' : 'refused'
  }

  entry(): Uint8Array {
    return this.#keeper.entry(this, this.place!)
  }

  answered(result: Uint8Array): void {
    this.#keeper.answered(this, this.place!, result)
  }

  failed(error: unknown): void {
    this.#keeper.failed(this, error)
  }

  /** Gives up if its time is over. Returns when to look again. */
  look(now: number): number {
    if (this.#deadline > now) return Math.min(this.#deadline, this.attempts?.look(now) ?? Number.POSITIVE_INFINITY)
    this.#keeper.giveUp(this, (outcome, last) => timeoutError(this.name, this.#timeout, outcome, last))
    return Number.POSITIVE_INFINITY
  }

  abort(signal: AbortSignal): void {
    this.#keeper.giveUp(this, (outcome) => abortedError(signal, outcome))
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
    this.ignore?.()
    this.#keeper.ended(this)
    this.#leave()
  }

  /** Gives up its place in the session. */
  #leave(): void {
    const { place } = this
    this.place = undefined
    if (place) this.#keeper.left(place)
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
