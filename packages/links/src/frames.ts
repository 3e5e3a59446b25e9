/*
 * A stream of frames, for adapters that bring no layout of their own: words of 32 bits, little-endian, and behind each the frame whose
 * length it is. Where one read ends and the next begins says nothing: a frame may take many, and many frames may share one.
 */
export const wordBytes = 4

/** Cuts what arrives into frames. */
export class FrameReader {
  readonly #maxFrameBytes: number
  readonly #hand: (frame: Uint8Array) => void
  readonly #passedOver: number | undefined
  /** Bytes of a word that is not whole. */
  readonly #word: Uint8Array = new Uint8Array(wordBytes)
  #wordFilled = 0
  /** A frame that is not whole. */
  #frame: Uint8Array | undefined
  #frameFilled = 0

  /** `passedOver`: a word that is no length, and that nothing follows. */
  constructor(maxFrameBytes: number, hand: (frame: Uint8Array) => void, passedOver?: number) {
    this.#maxFrameBytes = maxFrameBytes
    this.#hand = hand
    this.#passedOver = passedOver
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
      if (length === this.#passedOver) continue
      if (length > this.#maxFrameBytes) return false
      if (at + length <= end) {
        this.#hand(new Uint8Array(buffer, byteOffset + at, length))
        at += length
      } else {
        this.#frame = new Uint8Array(length)
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
