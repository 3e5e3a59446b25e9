import { wordBytes } from '@raftkit/links'
import { maxMessageBytes } from './line.ts'

/** The messages that carry these frames: together, a stream (frames.ts of @raftkit/links). `bytes`: the sum of all parts. */
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
