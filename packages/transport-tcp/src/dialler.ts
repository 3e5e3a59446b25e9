import {
  type Attempt,
  type Certificate,
  Connection,
  formatAddress,
  Refusal,
  reasonOf,
  type Terms,
} from '@raftkit/links'
import { Conversation } from './conversation.ts'
import { encode, encodeTurnedDown, GreetingReader } from './greeting.ts'
import { dialled } from './sockets.ts'

/** Say hello, prove what is asked for, hear their hello, admit. */
export function dial(attempt: Attempt, { maxFrameBytes, credentials }: Terms): () => void {
  const reader = new GreetingReader()
  const { lane } = attempt
  let certificate: Certificate | undefined
  const socket = dialled(attempt.address, credentials, (judge) => {
    if (attempt.over) return
    try {
      certificate = judge()
    } catch (error) {
      turnDown(error, true)
      return
    }
    try {
      socket.write(encode({ kind: 'hello', lane, hello: attempt.hello() }, true))
      socket.on('data', hear)
    } catch (error) {
      attempt.failed('refused', reasonOf(error))
    }
  })
  const hear = (chunk: Buffer) => {
    if (attempt.over) return
    try {
      reader.add(chunk)
      for (let message = reader.next(); message; message = reader.next()) {
        if (message.kind === 'refused') {
          attempt.turnedDown(message.refusal)
          return
        }
        if (message.kind === 'hello') {
          if (message.lane !== lane) throw new Refusal('malformed', 'the hello of another lane')
          const caller = attempt.check(message.hello, certificate)
          const conversation = new Conversation(socket)
          const remote = formatAddress(attempt.address)
          const connection = new Connection({ caller, lane, dialled: true, remote }, conversation)
          socket.off('data', hear)
          socket.write(encode({ kind: 'admitted' }, false))
          attempt.opened(connection)
          conversation.begin(connection, reader.rest(), maxFrameBytes)
          return
        }
        if (message.kind !== 'challenge') throw new Refusal('malformed', 'no hello')
        socket.write(encode({ kind: 'proof', proof: attempt.answer(message.challenge) }, false))
      }
    } catch (error) {
      turnDown(error, false)
    }
  }
  /** It learns why, if it has room for a sentence; the socket is destroyed all the same. */
  const turnDown = (error: unknown, first: boolean) => {
    if (!attempt.over) socket.end(encodeTurnedDown(error, first))
    attempt.failed('refused', reasonOf(error))
  }
  socket.on('error', (error) => attempt.broke(error))
  socket.on('close', () =>
    attempt.failed('unreachable', 'it closed the connection without a hello: is this a Raftkit node?'),
  )
  return () => {
    if (socket.writableEnded) socket.destroySoon()
    else socket.destroy()
  }
}
