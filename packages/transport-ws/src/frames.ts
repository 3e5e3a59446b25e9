import { maxMessageBytes } from './line.ts'

/*
 * After the greeting, the messages of one direction are a stream of bytes: words of 32 bits, little-endian, and behind each the frame whose
 * length it is. Where one message ends and the next begins says nothing: a frame may take many, and many frames may share one.
 */
const wordBytes = 4

/** The messages that carry these frames. `bytes`: the sum of all parts. */
export function encodeFrames(frames: readonly (readonly Uint8Array[])[], bytes: number): Uint8Array[] {
  const messages: Uint8Array[] = []
  let left = bytes + frames.length * wordBytes
  let message = new Uint8Array(Math.min(left, maxMessageBytes))
  let at = 0
  const add = (part: Uint8Array) => {
    let from = 0
    while (from < part.length) {
      if (at === message.length) {
        left -= at
        messages.push(message)
        message = new Uint8Array(Math.min(left, maxMessageBytes))
        at = 0
      }
      const room = message.length - at
      const piece = from === 0 && part.length <= room ? part : part.subarray(from, from + room)
      message.set(piece, at)
      at += piece.length
      from += piece.length
    }
  }
  for (const parts of frames) {
    let length = 0
    for (const part of parts) length += part.length
    add(new Uint8Array([length, length >>> 8, length >>> 16, length >>> 24]))
    for (const part of parts) add(part)
  }
  messages.push(message)
  return messages
}

/** Cuts what arrives into frames. */
export class FrameReader {
  readonly #maxFrameBytes: number
  readonly #hand: (frame: Uint8Array) => void
  /** Bytes of a word that is not whole. */
  readonly #word: Uint8Array = new Uint8Array(wordBytes)
  #wordFilled = 0
  /** A frame that is not whole. */
  #frame: Uint8Array | undefined
  #frameFilled = 0

  constructor(maxFrameBytes: number, hand: (frame: Uint8Array) => void) {
    this.#maxFrameBytes = maxFrameBytes
    this.#hand = hand
  }

  /** False: from here on these are no frames. A frame that is whole within `message` is a view of it. */
  read(message: Uint8Array): boolean {
    let at = 0
    while (at < message.length) {
      if (this.#frame) {
        at = this.#fill(this.#frame, message, at)
        continue
      }
      this.#word[this.#wordFilled++] = message[at++]!
      if (this.#wordFilled < wordBytes) continue
      this.#wordFilled = 0
      const length = number(this.#word)
      if (length > this.#maxFrameBytes) return false
      if (at + length <= message.length) {
        this.#hand(new Uint8Array(message.buffer, message.byteOffset + at, length))
        at += length
      } else {
        this.#frame = new Uint8Array(length)
        this.#frameFilled = 0
      }
    }
    return true
  }

  #fill(frame: Uint8Array, message: Uint8Array, at: number): number {
    const end = Math.min(message.length, at + frame.length - this.#frameFilled)
    frame.set(message.subarray(at, end), this.#frameFilled)
    this.#frameFilled += end - at
    if (this.#frameFilled === frame.length) {
      this.#frame = undefined
      this.#hand(frame)
    }
    return end
  }
}

function number(word: Uint8Array): number {
  return (word[0]! | (word[1]! << 8) | (word[2]! << 16) | (word[3]! << 24)) >>> 0
}
