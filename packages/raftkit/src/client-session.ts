import { encodeValue } from '@raftkit/bytes'
import { type Environment, type Index, isRaftkitError, type Outcome, RaftkitError } from '@raftkit/contract'
import { AbortListeners } from './abort.ts'
import { Alarm } from './alarm.ts'
import { Attempts, type Placing } from './attempts.ts'
import { type CommandOptions, ofInput } from './calls.ts'
import { clientBytes, closeEntry, commandEntry, openEntry } from './entry.ts'
import { Queue } from './queue.ts'
import { type Result, readResult } from './result.ts'
import { sessionWindow } from './sessions.ts'
import { abortedError, type CallKeeper, type Live, leaderHintOf, type Place, WaitingCall } from './waiting-call.ts'

export interface ClientSessionOptions {
  /**
   * Places `data` in the log and resolves with what applying it answered. Rejects with `outcome: 'refused'` only if this placement certainly
   * did not happen and never will; every other rejection counts as unknown. A placement that is duplicated on its way does no harm.
   * `signal`: nobody waits any more.
   */
  readonly propose: (data: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>
  readonly environment: Environment
  /**
   * An index that the log is known to have reached and committed, such as the local machine's `applied`. With it a session that was evicted
   * long ago is replaced in silence; without it, calls that find their session gone reject `SESSION_EXPIRED`.
   */
  readonly applied?: () => Index
  /** Milliseconds for a call that gives none itself. Default 30,000. */
  readonly timeout?: number
  /** Milliseconds until an attempt without an answer is followed by another. Default 5,000. */
  readonly attemptTimeout?: number
  /** Sessions the machine keeps, from this one's opening on. Default 10,000. */
  readonly maxSessions?: number
  /** Calls that may wait for the session or its window. Default 65,536; more are refused `OVERLOADED`. */
  readonly maxWaiting?: number
}

/**
 * The client's half of exactly-once (thesis §6.3). One session serves any number of concurrent calls; it opens with the first.
 */
export interface ClientSession {
  /**
   * Executes a command exactly once, however often it has to be sent, and resolves with a copy of its result. Rejects with the command's
   * `Refusal`, or with a `RaftkitError`, whose `outcome` says whether it may have happened: `INVALID_VALUE`, `INVALID_OPTION`, `OVERLOADED`,
   * `TIMEOUT`, `ABORTED`, `CLOSED`, `SESSION_EXPIRED`, or what `propose` rejects with.
   */
  readonly call: (name: string, input: unknown, options?: CommandOptions) => Promise<unknown>
  /** Ends what is pending with `CLOSED`, then the session in the log, if that can be done in one attempt. Never rejects; idempotent. */
  close(): Promise<void>
}

/** Throws `INVALID_OPTION`. */
export function clientSession({ propose, ...options }: ClientSessionOptions): ClientSession {
  const place: Placing['place'] = (data, caller) => {
    const waiting = new AbortController()
    propose(data, waiting.signal).then(
      (result) => caller.resolve({ result }),
      (error) => caller.reject(error),
    )
    return { abandon: () => waiting.abort() }
  }
  return placingSession(place, options)
}

/** As `clientSession`, for who can do with less than a promise and a signal for each attempt. */
export function placingSession(place: Placing['place'], options: Omit<ClientSessionOptions, 'propose'>): ClientSession {
  return new Client(place, options)
}

class Client implements ClientSession {
  readonly #alarm: Alarm
  readonly #placing: Placing
  /** For commands that have a single attempt: it has all the time of the call. */
  readonly #placingOnce: Placing
  readonly #applied: () => Index
  readonly #timeout: number
  readonly #maxSessions: number
  readonly #maxWaiting: number
  #live: Live | undefined
  /** Of the session's own entry: to open it, or to close it. */
  #own: Attempts | undefined
  /** Of the session that is open or being opened: a repeated opening must find it. */
  #client: Uint8Array | undefined
  readonly #waiting = new Queue<WaitingCall>()
  readonly #calls = new Set<WaitingCall>()
  readonly #listeners = new AbortListeners()
  #closed: Promise<void> | undefined

