import type { Socket } from 'node:net'
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import type { Lane } from '@raftkit/contract'
import {
  type Address,
  Connection,
  Door,
  type Guest,
  type Listener,
  type Meeting,
  type Reception,
  Refusal,
  type Terms,
} from '@raftkit/links'
import { definition, serverOptions } from './channel.ts'
import { challenged, greet, heard, refusalOf, refuse } from './greeting.ts'
import { receive, streamPipe } from './pipe.ts'
import { decodeOpening, encodeOpening } from './wire.ts'

type Call = ServerDuplexStream<Buffer, Buffer>

/** The gRPC server. The sockets, TLS included, are those of a door, and only lent to it. */
export class GrpcListener implements Listener {
  readonly #reception: Reception
  readonly #maxFrameBytes: number
  readonly #door: Door<Socket>
  readonly #grpc: Server
  /** By remote address and port, which is all that a call tells of its connection: so there is never more than one of each. */
  readonly #guests = new Map<string, { readonly guest: Guest<Socket>; called: boolean }>()

  constructor(reception: Reception, terms: Terms) {
    this.#reception = reception
    this.#maxFrameBytes = terms.maxFrameBytes
    this.#grpc = new Server(serverOptions(terms.maxFrameBytes))
    this.#grpc.addService(definition, {
      control: (call: Call) => this.#call(call, 'control'),
      bulk: (call: Call) => this.#call(call, 'bulk'),
    })
    const injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure())
    this.#door = new Door<Socket>({ ...terms, alpn: ['h2'] }, reception, (guest) => {
      const { remote } = guest
      if (this.#guests.has(remote)) {
        guest.cut()
        return
      }
      this.#guests.set(remote, { guest, called: false })
      guest.socket.once('close', () => this.#guests.delete(remote))
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
    const known = this.#guests.get(remote)
    call.on('error', () => {})
    try {
      if (!known || known.called) throw new Refusal('busy', 'one call per connection')
      known.called = true
      const { guest } = known
      if (guest.refusal) {
        call.emit('error', refuse(guest.refusal))
        guest.leave()
        return
      }
      const refusal = refusalOf(call.metadata)
      if (refusal) {
        this.#reception.turnedDown(remote, refusal)
        call.end()
        guest.leave()
        return
      }
      const meeting = this.#reception.meet(heard(call.metadata), lane, guest.certificate)
      this.#converse(call, lane, guest, meeting)
    } catch (error) {
      this.#turnDown(call, remote, error)
    }
  }

  #turnDown(call: Call, remote: string, error: unknown): void {
    call.emit('error', refuse(error))
    this.#reception.refused(remote, error)
  }

  #converse(call: Call, lane: Lane, guest: Guest<Socket>, meeting: Meeting): void {
    const { remote } = guest
    let connection: Connection | undefined
    let open = false
    let over = false
    const admit = (proof?: Uint8Array) => {
      const { caller, hello } = meeting.admit(proof)
      const pipe = streamPipe(call, () => guest.cut())
      connection = new Connection({ caller, lane, dialled: false, remote }, pipe)
      if (meeting.challenge) call.write(encodeOpening({ kind: 'hello', hello }))
      else call.sendMetadata(greet(hello))
    }
    const hear = (message: Buffer) => {
      const opening = decodeOpening(message)
      if (opening?.kind === 'admitted' && connection) {
        // The other side has admitted us as well.
        open = true
        guest.admitted()
        this.#reception.opened(connection)
      } else if (opening?.kind === 'proof' && meeting.challenge && !connection) admit(opening.proof)
      else if (opening?.kind === 'refused') {
        over = true
        this.#reception.turnedDown(remote, new Refusal('refused', opening.reason))
        call.end()
      } else throw new Refusal('malformed', 'a greeting out of order')
    }
    if (meeting.challenge) call.sendMetadata(challenged(meeting.challenge))
    else admit()
    call.on('data', (message: Buffer) => {
      if (open) receive(connection!, message, this.#maxFrameBytes)
      else if (!over)
        try {
          hear(message)
        } catch (error) {
          over = true
          this.#turnDown(call, remote, error)
        }
    })
    call.on('end', () => {
      call.end()
      connection?.ended()
    })
    call.on('cancelled', () => connection?.ended())
    call.on('close', () => {
      connection?.ended()
      guest.leave()
    })
  }
}
