import { checkpointStatement, encodeMessage, type Message } from '@raftkit/bft'
import { flipped } from './signing.ts'
import { type Behaviour, pick, type Stage } from './stage.ts'

/** Bytes that no honest member sends: cut, lengthened, boasting of lengths, of no kind at all. */
export const malformed: Behaviour = (stage) => ({
  says(to, message) {
    if (stage.random() < 0.5) {
      stage.did('F42')
      stage.say(to, garbled(stage, message))
    }
    return message
  },
})

function garbled(stage: Stage, message: Message): Uint8Array {
  const bytes = encodeMessage(message)
  const random = (): number => stage.random()
  const length = Math.floor(random() * bytes.length)
  switch (Math.floor(random() * 5)) {
    case 0:
      return bytes.slice(0, length)
    case 1:
      return new Uint8Array([...bytes, 0])
    case 2: {
      const boast = new Uint8Array(bytes)
      boast.fill(0xff, length, length + 4)
      return boast
    }
    case 3:
      return Uint8Array.from({ length: 1 + Math.floor(random() * 100_000) }, () => 255 * random())
    default:
      return flipped(bytes, random)
  }
}

/** What clients are told is never what was computed. */
export const wrongReply: Behaviour = (stage) => ({
  replies(result) {
    stage.did('F40')
    return flipped(result, () => stage.random())
  },
})

/** Pages of a state that are none, of another place, or of an older checkpoint; and a word for a state that nobody has. */
export const falseState: Behaviour = (stage) => ({
  says(to, message) {
    switch (message.type) {
      case 'page': {
        stage.did('F39')
        const older = stage.knowledge.messages.find((one) => one.type === 'page')
        if (older !== undefined && stage.random() < 0.3) return older
        const lies: readonly Message[] = [
          { ...message, bytes: flipped(message.bytes, () => stage.random()) },
          { ...message, bytes: message.bytes.subarray(1) },
          { ...message, at: message.at + 1 },
          { ...message, count: message.count + 1 },
        ]
        return pick(stage, lies)
      }
      case 'checkpoint': {
        const checkpoint = { ...message.checkpoint, root: 'ab'.repeat(32) }
        stage.sign(checkpointStatement(stage.members.domain, checkpoint), (signature) => {
          stage.did('F39')
          stage.say(to, { type: 'checkpoint', checkpoint, signature })
        })
        return undefined
      }
      default:
        return message
    }
  },
})
