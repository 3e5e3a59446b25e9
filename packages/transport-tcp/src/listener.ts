import type { Socket } from 'node:net'
import { Connection, Door, type Guest, type Limits, type Listener, type Reception, Refusal } from '@raftkit/links'
import { Conversation } from './conversation.ts'
import { encodeHello, encodeRefusal, GreetingReader } from './greeting.ts'
import { accepted } from './sockets.ts'

/** Hears those who dial us. */
export function tcpListener(reception: Reception, limits: Limits): Listener {
  return new Door<Socket>(limits.maxConnections, (guest) => receive(guest, reception, limits.maxFrameBytes))
}

/** Hear their hello, admit, say ours, hear that they have admitted us. */
function receive(guest: Guest<Socket>, reception: Reception, maxFrameBytes: number): void {
  const socket = accepted(guest.socket)
  const reader = new GreetingReader()
  let connection: Connection | undefined
  let conversation: Conversation | undefined
  const hear = (chunk: Buffer) => {
    try {
      reader.add(chunk)
      for (let message = reader.next(); message; message = reader.next()) {
        if (message.kind === 'refused') {
          reception.refused(guest.remote, message.refusal)
          socket.destroy()
          return
        }
        if (message.kind === 'hello' && !connection) {
          const caller = reception.check(message.hello, message.lane)
          const hello = encodeHello(message.lane, reception.hello())
          conversation = new Conversation(socket)
          connection = new Connection(
            { caller, lane: message.lane, dialled: false, remote: guest.remote },
            conversation,
          )
          socket.write(hello)
        } else if (message.kind === 'admitted' && connection && conversation) {
          socket.off('data', hear)
          guest.admitted()
          reception.opened(connection)
          conversation.begin(connection, reader.rest(), maxFrameBytes)
          return
        } else throw new Refusal('malformed', 'a greeting out of order')
      }
    } catch (error) {
      // Let go of what it says from now on, or the kernel would cut the connection before our answer is read.
      socket.off('data', hear)
      socket.resume()
      socket.end(encodeRefusal(error, !connection))
      guest.leave()
      reception.refused(guest.remote, error)
    }
  }
  socket.on('data', hear)
}
