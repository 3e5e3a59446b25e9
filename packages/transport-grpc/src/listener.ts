import type { Socket } from 'node:net'
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import type { Lane } from '@raftkit/contract'
import {
  type Address,
  Connection,
  Door,
  type Guest,
  type Limits,
  type Listener,
  type Reception,
  Refusal,
} from '@raftkit/links'
import { definition, serverOptions } from './channel.ts'
import { greet, heard, refuse } from './greeting.ts'
import { receive, streamPipe } from './pipe.ts'

type Call = ServerDuplexStream<Buffer, Buffer>

/** The gRPC server. The sockets are those of a door, and only lent to it. */
export class GrpcListener implements Listener {
  readonly #reception: Reception
  readonly #limits: Limits
  readonly #door: Door<Socket>
  readonly #grpc: Server
  /** Those that have not made their call yet, by remote address and port. */
  readonly #guests = new Map<string, Guest<Socket>>()

  constructor(reception: Reception, limits: Limits) {
    this.#reception = reception
    this.#limits = limits
    this.#grpc = new Server(serverOptions(limits.maxFrameBytes))
    this.#grpc.addService(definition, {
      control: (call: Call) => this.#call(call, 'control'),
      bulk: (call: Call) => this.#call(call, 'bulk'),
    })
    // TLS: the credentials come from an option here.
    const injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure())
    this.#door = new Door<Socket>(limits.maxConnections, (guest) => {
      this.#guests.set(guest.remote, guest)
      guest.socket.once('close', () => {
        if (this.#guests.get(guest.remote) === guest) this.#guests.delete(guest.remote)
      })
      injector.injectConnection(guest.socket)
    })
  }

  listen(at: Address): Promise<Address> {
    return this.#door.listen(at)
  }

  stop(): Promise<void> {
    return this.#door.stop()
  }

  destroy(): void {
    this.#door.destroy()
    this.#grpc.forceShutdown()
  }

  #call(call: Call, lane: Lane): void {
    const remote = call.getPeer()
    const guest = this.#guests.get(remote)
    call.on('error', () => {})
    try {
      if (!guest) throw new Refusal('busy', 'one call per connection')
      this.#guests.delete(remote)
      const caller = this.#reception.check(heard(call.metadata), lane)
      call.sendMetadata(greet(this.#reception.hello()))
      const pipe = streamPipe(call, () => guest.socket.destroy())
      this.#converse(call, guest, new Connection({ caller, lane, dialled: false, remote }, pipe))
    } catch (error) {
      call.emit('error', refuse(error))
      this.#reception.refused(remote, error)
    }
  }

  #converse(call: Call, guest: Guest, connection: Connection): void {
    let open = false
    call.on('data', (message: Buffer) => {
      if (open) {
        receive(connection, message, this.#limits.maxFrameBytes)
        return
      }
      // The other side has admitted us as well.
      open = true
      guest.admitted()
      this.#reception.opened(connection)
    })
    call.on('end', () => {
      call.end()
      connection.ended()
    })
    call.on('cancelled', () => connection.ended())
    call.on('close', () => {
      connection.ended()
      guest.leave()
    })
  }
}
