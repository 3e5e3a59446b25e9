import { join } from 'node:path'
import type { Disk, DiskFile } from '@raftkit/files'
import { isFull } from './failure.ts'
import { encodeHeader, headerBytes, segmentName } from './layout.ts'
import { Segment, type Segments } from './segment.ts'

/**
 * Zeros go behind a frame that makes its file grow, so that the next ones need not: a flush that changes a file's size costs the journal another.
 * As many as eight small frames take, where the journal would write more than they do; as one larger one; none behind the largest, where it writes
 * far less. Decision 0020.
 */
const smallBytes = 16_384
const filledFrames = 8
const zeros = Buffer.alloc(65_536)
/** Files that are kept to be written over: as many as a snapshot sets free by default. */
const sparesMax = 8

/** Where the next frame goes. */
export interface Room {
  readonly segment: Segment
  readonly offset: number
}

/** The end of the log as recovery found it. */
export interface WalEnd {
  readonly segments: Segments
  /** The number of the next frame. */
  readonly frame: number
  /** The newest segment, ready to go on; undefined in a log that was never written. */
  readonly file: DiskFile | undefined
  /** The size of that file. */
  readonly filled: number
}

/** The files of the log: one frame after the other, each durable before the next. */
export class Wal {
  readonly segments: Segments
  /** The number of the next frame. */
  frame: number
  readonly #disk: Disk
  readonly #directory: string
  readonly #segmentBytes: number
  /** Files that nobody needs. They do not outlive the process: a crash may leave two names of one file. */
  readonly #spares: string[] = []
  readonly #closing: AbortSignal
  #file: DiskFile | undefined
  /** As far as the newest file need not grow. */
  #filled = 0
  #next: Promise<DiskFile> | undefined
  #before: { readonly salt: Uint8Array; readonly end: number } = { salt: new Uint8Array(8), end: 0 }
  readonly #removing = new Set<Promise<void>>()

  constructor(disk: Disk, directory: string, segmentBytes: number, end: WalEnd, closing: AbortSignal) {
    this.#disk = disk
    this.#directory = directory
    this.#segmentBytes = segmentBytes
    this.segments = end.segments
    this.frame = end.frame
    this.#file = end.file
    this.#filled = end.filled
    this.#closing = closing
  }

  /** Where a frame of so many bytes goes: behind the last one, or in a segment of its own number. Waits for room on a full disk. */
  async room(bytes: number): Promise<Room> {
    const { newest } = this.segments
    if (newest && (newest.end <= headerBytes || newest.end + bytes <= this.#segmentBytes))
      return { segment: newest, offset: Math.max(newest.end, headerBytes) }

    const number = (newest?.number ?? 0) + 1
    const file = await this.#whenThereIsRoom(async () => {
      this.#next ??= this.#prepare(number)
      try {
        return await this.#next
      } catch (error) {
        this.#next = undefined
        throw error
      }
    })
    this.#next = undefined
    const salt = new Uint8Array(8)
    this.#disk.random(salt)
    if (newest) this.#before = newest
    const base = newest ? newest.base + newest.end : 0
    const segment = new Segment(this.#disk, this.#directory, number, salt, base, 0)
    segment.adopt(file)
    this.segments.all.push(segment)
    this.#file = file
    this.#filled = await file.size()
    return { segment, offset: headerBytes }
  }

  /** Makes the frame durable. `bytes` leaves room for a header at its beginning. */
  async write({ segment, offset }: Room, bytes: Buffer, chunks: readonly Uint8Array[]): Promise<void> {
    const begins = segment.end === 0
    if (begins)
      encodeHeader(bytes, {
        number: segment.number,
        salt: segment.salt,
        previousSalt: this.#before.salt,
        previousEnd: this.#before.end,
        firstFrame: this.frame,
      })
    const first = begins ? bytes : bytes.subarray(headerBytes)
    const from = begins ? 0 : offset
    const end = chunks.reduce((at, { length }) => at + length, from + first.length)
    const parts = [first, ...chunks]
    const fill = this.#fill(from, end)
    const file = this.#file!
    await this.#whenThereIsRoom(async () => {
      if (fill > 0)
        try {
          await file.write([...parts, zeros.subarray(0, fill)], from)
          this.#filled = end + fill
          return
        } catch (error) {
          if (!isFull(error)) throw error
        }
      await file.write(parts, from)
    })
    this.#filled = Math.max(this.#filled, end)
    segment.end = end
    this.frame++
    if (end > this.#segmentBytes / 2 && !this.#next) {
      this.#next = this.#prepare(segment.number + 1)
      this.#next.catch(() => undefined)
    }
  }

  /** Segments before this one are not needed any more, durably. */
  release(oldest: number): void {
    const { all } = this.segments
    while (all.length > 1 && all[0]!.number < oldest) {
      const segment = all.shift()!
      const standard = segment.end <= this.#segmentBytes && segment.end > this.#segmentBytes / 2
      if (standard && segment.readers === 0 && this.#spares.length < sparesMax) {
        this.#spares.push(segmentName(segment.number))
        this.#later(segment.close())
      } else {
        // What is being read keeps its content until it is closed. A file that cannot be removed now is found at the next start.
        segment.retire()
        this.#later(this.#disk.remove(segment.path))
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#removing)
    await (await this.#next?.catch(() => undefined))?.close()
    for (const segment of this.segments.all) await segment.close()
  }

  /** How many zeros go behind the frame. */
  #fill(from: number, end: number): number {
    const bytes = end - from
    if (end <= this.#filled || bytes > zeros.length) return 0
    const wanted = bytes < smallBytes ? filledFrames * Math.max(bytes, 2048) : bytes
    return Math.max(0, Math.min(wanted, this.#segmentBytes - end))
  }

  /** A file for the next segment, with a durable name: one that is not needed any more, or a new one. */
  async #prepare(number: number): Promise<DiskFile> {
    const name = segmentName(number)
    const path = join(this.#directory, name)
    const spare = this.#spares.shift()
    if (spare !== undefined) await this.#disk.rename(join(this.#directory, spare), path)
    const file = await this.#disk.open(path, 'through')
    await this.#disk.syncDirectory(this.#directory)
    return file
  }

  /** A full disk is no failure: whatever was written of a frame is written again, over itself. Anything else is final. */
  async #whenThereIsRoom<T>(work: () => Promise<T>): Promise<T> {
    for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
      try {
        return await work()
      } catch (error) {
        if (!isFull(error) || this.#closing.aborted) throw error
        const spare = this.#spares.pop()
        if (spare !== undefined) await this.#disk.remove(join(this.#directory, spare)).catch(() => undefined)
        else await this.#disk.pause(pause, this.#closing)
      }
    }
  }

  #later(work: Promise<void>): void {
    const done = work.catch(() => undefined).finally(() => this.#removing.delete(done))
    this.#removing.add(done)
  }
}
