/*
 * After the greeting, both sides send words of 32 bits, little-endian: the length of the frame that follows, or `alive`,
 * which nothing follows. Frames are below 2^28 bytes, so any other word is malformed.
 */
const wordBytes = 4
const aliveWord = 0xffff_ffff
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

  /** False: from here on these are no frames. A frame that is whole within `chunk` is a view of it. */
  read(chunk: Uint8Array): boolean {
    const { buffer, byteOffset, length: end } = chunk
    let at = 0
    while (at < end) {
      if (this.#frame) {
        at = this.#fill(this.#frame, chunk, at)
        continue
      }
      let length: number
      if (this.#wordFilled === 0 && at + wordBytes <= end) {
        length = wordAt(chunk, at)
        at += wordBytes
      } else {
        this.#word[this.#wordFilled++] = chunk[at++]!
        if (this.#wordFilled < wordBytes) continue
        this.#wordFilled = 0
        length = wordAt(this.#word, 0)
      }
      if (length === aliveWord) continue
      if (length > this.#maxFrameBytes) return false
      if (at + length <= end) {
        this.#hand(new Uint8Array(buffer, byteOffset + at, length))
        at += length
      } else {
        this.#frame = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
        this.#frameFilled = 0
      }
    }
    return true
  }

  #fill(frame: Uint8Array, chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + frame.length - this.#frameFilled)
    frame.set(chunk.subarray(at, end), this.#frameFilled)
    this.#frameFilled += end - at
    if (this.#frameFilled === frame.length) {
      this.#frame = undefined
      this.#hand(frame)
    }
    return end
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
