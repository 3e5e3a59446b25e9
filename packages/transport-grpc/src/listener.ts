import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js'
import type { Lane } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { type Address, formatAddress } from './address.ts'
import { definition, handshakeMs, serverOptions } from './channel.ts'
import { Connection } from './connection.ts'
import { type Caller, type Handshake, Refusal } from './handshake.ts'

/** Connections that are not admitted yet, at most; beyond, the oldest of them makes room. */
const maxStrangers = 64
/** How long a connection may outlive its only call. */
const farewellMs = 1000

type Call = ServerDuplexStream<Buffer, Buffer>

export interface ListenerOptions {
  readonly maxFrameBytes: number
  readonly maxConnections: number
  readonly handshake: Handshake
  /** Whether the connection of this caller would only be closed again, and why. Throws a `Refusal`. */
  wanted(caller: Caller, lane: Lane): void
  opened(connection: Connection): void
  refused(remote: string, reason: string): void
}

/** A TCP connection that someone made to us. */
interface Guest {
  readonly socket: Socket
  /** Closes it unless something happens before. */
  timer: NodeJS.Timeout
  called: boolean
}

/**
 * The gRPC server. The sockets are ours and only lent to it: so that strangers are counted and timed from the first byte on,
 * and so that closing is sure to end.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #tcp: NetServer
  readonly #grpc: Server
  /** By remote address and port, as gRPC names them. */
  readonly #guests = new Map<string, Guest>()
  readonly #strangers = new Set<Guest>()
  #stopped = false
  #abandon: (() => void) | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#grpc = new Server(serverOptions(options.maxFrameBytes))
    this.#grpc.addService(definition, {
      control: (call: Call) => this.#call(call, 'control'),
      bulk: (call: Call) => this.#call(call, 'bulk'),
    })
    // TLS: the credentials come from an option here.
    const injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure())
    // Half open, Node's HTTP/2 would not notice that a killed process has closed its end.
    this.#tcp = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => {
      if (this.#receive(socket)) injector.injectConnection(socket)
    })
  }

  /** Resolves to the address it is bound to. Rejects `TRANSPORT_FAILED`, or `CLOSED` when it is stopped before. */
  listen(address: Address): Promise<Address> {
    return new Promise((resolve, reject) => {
      // A server that is closed while it looks up its host says nothing more; some versions of Node open it all the same.
      this.#abandon = () => reject(new RaftkitError('CLOSED', 'this transport was closed while it started'))
      const fail = (cause: NodeJS.ErrnoException) => reject(cannotListen(address, cause))
      this.#tcp.once('error', fail)
      this.#tcp.listen(address.port, address.host, () => {
        this.#tcp.off('error', fail)
        if (this.#stopped) this.#tcp.close()
        // Too many open files, for one: the connection is lost, the listener goes on.
        this.#tcp.on('error', () => {})
        const bound = this.#tcp.address()
        resolve(typeof bound === 'object' && bound ? { host: address.host, port: bound.port } : address)
      })
    })
  }

  /** No new connections. Resolves when the last one has closed. */
  stop(): Promise<void> {
    this.#stopped = true
    this.#abandon?.()
    for (const stranger of this.#strangers) stranger.socket.destroy()
    return new Promise((resolve) => this.#tcp.close(() => resolve()))
  }

  destroy(): void {
    for (const { socket } of this.#guests.values()) socket.destroy()
    this.#grpc.forceShutdown()
  }

  #receive(socket: Socket): boolean {
    socket.on('error', () => {})
    if (this.#guests.size >= this.#options.maxConnections || socket.remoteAddress === undefined) {
      socket.destroy()
      return false
    }
    const [oldest] = this.#strangers
    if (oldest && this.#strangers.size >= maxStrangers) {
      this.#strangers.delete(oldest)
      oldest.socket.destroy()
    }
    const remote = `${socket.remoteAddress}:${socket.remotePort}`
    const guest: Guest = { socket, timer: setTimeout(() => socket.destroy(), handshakeMs).unref(), called: false }
    this.#guests.set(remote, guest)
    this.#strangers.add(guest)
    socket.once('close', () => {
      clearTimeout(guest.timer)
      this.#strangers.delete(guest)
      if (this.#guests.get(remote) === guest) this.#guests.delete(remote)
    })
    return true
  }

  #call(call: Call, lane: Lane): void {
    const remote = call.getPeer()
    const guest = this.#guests.get(remote)
    call.on('error', () => {})
    try {
      if (!guest || guest.called) throw new Refusal(status.RESOURCE_EXHAUSTED, 'one call per connection')
      guest.called = true
      const caller = this.#options.handshake.check(call.metadata)
      this.#options.wanted(caller, lane)
      call.sendMetadata(this.#options.handshake.hello())
      const connection = new Connection({ caller, lane, dialled: false, remote }, call, () => guest.socket.destroy())
      this.#converse(call, guest, connection)
    } catch (error) {
      const { code, reason } = error instanceof Refusal ? error : new Refusal(status.INTERNAL, String(error))
      call.emit('error', { code, details: reason })
      if (code !== status.ALREADY_EXISTS) this.#options.refused(remote, reason)
    }
  }

  #converse(call: Call, guest: Guest, connection: Connection): void {
    let open = false
    call.on('data', (message: Buffer) => {
      if (open) {
        connection.receive(message, this.#options.maxFrameBytes)
        return
      }
      // The other side has admitted us as well.
      open = true
      clearTimeout(guest.timer)
      this.#strangers.delete(guest)
      this.#options.opened(connection)
    })
    call.on('end', () => {
      call.end()
      connection.ended()
    })
    call.on('cancelled', () => connection.ended())
    call.on('close', () => {
      connection.ended()
      // The dialler closes what it opened; if it does not, we do.
      clearTimeout(guest.timer)
      guest.timer = setTimeout(() => guest.socket.destroy(), farewellMs).unref()
    })
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
