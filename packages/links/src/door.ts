import type { Server, Socket as TcpSocket } from 'node:net'
import type { TLSSocket, Server as TlsServer } from 'node:tls'
import { RaftkitError } from '@raftkit/contract'
import { type Address, formatAddress } from './address.ts'
import { handshakeMs } from './attempt.ts'
import type { Listener, Reception } from './carrier.ts'
import { misunderstandingOf, Refusal } from './refusal.ts'
import type { Certificate, Credentials, TlsOptions } from './tls.ts'

/** Connections that are not admitted yet, at most; beyond, one of them makes room. */
const maxStrangers = 64
/** How long a connection may outlive its use. */
const farewellMs = 1000
/** What a connection with TLS begins with: a record of its handshake. */
const tlsRecord = 0x16

/** What a door needs of a socket. Name the platform's own type where you open one, `Door<Socket>`: this package's types ask for none. */
export interface Cuttable {
  readonly destroyed: boolean
  destroy(): unknown
  once(event: 'close', run: () => void): unknown
}

/** A TCP connection that someone made to us: a stranger, cut after the time of a handshake, until it is `admitted`. */
export class Guest<Socket extends Cuttable = Cuttable> {
  /** To talk with: that of TLS, once there is one. */
  socket: Socket
  /** Address and port of the other side, as gRPC names them too: an IPv6 address without brackets. */
  readonly remote: string
  /** Of the other side, verified. Undefined without TLS, and if there is a refusal. */
  certificate: Certificate | undefined
  /** It is turned down, which has been told: say so, in whatever way it can hear, and read nothing of it. */
  refusal: Refusal | undefined
  /** It was told why, and only takes its time to close. */
  leaving = false
  readonly #below: Socket
  readonly #strangers: Set<Guest<Socket>>
  #timer: NodeJS.Timeout

  constructor(socket: Socket, remote: string, strangers: Set<Guest<Socket>>) {
    this.socket = socket
    this.remote = remote
    this.#below = socket
    this.#strangers = strangers
    this.#timer = this.#cutAfter(handshakeMs)
    strangers.add(this)
    socket.once('close', () => this.admitted())
  }

  get host(): string {
    return this.remote.slice(0, this.remote.lastIndexOf(':'))
  }