  constructor(place: Placing['place'], options: Omit<ClientSessionOptions, 'propose'>) {
    const { environment, applied = () => 0, maxSessions = 10_000, maxWaiting = 65_536 } = options
    this.#timeout = milliseconds('timeout', options.timeout ?? 30_000)
    const attemptTimeout = milliseconds('attemptTimeout', options.attemptTimeout ?? 5_000)
    this.#alarm = new Alarm(environment, (now) => this.#look(now))
    this.#placing = { place, environment, alarm: this.#alarm, attemptTimeout }
    this.#placingOnce = { ...this.#placing, attemptTimeout: Number.POSITIVE_INFINITY }
    this.#applied = applied
    this.#maxSessions = positiveInteger('maxSessions', maxSessions)
    this.#maxWaiting = positiveInteger('maxWaiting', maxWaiting)
  }

  readonly call = (name: string, input: unknown, options: CommandOptions = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const { signal, retry = true } = options
      const timeout = options.timeout === undefined ? this.#timeout : milliseconds('timeout', options.timeout)
      const command = { name, input: ofInput(name, () => encodeValue(input)), retry }
      if (this.#closed) throw closedError('refused')
      if (signal?.aborted) throw abortedError(signal, 'refused')
      if (this.#waiting.size >= this.#maxWaiting)
        throw new RaftkitError('OVERLOADED', `${this.#maxWaiting} calls are waiting already; try again later`, {
          outcome: 'refused',
          retryable: true,
        })
      const now = this.#placing.environment.now()
      const call = new WaitingCall(command, now, timeout, this.#keeper, resolve, reject)
      this.#calls.add(call)
      if (signal) call.ignore = this.#listeners.add(signal, () => call.abort(signal))
      this.#alarm.set(now + timeout)
      this.#admit(call)
    })

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const live = this.#live
    this.#leave()
    this.#waiting.clear()
    this.#stopOpening()
    for (const call of this.#calls) this.#giveUp(call, closedError)
    if (!live) return
    await new Promise<void>((done) => {
      const entry = (): Uint8Array => closeEntry(live.id)
      this.#own = new Attempts(this.#placing, { entry, answered: () => done(), failed: () => done() }, false)
      this.#own.begin()
    })
    this.#ownEnded()
  }

  /** Starts the call, or lets it wait for the session or for room in the window. Nobody waits while there is room. */
  #admit(call: WaitingCall): void {
    const live = this.#live
    if (live && hasRoom(live)) {
      this.#send(call, live)
    } else {
      this.#waiting.push(call)
      if (!live) this.#open()
    }
  }

  #send(call: WaitingCall, live: Live): void {
    const seq = live.next++
    live.inFlight.set(seq, call)
    // `after` is read before the first attempt: whatever index the entry gets, it lies above.
    call.place = { live, seq, after: this.#applied() }
    call.attempts = new Attempts(call.retry ? this.#placing : this.#placingOnce, call, call.retry)
    call.attempts.begin()
  }

  readonly #keeper: CallKeeper = {
    entry: ({ name, input }, { live, seq }) => commandEntry({ session: live.id, seq, low: live.low }, name, input),
    answered: (call, place, bytes) => this.#answered(call, place, bytes),
    failed: (call, error) => this.#failed(call, error),
    giveUp: (call, makeError) => this.#giveUp(call, makeError),
    ended: (call) => {
      this.#calls.delete(call)
      this.#calm()
    },
    left: ({ live, seq }) => {
      live.inFlight.delete(seq)
      while (live.low < live.next && !live.inFlight.has(live.low)) live.low++
      this.#refill()
    },
  }

  #answered(call: WaitingCall, { live, after }: Place, bytes: Uint8Array): void {
    const result = read(bytes)
    if (result.type === 'unreadable') call.fail(result.error)
    else if (result.type !== 'expired') call.settle(result)
    else {
      if (this.#live === live) this.#leave()
      if (result.horizon > after) call.settle(result)
      else {
        // The session was used last before this call was sent: it was never executed, and in that session never will be.
        call.detach()
        this.#admit(call)
      }
    }
  }

  #failed(call: WaitingCall, error: unknown): void {
    const { outcome } = call
    if (!isRaftkitError(error))
      call.fail(new RaftkitError('UNKNOWN_OUTCOME', 'placing the command failed', { cause: error, outcome }))
    else if (error.outcome === outcome) call.fail(error)
    // Refused at last, but an earlier attempt may have been placed; or an error that says nothing of the outcome.
    else call.fail(new RaftkitError(error.code, sentence(error), { cause: error, outcome, ...leaderHintOf(error) }))
  }

