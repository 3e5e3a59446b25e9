import {
  type Attempt,
  type Certificate,
  Connection,
  decodeGreeting,
  encodeGreeting,
  encodeRefusal,
  formatAddress,
  Refusal,
  reasonOf,
} from '@raftkit/links'
import { aliveMs, Conversation } from './conversation.ts'
import type { Ear, Line } from './line.ts'

export interface Dialling {
  readonly maxFrameBytes: number
  readonly aliveMs?: number | undefined
  /** Makes a WebSocket that tells `ear`. */
  connect(ear: Ear): Line
}

/** Say hello, prove what is asked for, hear their hello, admit. */
export function dial(attempt: Attempt, dialling: Dialling): () => void {
  const { lane } = attempt
  let certificate: Certificate | undefined
  let told = false
  const hear = (bytes: Uint8Array) => {
    const message = decodeGreeting(bytes)
    if (message.kind === 'refused') attempt.turnedDown(message.refusal)
    else if (message.kind === 'challenge')
      line.say(encodeGreeting({ kind: 'proof', proof: attempt.answer(message.challenge) }))
    else if (message.kind === 'hello' && message.lane === lane) {
      const caller = attempt.check(message.hello, certificate)
      const conversation = new Conversation(line, { aliveMs: dialling.aliveMs ?? aliveMs, asks: false })
      const remote = formatAddress(attempt.address)
      const connection = new Connection({ caller, lane, dialled: true, remote }, conversation)
      line.say(encodeGreeting({ kind: 'admitted' }))
      attempt.opened(connection)
      conversation.begin(connection, dialling.maxFrameBytes)
    } else throw new Refusal('malformed', 'no hello')
  }
  /** It learns why. */
  const turnDown = (error: unknown) => {
    if (attempt.over) return
    told = true
    line.say(encodeRefusal(error))
    attempt.failed('refused', reasonOf(error))
  }
  const line = dialling.connect({
    secured(judge) {
      try {
        certificate = judge()
      } catch (error) {
        turnDown(error)
      }
    },
    opened() {
      if (attempt.over) return
      try {
        line.say(encodeGreeting({ kind: 'hello', lane, hello: attempt.hello() }))
      } catch (error) {
        attempt.failed('refused', reasonOf(error))
      }
    },
    message(bytes) {
      if (attempt.over) return
      try {
        hear(bytes)
      } catch (error) {
        turnDown(error)
      }
    },
    wrong: (reason) => attempt.failed('refused', reason),
    turnedDown: (refusal) => attempt.turnedDown(refusal),
    broke: (error) => attempt.broke(error),
    closed: () => attempt.failed('unreachable', 'no connection, or one that was closed: is this a Raftkit node?'),
  })
  return () => (told ? line.end() : line.destroy())
}
