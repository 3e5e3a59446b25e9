import { setTimeout as pause } from 'node:timers/promises'
import { type Call, ConnectionLost, Dialer, type Exchange, exchange } from './exchange.ts'

/** What a server says when it does not do what was asked. */
interface Complaint {
  readonly code: string
  readonly message: string
  readonly outcome?: 'refused' | 'unknown'
}

/**
 * The call failed. `outcome` of a change: `refused`, it certainly did not happen; `unknown`, it may have.
 * `status` is 0 if no server answered.
 */
export class CallFailed extends Error {
  readonly code: string
  readonly outcome: 'refused' | 'unknown'
  readonly status: number
  readonly body: unknown

  constructor(status: number, { code, message, outcome }: Complaint, body?: unknown) {
    super(message)
    this.code = code
    this.status = status
    this.outcome = outcome ?? 'refused'
    this.body = body
  }
}

/** Milliseconds. */
const lastAttempt = 50

export interface ClientOptions {
  /** `http://host:port` or `https://…`, any members: each serves any request. */
  readonly endpoints: readonly string[]
  /** For a whole call, fail-over included. Milliseconds; default 10,000. */
  readonly timeout?: number
  /** How they are reached, and what they are shown. */
  readonly dialer?: Dialer
}

/**
 * Calls a cluster by any of its members. It goes on with the next member only where that is safe: after a read, or after a change
 * that certainly did not happen. A change whose fate is unknown is never sent again.
 */
export class Client {
  readonly endpoints: readonly string[]
  readonly timeout: number
  readonly dialer: Dialer
  #next = 0

  constructor({ endpoints, timeout = 10_000, dialer = new Dialer() }: ClientOptions) {
    if (endpoints.length === 0) throw new TypeError('a client needs at least one endpoint')
    this.endpoints = endpoints
    this.timeout = timeout
    this.dialer = dialer
  }

  /** The member that answered last, or is to be asked next. */
  get endpoint(): string {
    return this.endpoints[this.#next % this.endpoints.length]!
  }

  /** The body of the answer; rejects with `CallFailed`. */
  async call(call: Call): Promise<unknown> {
    const deadline = performance.now() + this.timeout
    let failure: CallFailed | undefined
    let unreachable = 0
    for (let attempt = 1; ; attempt++) {
      const left = deadline - performance.now()
      // An attempt that can hardly be answered would only turn a refusal into something unknown.
      if (left <= (failure ? lastAttempt : 0))
        throw failure ?? new CallFailed(0, { code: 'TIMEOUT', message: 'no member answered in time' })
      failure = undefined
      try {
        const answer = await exchange(this.endpoint, call, left, this.dialer)
        if (answer.status < 300) return answer.body
        failure = complaint(answer)
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error
        failure = new CallFailed(0, {
          code: error.sent ? 'CONNECTION_LOST' : 'UNREACHABLE',
          message: error.message,
          outcome: error.sent ? 'unknown' : 'refused',
        })
      }
      if (failure.status >= 400 && failure.status < 500) throw failure
      if (failure.outcome === 'unknown') {
        if (call.method !== 'GET') throw failure
        // Of a read there is nothing to wonder about.
        failure = new CallFailed(failure.status, { code: failure.code, message: failure.message, outcome: 'refused' })
      }
      this.#next++
      unreachable = failure.code === 'UNREACHABLE' ? unreachable + 1 : 0
      if (unreachable >= this.endpoints.length) throw failure
      // Once around, then wait: a cluster without a leader gets one within a second or two.
      if (attempt % this.endpoints.length === 0) await pause(Math.min(100, Math.max(0, deadline - performance.now())))
    }
  }

  get(path: string): Promise<unknown> {
    return this.call({ method: 'GET', path })
  }
}

function complaint({ status, body }: Exchange): CallFailed {
  const { error } = (typeof body === 'object' && body !== null ? body : {}) as { error?: Complaint }
  if (typeof error?.code === 'string' && typeof error.message === 'string') {
    // Only a server that says so has certainly not done it.
    return new CallFailed(status, { outcome: status < 500 ? 'refused' : 'unknown', ...error }, body)
  }
  return new CallFailed(
    status,
    { code: 'UNEXPECTED', message: `the server answered ${status}`, outcome: 'unknown' },
    body,
  )
}

/** The path of a key: any text but `.` and `..`, which no URL can carry. */
export function keyPath(key: string, action?: 'append' | 'cas'): string {
  return `/v1/kv/${encodeURIComponent(key)}${action === undefined ? '' : `/${action}`}`
}
