/** Frames gather into one batch up to this size, a batch of one frame excepted: large enough that the cost per batch vanishes, small enough to flow. */
export const batchBytes: number = 256 * 1024

/** What a frame costs beyond its bytes, waiting or written: an empty one is not free. */
const bookkeeping = 64

/** Frames that are written at once. */
export interface Batch {
  /** Each given by its parts. */
  readonly frames: readonly (readonly Uint8Array[])[]
  /** The sum of all parts. */
  readonly bytes: number
}

/** What it counts for where bytes are bounded. */
export const weightOf = ({ frames, bytes }: Batch): number => bytes + frames.length * bookkeeping

/** Frames that wait for their connection, bounded in bytes. */
export class Outbox {
  readonly #limit: number
  #frames: (readonly Uint8Array[])[] = []
  /** Of each frame. */
  #sizes: number[] = []
  /** Those before it are gone. */
  #first = 0
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return this.#bytes
  }

  get empty(): boolean {
    return this.#first === this.#frames.length
  }

  /** Whether a frame of that many bytes fits. */
  fits(bytes: number): boolean {
    return this.#bytes + bytes + bookkeeping <= this.#limit
  }

  add(parts: readonly Uint8Array[], bytes: number): void {
    this.#frames.push(parts)
    this.#sizes.push(bytes)
    this.#bytes += bytes + bookkeeping
  }

  dropOldest(): void {
    this.#leave(1, this.#sizes[this.#first]! + bookkeeping)
  }

  clear(): void {
    this.#frames = []
    this.#sizes = []
    this.#first = 0
    this.#bytes = 0
  }

  /** The frames that wait longest. One that is larger than a usual batch goes by itself. */
  take(): Batch {
    if (this.#first === 0 && this.#bytes <= batchBytes) {
      const all = { frames: this.#frames, bytes: this.#bytes - this.#frames.length * bookkeeping }
      this.clear()
      return all
    }
    let end = this.#first
    let weight = 0
    while (end < this.#frames.length) {
      const more = this.#sizes[end]! + bookkeeping
      if (weight > 0 && weight + more > batchBytes) break
      weight += more
      end++
    }
    const frames = this.#frames.slice(this.#first, end)
    this.#leave(frames.length, weight)
    return { frames, bytes: weight - frames.length * bookkeeping }
  }

  /** Gone frames are let go at once: a list of them would hold more than the queue may. */
  #leave(count: number, weight: number): void {
    this.#bytes -= weight
    this.#frames.fill([], this.#first, this.#first + count)
    this.#first += count
    if (this.empty) this.clear()
    else if (this.#first > 1024 && this.#first * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#first)
      this.#sizes = this.#sizes.slice(this.#first)
      this.#first = 0
    }
  }
}
