import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { type Lane, RaftkitError } from '@raftkit/contract'
import {
  type Address,
  Connection,
  Door,
  decodeGreeting,
  encodeGreeting,
  encodeRefusal,
  formatAddress,
  type Guest,
  isLoopback,
  type Listener,
  type Meeting,
  type Reception,
  Refusal,
  type Terms,
} from '@raftkit/links'
import { type WebSocket, WebSocketServer } from 'ws'
import { attach } from './attached.ts'
import { aliveMs, Conversation } from './conversation.ts'
import { type Callers, laneOf, turnAway } from './gate.ts'
import { protocol } from './line.ts'
import { alpn, NodeLine, settings } from './node-line.ts'
import type { UpgradeServer } from './server.ts'

export interface Hearing extends Callers {
  readonly aliveMs?: number | undefined
  /** Of the app, if it is not a port of our own. */
  readonly server?: UpgradeServer | undefined
  /** Whether callers prove who they are, or need not: otherwise only those are heard who reach us on loopback. */
  readonly open: boolean
}

/** Hears those who dial us, at a port of our own or at a path of the app's server. */
export class WsListener implements Listener {
  readonly #reception: Reception
  readonly #terms: Terms
  readonly #hearing: Hearing
  readonly #door: Door<Socket>
  readonly #guests = new WeakMap<object, Guest<Socket>>()
  readonly #upgrades = new WebSocketServer({
    ...settings,
    noServer: true,
    clientTracking: false,
    handleProtocols: () => protocol,
  })
  #detach: (() => void) | undefined

  constructor(reception: Reception, terms: Terms, hearing: Hearing) {
    this.#reception = reception
    this.#terms = terms
    this.#hearing = hearing
    const http = this.#http()
    this.#door = new Door<Socket>({ ...terms, alpn }, reception, (guest) => {
      this.#guests.set(guest.socket, guest)
      if (guest.refusal) this.#turnAway(guest, guest.refusal)
      else http.emit('connection', guest.socket)
    })
  }

  /** It listens nowhere: it reads the requests of the sockets that it is handed. */
  #http(): Server {
    const http = createServer((request, response) => {
      const headers = { Connection: 'close', Upgrade: 'websocket', 'Content-Type': 'text/plain' }
      response.writeHead(426, headers).end('This is a Raftkit node, which speaks WebSocket.\n')
      this.#guests.get(request.socket)?.leave()
    })
    http.on('upgrade', (request, socket, head) => {
      const guest = this.#guests.get(socket)
      if (guest) this.#upgrade(request, guest, head)
      else socket.destroy()
    })
    http.on('clientError', (_, socket) => {
      const guest = this.#guests.get(socket)
      if (guest) this.#turnAway(guest, noHttp)
    })
    return http
  }

  listen(at: Address | undefined): Promise<Address | undefined> {
    const { server } = this.#hearing
    if (!server) return this.#door.listen(at!)
    return new Promise((resolve) => {
      const bound = addressOf(server)
      if (bound && !this.#hearing.open && !isLoopback(bound))
        throw new RaftkitError('INVALID_OPTION', `${formatAddress(bound)} is open to the network: ${inTheClear}`)
      this.#detach = attach(server, this.#hearing.path, (request, socket, head) => {
        const guest = this.#door.welcome(socket)
        if (guest?.refusal) this.#turnAway(guest, guest.refusal)
        else if (guest) this.#upgrade(request, guest, head)
      })
      resolve(bound)
    })
  }

  stop(): Promise<void> {
    this.#detach?.()
    return this.#door.stop()
  }

  destroy(): void {
    this.#door.destroy()
  }

  #turnAway(guest: Guest<Socket>, error: unknown): void {
    turnAway(guest.socket, error)
    guest.leave()
    // The door has told of its own refusals.
    if (error !== guest.refusal) this.#reception.refused(guest.remote, error)
  }

  #upgrade(request: IncomingMessage, guest: Guest<Socket>, head: Buffer): void {
    const { socket } = guest
    try {
      if (!this.#hearing.open && !isLoopback({ host: socket.localAddress ?? '' }))
        throw new Refusal('refused', inTheClear)
      const lane = laneOf(request, this.#hearing)
      this.#upgrades.handleUpgrade(request, socket, head, (opened) => this.#greet(opened, lane, guest))
    } catch (error) {
      this.#turnAway(guest, error)
    }
  }

  /** Hear their hello, have them prove, admit, say ours, hear that they have admitted us. */
  #greet(socket: WebSocket, lane: Lane, guest: Guest<Socket>): void {
    const { remote } = guest
    let meeting: Meeting | undefined
    let connection: Connection | undefined
    let conversation: Conversation | undefined
    const admit = (proof?: Uint8Array) => {
      const { caller, hello } = meeting!.admit(proof)
      conversation = new Conversation(line, { aliveMs: this.#hearing.aliveMs ?? aliveMs, asks: true })
      connection = new Connection({ caller, lane, dialled: false, remote }, conversation)
      line.say(encodeGreeting({ kind: 'hello', lane, hello }))
    }
    const hear = (bytes: Uint8Array) => {
      const message = decodeGreeting(bytes)
      if (message.kind === 'refused') {
        line.destroy()
        this.#reception.turnedDown(remote, message.refusal)
      } else if (message.kind === 'hello' && !meeting) {
        if (message.lane !== lane) throw new Refusal('malformed', 'the path names one lane, the hello another')
        meeting = this.#reception.meet(message.hello, lane, guest.certificate)
        const { challenge } = meeting
        if (challenge) line.say(encodeGreeting({ kind: 'challenge', challenge }))
        else admit()
      } else if (message.kind === 'proof' && meeting?.challenge && !connection) admit(message.proof)
      else if (message.kind === 'admitted' && connection && conversation) {
        guest.admitted()
        this.#reception.opened(connection)
        conversation.begin(connection, this.#terms.maxFrameBytes)
      } else throw new Refusal('malformed', 'a greeting out of order')
    }
    const refuse = (error: unknown) => {
      line.ear = {}
      line.say(encodeRefusal(error))
      line.end()
      guest.leave()
      this.#reception.refused(remote, error)
    }
    const line = new NodeLine(socket, {
      message(bytes) {
        try {
          hear(bytes)
        } catch (error) {
          refuse(error)
        }
      },
      wrong: (reason) => refuse(new Refusal('malformed', reason)),
    })
  }
}

const noHttp = new Refusal('malformed', 'what came is no HTTP: is this a Raftkit node?')
const inTheClear =
  'frames would go in the clear: keep the server to loopback, give `tls` or `secret`, or pass `insecure: true` if you trust that network'

function addressOf(server: UpgradeServer): Address | undefined {
  const at = server.address() as { readonly address: string; readonly port: number } | string | null
  return typeof at === 'object' && at ? { host: at.address, port: at.port } : undefined
}
