import type { Socket } from 'node:net'
import type { Lane } from '@raftkit/contract'
import {
  Connection,
  Door,
  type Greeting,
  type Guest,
  type Listener,
  type Meeting,
  type Reception,
  Refusal,
  type Terms,
} from '@raftkit/links'
import { Conversation } from './conversation.ts'
import { encode, encodeTurnedDown, GreetingReader } from './greeting.ts'
import { alpn } from './sockets.ts'

/** Hears those who dial us. */
export function tcpListener(reception: Reception, terms: Terms): Listener {
  return new Door<Socket>({ ...terms, alpn }, reception, (guest) => receive(guest, reception, terms.maxFrameBytes))
}

/** Hear their hello, have them prove what is asked for, admit, say ours, hear that they have admitted us. */
function receive(guest: Guest<Socket>, reception: Reception, maxFrameBytes: number): void {
  const { socket } = guest
  const reader = new GreetingReader()
  let spoken = false
  let meeting: { readonly with: Meeting; readonly lane: Lane } | undefined
  let opening: { readonly connection: Connection; readonly conversation: Conversation } | undefined

  const admit = (proof?: Uint8Array) => {
    const { lane } = meeting!
    const { caller, hello } = meeting!.with.admit(proof)
    const conversation = new Conversation(socket)
    const connection = new Connection({ caller, lane, dialled: false, remote: guest.remote }, conversation)
    say({ kind: 'hello', lane, hello })
    opening = { connection, conversation }
  }
  const say = (greeting: Greeting) => {
    socket.write(encode(greeting, !spoken))
    spoken = true
  }
  const hear = (chunk: Buffer) => {
    try {
      reader.add(chunk)
      for (let message = reader.next(); message; message = reader.next()) {
        if (message.kind === 'refused') {
          reception.turnedDown(guest.remote, message.refusal)
          socket.destroy()
          return
        }
        if (message.kind === 'hello' && !meeting) {
          meeting = { with: reception.meet(message.hello, message.lane, guest.certificate), lane: message.lane }
          const { challenge } = meeting.with
          if (challenge) say({ kind: 'challenge', challenge })
          else admit()
        } else if (message.kind === 'proof' && meeting?.with.challenge && !opening) admit(message.proof)
        else if (message.kind === 'admitted' && opening) {
          socket.off('data', hear)
          guest.admitted()
          reception.opened(opening.connection)
          opening.conversation.begin(opening.connection, reader.rest(), maxFrameBytes)
          return
        } else throw new Refusal('malformed', 'a greeting out of order')
      }
    } catch (error) {
      turnDown(error)
      reception.refused(guest.remote, error)
    }
  }
  const turnDown = (error: unknown) => {
    // Let go of what it says from now on, or the kernel would cut the connection before our answer is read.
    socket.off('data', hear)
    socket.resume()
    socket.end(encodeTurnedDown(error, !spoken))
    guest.leave()
  }
  if (guest.refusal) turnDown(guest.refusal)
  else socket.on('data', hear)
}
