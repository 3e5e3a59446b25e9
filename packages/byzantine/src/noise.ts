import { encodeMessage, type Message } from '@raftkit/bft'
import { flipped } from './signing.ts'
import type { Behaviour, Stage } from './stage.ts'

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
