import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request } from 'node:http'
import { Agent as HttpsAgent, request as requestByTls } from 'node:https'

/** One HTTP exchange that came to its end. */
export interface Exchange {
  readonly status: number
  readonly body: unknown
}

/** The connection failed. `sent`: some of the request may have reached the server, so it may have been carried out. */
export class ConnectionLost extends Error {
  readonly sent: boolean

  constructor(message: string, sent: boolean, cause: unknown) {
    super(message, { cause })
    this.sent = sent
  }
}

export interface Call {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

const pool = { keepAlive: true, maxSockets: 256 } as const

/** What a client shows of itself, and by what it knows the servers. PEM, but for the token. */
export interface Credentials {
  readonly token?: string | undefined
  /** Who signed the servers' certificates, instead of the authorities that the platform trusts. */
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** How servers are reached. Connections are shared by all calls through it. */
export class Dialer {
  readonly #token: string | undefined
  readonly #http = new HttpAgent(pool)
  readonly #https: HttpsAgent

  constructor({ token, ca, cert, key }: Credentials = {}) {
    this.#token = token
    this.#https = new HttpsAgent({ ...pool, minVersion: 'TLSv1.3', ca, cert, key })
  }

  /** Not sent yet. */
  request(endpoint: string, { method, path, headers = {} }: Omit<Call, 'body'>): ClientRequest {
    const url = new URL(path, endpoint)
    const shown = this.#token === undefined ? headers : { ...headers, authorization: `Bearer ${this.#token}` }
    return url.protocol === 'https:'
      ? requestByTls(url, { method, agent: this.#https, headers: shown })
      : request(url, { method, agent: this.#http, headers: shown })
  }

  /** Ends the idle connections, so that a program which is done can end. */
  hangUp(): void {
    this.#http.destroy()
    this.#https.destroy()
  }
}

const plain = new Dialer()

/**
 * Sends one request and reads the whole answer. Rejects with `ConnectionLost`, also when `milliseconds` have passed.
 * Nothing was sent before the connection stood: the platform's `fetch` cannot tell that moment, and it decides whether a write may be sent again.
 */
export function exchange(
  endpoint: string,
  call: Call,
  milliseconds: number,
  dialer: Dialer = plain,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const payload = call.body === undefined ? undefined : JSON.stringify(call.body)
    const headers =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) }
    let sent = false
    const outgoing = dialer.request(endpoint, { ...call, headers })
    const timer = setTimeout(() => outgoing.destroy(new Error('no answer in time')), milliseconds)
    const lost = (error: Error) => {
      clearTimeout(timer)
      reject(new ConnectionLost(`${endpoint}: ${error.message}`, sent, error))
    }
    outgoing.on('error', lost)
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) sent = true
      else socket.once(endpoint.startsWith('https:') ? 'secureConnect' : 'connect', () => (sent = true))
    })
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', lost)
      incoming.on('end', () => {
        clearTimeout(timer)
        resolve({ status: incoming.statusCode ?? 0, body: parse(Buffer.concat(chunks).toString()) })
      })
    })
    outgoing.end(payload)
  })
}

/** A GET whose answer goes on until one of both ends it. */
export function follow(endpoint: string, path: string, dialer: Dialer, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = dialer.request(endpoint, { method: 'GET', path })
    const end = () => outgoing.destroy(new Error('interrupted'))
    signal.addEventListener('abort', end)
    outgoing.on('error', reject)
    outgoing.on('close', () => signal.removeEventListener('abort', end))
    outgoing.on('response', resolve)
    outgoing.end()
    if (signal.aborted) end()
  })
}

/** Ends the idle connections, so that a program which is done can end. */
export const hangUp = (): void => plain.hangUp()

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