  admitted(): void {
    clearTimeout(this.#timer)
    this.#strangers.delete(this)
  }

  /** There is no more use for it. The other side closes what it opened; if it does not, we do. */
  leave(): void {
    this.leaving = true
    clearTimeout(this.#timer)
    if (!this.#below.destroyed) this.#timer = this.#cutAfter(farewellMs)
  }

  cut(): void {
    this.socket.destroy()
    this.#below.destroy()
  }

  #cutAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.cut(), ms).unref()
  }
}

export interface DoorTerms {
  readonly maxConnections: number
  /** Undefined: whoever speaks TLS is turned down. Otherwise, whoever does not. */
  readonly credentials?: Credentials | undefined
  /** What is spoken within TLS, by its name in ALPN. */
  readonly alpn?: readonly string[]
}

/**
 * A TCP port: strangers are counted and timed from the moment they connect, TLS included, and closing is sure to end.
 *
 * It asks for a certificate, but lets TLS come about whatever is shown: who then is turned down hears of it in a sentence, which the
 * alerts of TLS have no room for, and which TLS 1.3 would deliver only once the other side believes that it is connected.
 */
export class Door<Socket extends Cuttable = Cuttable> implements Listener {
  readonly #enter: (guest: Guest<Socket>) => void
  readonly #reception: Pick<Reception, 'refused'>
  readonly #terms: DoorTerms
  readonly #server: Server
  readonly #guests = new Set<Guest<Socket>>()
  readonly #strangers = new Set<Guest<Socket>>()
  /** Guests whose TLS comes about, by `ends`. */
  readonly #securing = new Map<string, Guest<Socket>>()
  #tls: { readonly server: TlsServer; readonly options: TlsOptions } | undefined
  #stopped = false
  #abandon: (() => void) | undefined

  /** `enter`: a guest has said its first byte, and its TLS stands, or it has a `refusal` to hear. */
  constructor(terms: DoorTerms, reception: Pick<Reception, 'refused'>, enter: (guest: Guest<Socket>) => void) {
    this.#terms = terms
    this.#reception = reception
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
    for (const guest of this.#strangers) guest.cut()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  destroy(): void {
    for (const guest of this.#guests) guest.cut()
  }

  /**
   * A socket that a server of the app has accepted, and made TLS of if it does that: counted and timed from here on, and judged.
   * Undefined: there was no room for it.
   */
  welcome(socket: Socket): Guest<Socket> | undefined {
    const guest = this.#count(socket as Cuttable as TcpSocket)
    const { credentials } = this.#terms
    if (!guest || !credentials) return guest
    try {
      if (!('getPeerX509Certificate' in socket)) throw withoutTls
      guest.certificate = credentials.judge(socket as Cuttable as TLSSocket)
    } catch (error) {
      this.#refuse(guest, error)
    }
    return guest
  }

  #receive(socket: TcpSocket): void {
    const guest = this.#count(socket)
    if (!guest) return
    const peek = () => {
      const first: Buffer | null = socket.read()
      if (first === null) socket.once('readable', peek)
      else {
        socket.unshift(first)
        this.#begin(guest, socket, first[0] === tlsRecord)
      }
    }
    socket.once('readable', peek)
  }

  #count(socket: TcpSocket): Guest<Socket> | undefined {
    socket.on('error', () => {})
    if (socket.remoteAddress === undefined) {
      socket.destroy()
      return undefined
    }
    const remote = `${socket.remoteAddress}:${socket.remotePort}`
    if (this.#guests.size >= this.#terms.maxConnections) {
      socket.destroy()
      this.#reception.refused(
        remote,
        new Refusal('busy', `there are ${this.#guests.size} connections: see maxConnections`),
      )
      return undefined
    }
    if (this.#strangers.size >= maxStrangers) this.#makeRoom()
    const guest = new Guest(socket as Cuttable as Socket, remote, this.#strangers)
    this.#guests.add(guest)
    socket.once('close', () => this.#guests.delete(guest))
    return guest
  }

  /** Of the address that has most strangers, the oldest goes: whoever floods the port takes no room but its own. */
  #makeRoom(): void {
    const byHost = new Map<string, Guest<Socket>[]>()
    for (const guest of this.#strangers) byHost.set(guest.host, [...(byHost.get(guest.host) ?? []), guest])
    const [most] = [...byHost.values()].sort((a, b) => b.length - a.length)
    const oldest = most![0]!
    this.#strangers.delete(oldest)
    if (!oldest.leaving)
      this.#reception.refused(oldest.remote, new Refusal('busy', 'too many connections that are not admitted yet'))
    oldest.cut()
  }

  #begin(guest: Guest<Socket>, socket: TcpSocket, speaksTls: boolean): void {
    const { credentials } = this.#terms
    if (credentials && speaksTls) this.#secure(credentials, guest, socket)
    else if (credentials) this.#turnDown(guest, withoutTls)
    else if (speaksTls) this.#turnDown(guest, withTls)
    else this.#enter(guest)
  }

  #turnDown(guest: Guest<Socket>, why: unknown): void {
    this.#refuse(guest, why)
    this.#enter(guest)
  }

  #refuse(guest: Guest<Socket>, why: unknown): void {
    guest.refusal = why instanceof Refusal ? why : new Refusal('failed', String(why))
    this.#reception.refused(guest.remote, guest.refusal)
  }

  #secure(credentials: Credentials, guest: Guest<Socket>, socket: TcpSocket): void {
    const key = ends(socket)
    this.#securing.set(key, guest)
    socket.once('close', () => this.#securing.delete(key))
    this.#tlsServer(credentials).emit('connection', socket)
  }

  /** It listens nowhere: it makes TLS of the sockets that it is handed. */
  #tlsServer(credentials: Credentials): TlsServer {
    const { options } = credentials
    if (this.#tls?.options === options) return this.#tls.server
    const { createServer } = process.getBuiltinModule('node:tls')
    const { constants } = process.getBuiltinModule('node:crypto')
    const server = createServer({
      ...options,
      requestCert: true,
      rejectUnauthorized: false,
      // No session is ever resumed: who connects proves itself anew. Nor is there early data, which could be said again by others.
      secureOptions: constants.SSL_OP_NO_TICKET,
      ...(this.#terms.alpn ? { ALPNProtocols: [...this.#terms.alpn] } : {}),
      noDelay: true,
    })
    server.on('secureConnection', (socket) => {
      socket.on('error', () => {})
      const guest = this.#securing.get(ends(socket))
      if (guest) this.#secured(credentials, guest, socket)
      else socket.destroy()
    })
    server.on('tlsClientError', (error, socket) => {
      const guest = this.#securing.get(ends(socket))
      const misunderstanding = misunderstandingOf(error)
      if (guest && misunderstanding) this.#reception.refused(guest.remote, new Refusal('malformed', misunderstanding))
      guest?.cut()
      socket.destroy()
    })
    this.#tls = { server, options }
    return server
  }

  #secured(credentials: Credentials, guest: Guest<Socket>, socket: TLSSocket): void {
    guest.socket = socket as Cuttable as Socket
    try {
      guest.certificate = credentials.judge(socket)
    } catch (error) {
      this.#turnDown(guest, error)
      return
    }
    this.#enter(guest)
  }
}

const giveBoth = 'give both the option `tls`, or neither'
const withoutTls = new Refusal('refused', `it speaks without TLS, and this node with it: ${giveBoth}`)
const withTls = new Refusal('refused', `it speaks TLS, and this node does not: ${giveBoth}`)

/** What no two connections share at a time. */
const ends = (socket: TcpSocket) =>
  [socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort].join(' ')

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
