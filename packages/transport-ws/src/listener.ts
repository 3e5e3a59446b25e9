import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Lane } from '@raftkit/contract'
import {
  type Address,
  Connection,
  Door,
  decodeGreeting,
  encodeGreeting,
  encodeRefusal,
  type Guest,
  type Listener,
  type Meeting,
  type Reception,
  Refusal,
  type Terms,
} from '@raftkit/links'
import { type WebSocket, WebSocketServer } from 'ws'
import { aliveMs, Conversation } from './conversation.ts'
import { type Callers, laneOf, turnAway } from './gate.ts'
import { protocol } from './line.ts'
import { alpn, NodeLine, settings } from './node-line.ts'

export interface Hearing extends Callers {
  readonly aliveMs?: number | undefined
}

/** Hears those who dial us, at a port of our own. */
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

  constructor(reception: Reception, terms: Terms, hearing: Hearing) {
    this.#reception = reception
    this.#terms = terms
    this.#hearing = hearing
    const http = createServer((request, response) => {
      const headers = { Connection: 'close', Upgrade: 'websocket', 'Content-Type': 'text/plain' }
      response.writeHead(426, headers).end('This is a Raftkit node, which speaks WebSocket.\n')
      this.#guests.get(request.socket)?.leave()
    })
    http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head))
    http.on('clientError', (_, socket) => this.#turnAway(this.#guests.get(socket), noHttp))
    this.#door = new Door<Socket>({ ...terms, alpn }, reception, (guest) => {
      this.#guests.set(guest.socket, guest)
      if (guest.refusal) this.#turnAway(guest, guest.refusal)
      else http.emit('connection', guest.socket)
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
  }

  #turnAway(guest: Guest<Socket> | undefined, error: unknown): void {
    if (!guest) return
    turnAway(guest.socket, error)
    guest.leave()
    // The door has told of its own refusals.
    if (error !== guest.refusal) this.#reception.refused(guest.remote, error)
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const guest = this.#guests.get(socket)
    if (!guest) return void socket.destroy()
    try {
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
