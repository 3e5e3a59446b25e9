import { UsageError } from '../client/exit.ts'

/** What one server takes. Bytes, and milliseconds. Those of keys and values are the machine's: see `machine/store.ts`. */
export interface Limits {
  /** Open at the same time; what comes beyond is closed at once. */
  readonly connections: number
  /** Of all requests that are being received or answered, together; what comes beyond is 503. */
  readonly inFlightBytes: number
  /** Of one body. A value in JSON may take six characters for one byte. */
  readonly bodyBytes: number
  /** Of the request line and all headers of one request. */
  readonly headerBytes: number
  /** Of one request. */
  readonly headers: number
  /** Streams of changes. Each looks into the changes after every batch that is applied. */
  readonly watches: number
  /** Until all headers have arrived, on a new connection from its beginning. */
  readonly headersTimeout: number
  /** Until the whole request has arrived. */
  readonly requestTimeout: number
  /** A connection waits so long for the next request. */
  readonly keepAliveTimeout: number
  /** A connection on which nothing moves, in either direction, ends: longer than the longest change of members. */
  readonly stallTimeout: number
}

export const defaultLimits: Limits = {
  connections: 1024,
  inFlightBytes: 64 * 1024 * 1024,
  bodyBytes: 2 * 1024 * 1024,
  headerBytes: 16 * 1024,
  headers: 64,
  watches: 256,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 60_000,
  stallTimeout: 180_000,
}

/** With the defaults for what is not given. Throws `UsageError`. */
export function limitsOf(given: Partial<Limits> = {}): Limits {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaultLimits, name)) throw new UsageError(`limits: there is no limit ${JSON.stringify(name)}`)
    if (!Number.isSafeInteger(value) || value < 1) throw new UsageError(`limits: ${name} is a whole number above 0`)
  }
  const limits = { ...defaultLimits, ...given }
  if (limits.headersTimeout > limits.requestTimeout)
    throw new UsageError('limits: headersTimeout is at most requestTimeout, which covers the headers, too')
  return limits
}