  #giveUp(call: WaitingCall, makeError: (outcome: Outcome, last: unknown) => RaftkitError): void {
    this.#waiting.remove(call)
    call.attempts?.stop()
    call.fail(makeError(call.outcome, call.attempts?.lastError ?? this.#own?.lastError))
    if (this.#waiting.size === 0) this.#stopOpening()
  }

  /** Goes on as long as a call waits for it; the next call goes on with the same client bytes. */
  #open(): void {
    if (this.#own) return
    if (!this.#client) {
      this.#client = new Uint8Array(clientBytes)
      this.#placing.environment.random(this.#client)
    }
    const client = this.#client
    const opened = (bytes: Uint8Array): void => {
      this.#ownEnded()
      const result = read(bytes)
      if (result.type === 'opened') {
        this.#live = { id: result.session, next: 1, low: 1, inFlight: new Map() }
        this.#refill()
      } else this.#openingFailed(new RaftkitError('INVARIANT', `opening a session was answered ${result.type}`))
    }
    const failed = (error: unknown): void => {
      this.#ownEnded()
      this.#openingFailed(error)
    }
    const entry = (): Uint8Array => openEntry(client, this.#maxSessions)
    this.#own = new Attempts(this.#placing, { entry, answered: opened, failed }, true)
    this.#own.begin()
  }

  #openingFailed(error: unknown): void {
    while (this.#waiting.size > 0) this.#failed(this.#waiting.shift()!, error)
  }

  #stopOpening(): void {
    this.#own?.stop()
    this.#ownEnded()
  }

  #ownEnded(): void {
    this.#own = undefined
    this.#calm()
  }

  #calm(): void {
    if (this.#calls.size === 0 && !this.#own) this.#alarm.off()
  }

  #look(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const call of this.#calls) next = Math.min(next, call.look(now))
    return Math.min(next, this.#own?.look(now) ?? Number.POSITIVE_INFINITY)
  }

  #leave(): void {
    this.#live = undefined
    this.#client = undefined
  }

  #refill(): void {
    while (this.#live && this.#waiting.size > 0 && hasRoom(this.#live)) this.#send(this.#waiting.shift()!, this.#live)
  }
}

const hasRoom = (live: Live): boolean => live.next < live.low + sessionWindow

const closedError = (outcome: Outcome): RaftkitError =>
  new RaftkitError('CLOSED', 'the node was closed while the call waited, or before it', { outcome })

function read(bytes: Uint8Array): Result | { readonly type: 'unreadable'; readonly error: RaftkitError } {
  try {
    return readResult(bytes)
  } catch (cause) {
    const error = new RaftkitError('UNKNOWN_OUTCOME', 'the answer cannot be read, though the command was placed', {
      cause,
      outcome: 'unknown',
    })
    return { type: 'unreadable', error }
  }
}

/** The error's message without its code, which a new error puts in front again. */
function sentence({ code, message }: RaftkitError): string {
  return message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message
}

function positiveInteger(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RaftkitError('INVALID_OPTION', `${option} is ${String(value)}; give a positive integer`, {
    outcome: 'refused',
  })
}

function milliseconds(option: string, value: number): number {
  if (typeof value === 'number' && value > 0) return value
  throw new RaftkitError('INVALID_OPTION', `${option} is ${String(value)}; give milliseconds above 0, or Infinity`, {
    outcome: 'refused',
  })
}
