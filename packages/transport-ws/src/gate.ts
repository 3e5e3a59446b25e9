import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Lane } from '@raftkit/contract'
import { Refusal } from '@raftkit/links'
import { protocol, refusedHeader } from './line.ts'

/** Who may ask for a connection at all. */
export interface Callers {
  readonly path: string
  /** Pages, by their origin. Programs that are no browsers name none. */
  readonly origins: ReadonlySet<string>
}

/**
 * Which lane an upgrade asks for. Throws a `Refusal`.
 *
 * A browser lets every page open a WebSocket to every address that it reaches, this machine's loopback too, but names the page's
 * origin, which no page can forge: so pages are let in by name only.
 */
export function laneOf({ url = '', headers }: IncomingMessage, { path, origins }: Callers): Lane {
  const [pathname] = url.split('?', 1)
  const lane = pathname === `${path}/control` ? 'control' : pathname === `${path}/bulk` ? 'bulk' : undefined
  if (!lane) throw new Refusal('malformed', `no node listens at this path: it does at ${path}/control and ${path}/bulk`)
  const { origin, 'sec-websocket-protocol': protocols = '' } = headers
  if (origin !== undefined && !origins.has(origin))
    throw new Refusal('refused', `pages of ${origin} may not connect: name them in the option origins`)
  if (!protocols.split(',').some((each) => each.trim() === protocol))
    throw new Refusal('malformed', `the subprotocol ${protocol} was not asked for: is this a Raftkit node?`)
  return lane
}

/** Tells why, in HTTP. */
export function turnAway(socket: Duplex, error: unknown): void {
  const { kind, reason } = error instanceof Refusal ? error : new Refusal('failed', String(error))
  const status = { refused: '403 Forbidden', malformed: '400 Bad Request' }[kind as string] ?? '503 Service Unavailable'
  const head = [`HTTP/1.1 ${status}`, 'Connection: close', 'Content-Length: 0', `${refusedHeader}: ${reason}`]
  // Let go of what it says from now on, or the kernel would cut the connection before our answer is read.
  socket.resume()
  socket.end(`${head.join('\r\n')}\r\n\r\n`)
}
