import { Agent, request } from 'node:http'

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
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 })

/**
 * Sends one request and reads the whole answer. Rejects with `ConnectionLost`, also when `milliseconds` have passed.
 * Nothing was sent before the connection stood: the platform's `fetch` cannot tell that moment, and it decides whether a write may be sent again.
 */
export function exchange(endpoint: string, call: Call, milliseconds: number): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const payload = call.body === undefined ? undefined : JSON.stringify(call.body)
    const headers =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) }
    let sent = false
    const outgoing = request(new URL(call.path, endpoint), { method: call.method, agent, headers })
    const timer = setTimeout(() => outgoing.destroy(new Error('no answer in time')), milliseconds)
    const lost = (error: Error) => {
      clearTimeout(timer)
      reject(new ConnectionLost(`${endpoint}: ${error.message}`, sent, error))
    }
    outgoing.on('error', lost)
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) sent = true
      else socket.once('connect', () => (sent = true))
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

/** Ends the idle connections, so that a program which is done can end. */
export const hangUp = (): void => agent.destroy()

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
