import type { Server, Socket as TcpSocket } from 'node:net'
import { RaftkitError } from '@raftkit/contract'
import { type Address, formatAddress } from './address.ts'
import { handshakeMs } from './attempt.ts'
import type { Listener } from './carrier.ts'

/** Connections that are not admitted yet, at most; beyond, the oldest of them makes room. */
const maxStrangers = 64
/** How long a connection may outlive its use. */
const farewellMs = 1000

/** What a door needs of a socket. Name the platform's own type where you open one, `Door<Socket>`: this package's types ask for none. */
export interface Cuttable {
  readonly destroyed: boolean
  destroy(): unknown
  once(event: 'close', run: () => void): unknown
}

/** A TCP connection that someone made to us: a stranger, cut after the time of a handshake, until it is `admitted`. */
export class Guest<Socket extends Cuttable = Cuttable> {
  readonly socket: Socket
  /** Address and port of the other side, as gRPC names them too: an IPv6 address without brackets. */
  readonly remote: string
  readonly #strangers: Set<Guest<Socket>>
  #timer: NodeJS.Timeout

  constructor(socket: Socket, remote: string, strangers: Set<Guest<Socket>>) {
    this.socket = socket
    this.remote = remote
    this.#strangers = strangers
    this.#timer = this.#cutAfter(handshakeMs)
    strangers.add(this)
    socket.once('close', () => this.admitted())
  }

  admitted(): void {
    clearTimeout(this.#timer)
    this.#strangers.delete(this)
  }

  /** There is no more use for it. The other side closes what it opened; if it does not, we do. */
  leave(): void {
    clearTimeout(this.#timer)
    if (!this.socket.destroyed) this.#timer = this.#cutAfter(farewellMs)
  }

  #cutAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.socket.destroy(), ms).unref()
  }
}

/** A TCP port: strangers are counted and timed from their first byte on, and closing is sure to end. */
export class Door<Socket extends Cuttable = Cuttable> implements Listener {
  readonly #enter: (guest: Guest<Socket>) => void
  readonly #maxConnections: number
  readonly #server: Server
  readonly #guests = new Set<Guest<Socket>>()
  readonly #strangers = new Set<Guest<Socket>>()
  #stopped = false
  #abandon: (() => void) | undefined

  constructor(maxConnections: number, enter: (guest: Guest<Socket>) => void) {
    this.#maxConnections = maxConnections
    this.#enter = enter
    // Not imported, since that which dials runs in browsers as well.
    const { createServer } = process.getBuiltinModule('node:net')
    // Half open, Node's HTTP/2 would not notice that a killed process has closed its end.
    this.#server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => this.#receive(socket))
  }

  listen(at: Address): Promise<Address> {
    return new Promise((resolve, reject) => {
      // A server that is closed while it looks up its host says nothing more; some versions of Node open it all the same.
      this.#abandon = () => reject(new RaftkitError('CLOSED', 'this transport was closed while it started'))
      const fail = (cause: NodeJS.ErrnoException) => reject(cannotListen(at, cause))
      this.#server.once('error', fail)
      this.#server.listen(at.port, at.host, () => {
        this.#server.off('error', fail)
        if (this.#stopped) this.#server.close()
        // Too many open files, for one: the connection is lost, the listener goes on.
        this.#server.on('error', () => {})
        const bound = this.#server.address()
        resolve(typeof bound === 'object' && bound ? { host: at.host, port: bound.port } : at)
      })
    })
  }

  stop(): Promise<void> {
    this.#stopped = true
    this.#abandon?.()
    for (const { socket } of this.#strangers) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  destroy(): void {
    for (const { socket } of this.#guests) socket.destroy()
  }

  #receive(socket: TcpSocket): void {
    socket.on('error', () => {})
    if (this.#guests.size >= this.#maxConnections || socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const [oldest] = this.#strangers
    if (oldest && this.#strangers.size >= maxStrangers) {
      this.#strangers.delete(oldest)
      oldest.socket.destroy()
    }
    const remote = `${socket.remoteAddress}:${socket.remotePort}`
    const guest = new Guest(socket as Cuttable as Socket, remote, this.#strangers)
    this.#guests.add(guest)
    socket.once('close', () => this.#guests.delete(guest))
    this.#enter(guest)
  }
}

function cannotListen(address: Address, cause: NodeJS.ErrnoException): RaftkitError {
  const fix =
    cause.code === 'EADDRINUSE'
      ? 'another process listens there: stop it, or choose another port'
      : cause.code === 'EACCES'
        ? 'this user may not: choose a port above 1023'
        : cause.code === 'EADDRNOTAVAIL' || cause.code === 'ENOTFOUND'
          ? 'this machine has no such address: pass one that it has as the option `listen`'
          : cause.message
  return new RaftkitError('TRANSPORT_FAILED', `cannot listen at ${formatAddress(address)}: ${fix}`, { cause })
}
