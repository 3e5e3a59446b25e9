import { join } from 'node:path'
import type { Disk, DiskFile } from '@raftkit/files'
import { segmentName } from './layout.ts'

/** A file of the log that holds frames somebody may need. */
export class Segment {
  readonly number: number
  readonly path: string
  readonly salt: Uint8Array
  /** Where it begins among all that this storage has of the log: places are told as one number through all segments. */
  readonly base: number
  /** How far its frames reach. */
  end: number
  /** Live pieces, states and newest items of groups that it holds. At 0 it may go, once it is the oldest. */
  needed = 0
  /** Reads under way: until they end, its bytes must stay. */
  readers = 0
  #retired = false
  readonly #disk: Disk
  #file: Promise<DiskFile> | undefined

  constructor(disk: Disk, directory: string, number: number, salt: Uint8Array, base: number, end: number) {
    this.#disk = disk
    this.number = number
    this.path = join(directory, segmentName(number))
    this.salt = salt
    this.base = base
    this.end = end
  }

  /** Opened when it is first needed. */
  file(): Promise<DiskFile> {
    if (!this.#file) {
      const opening = this.#disk.open(this.path, 'read')
      this.#file = opening
      // Too many open files, perhaps: the next read tries again.
      opening.catch(() => {
        if (this.#file === opening) this.#file = undefined
      })
    }
    return this.#file
  }

  /** The file is open already. */
  adopt(file: DiskFile): void {
    this.#file = Promise.resolve(file)
  }

  /** Its name goes; what it holds, too, once nobody reads it. */
  retire(): void {
    this.#retired = true
    if (this.readers === 0) void this.close()
  }

  endRead(): void {
    if (--this.readers === 0 && this.#retired) void this.close()
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await (await file?.catch(() => undefined))?.close()
  }
}

/** The segments that are needed, in their order and without a gap. */
export class Segments {
  readonly all: Segment[] = []
  /** About how many bytes of them are needed: no less than they take. */
  live = 0

  get oldest(): Segment | undefined {
    return this.all[0]
  }

  get newest(): Segment | undefined {
    return this.all.at(-1)
  }

  /** Bytes of all of them. */
  get bytes(): number {
    const { oldest, newest } = this
    return oldest && newest ? newest.base + newest.end - oldest.base : 0
  }

  /** The one that holds this place. */
  at(place: number): Segment {
    let low = 0
    let high = this.all.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.all[middle]!.base <= place) low = middle
      else high = middle - 1
    }
    return this.all[low]!
  }
}
