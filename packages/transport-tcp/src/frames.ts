import { wordBytes } from '@raftkit/links'

/*
 * After the greeting, both sides send a stream of frames (frames.ts of @raftkit/links), and as a sign of life the word `alive`, which
 * nothing follows. Frames are below 2^28 bytes, so any other word is malformed.
 */
export const aliveWord = 0xffff_ffff
export const alive: Buffer = Buffer.from([0xff, 0xff, 0xff, 0xff])

/** From this size on, a part goes to the socket as it is; below, a copy costs less than one more buffer to write. */
const referredBytes = 8192

/** Bytes that `encodeFrames` copies and adds. `bytes`: the sum of all parts. */
export function copiedBytes(frames: readonly (readonly Uint8Array[])[], bytes: number): number {
  let copied = bytes + frames.length * wordBytes
  if (bytes >= referredBytes)
    for (const parts of frames) for (const part of parts) if (part.length >= referredBytes) copied -= part.length
  return copied
}

/** What is written for these frames, to be written in one go. `copies`: room for what is copied. */
export function encodeFrames(frames: readonly (readonly Uint8Array[])[], copies: Buffer): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let from = 0
  let to = 0
  for (let n = 0; n < frames.length; n++) {
    const parts = frames[n]!
    const wordAt = to
    let length = 0
    to += wordBytes
    for (let p = 0; p < parts.length; p++) {
      const part = parts[p]!
      length += part.length
      if (part.length < referredBytes) {
        copies.set(part, to)
        to += part.length
      } else {
        if (to > from) chunks.push(copies.subarray(from, to))
        chunks.push(part)
        from = to
      }
    }
    copies[wordAt] = length
    copies[wordAt + 1] = length >>> 8
    copies[wordAt + 2] = length >>> 16
    copies[wordAt + 3] = length >>> 24
  }
  if (to > from) chunks.push(copies.subarray(from, to))
  return chunks
}
