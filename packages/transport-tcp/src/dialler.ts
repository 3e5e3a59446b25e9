import { type Attempt, Connection, formatAddress, Refusal, reasonOf } from '@raftkit/links'
import { Conversation } from './conversation.ts'
import { admitted, encodeHello, encodeRefusal, GreetingReader } from './greeting.ts'
import { dialled } from './sockets.ts'

/** Say hello, hear theirs, admit. */
export function dial(attempt: Attempt, maxFrameBytes: number): () => void {
  const socket = dialled(attempt.address)
  const reader = new GreetingReader()
  const greet = () => {
    try {
      socket.write(encodeHello(attempt.lane, attempt.hello()))
    } catch (error) {
      attempt.failed('refused', reasonOf(error))
    }
  }
  const hear = (chunk: Buffer) => {
    if (attempt.over) return
    try {
      reader.add(chunk)
      const message = reader.next()
      if (!message) return
      if (message.kind === 'refused') {
        const { kind, reason } = message.refusal
        attempt.failed(kind === 'connected' ? 'connected' : 'refused', reason)
        return
      }
      if (message.kind !== 'hello' || message.lane !== attempt.lane) throw new Refusal('malformed', 'no hello')
      const caller = attempt.check(message.hello)
      const conversation = new Conversation(socket)
      const remote = formatAddress(attempt.address)
      const connection = new Connection({ caller, lane: attempt.lane, dialled: true, remote }, conversation)
      socket.off('data', hear)
      socket.write(admitted)
      attempt.opened(connection)
      conversation.begin(connection, reader.rest(), maxFrameBytes)
    } catch (error) {
      // It learns why, if it has room for a sentence; the socket is destroyed all the same.
      if (!attempt.over) socket.end(encodeRefusal(error, false))
      attempt.failed('refused', reasonOf(error))
    }
  }
  socket.on('error', (error) => attempt.failed('unreachable', error.message))
  socket.on('close', () =>
    attempt.failed('unreachable', 'it closed the connection without a hello: is this a Raftkit node?'),
  )
  socket.once('connect', greet)
  socket.on('data', hear)
  return () => {
    if (socket.writableEnded) socket.destroySoon()
    else socket.destroy()
  }
}
