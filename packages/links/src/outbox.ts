/** Frames gather into one batch up to this size: large enough that the cost per batch vanishes, small enough to flow. */
const batchBytes = 256 * 1024

/** What a frame may cost on the wire beyond its bytes. */
const frameOverhead = 8

/** What a waiting frame costs beyond its bytes: an empty one is not free. */
const bookkeeping = 64

/** Frames that are written at once. */
export interface Batch {
  /** Each given by its parts. */
  readonly frames: readonly (readonly Uint8Array[])[]
  /** The sum of all parts. */
  readonly bytes: number
  /** Never 0: an empty frame takes room, too. */
  readonly weight: number
}

interface Waiting {
  readonly parts: readonly Uint8Array[]
  readonly bytes: number
}

/** Frames that wait for their connection, bounded in bytes. */
export class Outbox {
  readonly #limit: number
  #waiting: (Waiting | undefined)[] = []
  #first = 0
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return this.#bytes
  }

  get empty(): boolean {
    return this.#first === this.#waiting.length
  }

  /** Whether a frame of that many bytes fits. */
  fits(bytes: number): boolean {
    return this.#bytes + bytes + bookkeeping <= this.#limit
  }

  add(parts: readonly Uint8Array[], bytes: number): void {
    this.#waiting.push({ parts, bytes })
    this.#bytes += bytes + bookkeeping
  }

  dropOldest(): void {
    this.#next()
  }

  clear(): void {
    this.#waiting = []
    this.#first = 0
    this.#bytes = 0
  }

  /** The frames that wait longest. One that is larger than a usual batch goes by itself. */
  take(): Batch {
    const frames: (readonly Uint8Array[])[] = []
    let bytes = 0
    let weight = 0
    while (!this.empty) {
      const size = this.#waiting[this.#first]!.bytes + frameOverhead
      if (frames.length > 0 && weight + size > batchBytes) break
      const next = this.#next()
      frames.push(next.parts)
      bytes += next.bytes
      weight += size
    }
    return { frames, bytes, weight }
  }

  #next(): Waiting {
    const next = this.#waiting[this.#first]!
    this.#bytes -= next.bytes + bookkeeping
    // Gone frames are let go at once: a list of them would hold more than the queue may.
    this.#waiting[this.#first++] = undefined
    if (this.empty) {
      this.#waiting = []
      this.#first = 0
    } else if (this.#first > 1024 && this.#first * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first)
      this.#first = 0
    }
    return next
  }
}
