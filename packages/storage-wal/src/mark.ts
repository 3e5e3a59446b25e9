import { crc32 } from 'node:zlib'
import { type Disk, type DiskFile, replaceFile } from '@raftkit/files'

/** The number is written to the two slots in turn: a torn write leaves the other one. */
const slotBytes = 16
const slots = [0, 4096]
const everyMs = 1000

/**
 * A small file beside the log that says how many frames were durable. In the log itself every frame proves the one before; of the last one nothing
 * tells whether a crash tore it or something harmed it later: the mark does. It is written after a flush, never before, within a second
 * and when the storage closes; so it may be behind, and is never ahead of an undamaged log.
 */
export class Mark {
  readonly #disk: Disk
  readonly #file: DiskFile
  readonly #closing = new AbortController()
  #turn: number
  #wanted: number
  #written: number
  #busy: Promise<void> | undefined

  private constructor(disk: Disk, file: DiskFile, frame: number, turn: number) {
    this.#disk = disk
    this.#file = file
    this.#wanted = this.#written = frame
    this.#turn = turn
  }

  /** Before anything is written to the log. */
  static async create(disk: Disk, path: string): Promise<void> {
    const bytes = new Uint8Array(slots[1]! + slotBytes)
    for (const at of slots) bytes.set(encode(0), at)
    await replaceFile(path, bytes, disk)
  }

  /** The frame that the file tells; undefined when neither slot is intact. */
  static async read(file: DiskFile): Promise<{ readonly frame: number; readonly turn: number } | undefined> {
    let found: { frame: number; turn: number } | undefined
    for (const [i, at] of slots.entries()) {
      const slot = Buffer.alloc(slotBytes)
      const frame = (await file.read(slot, at)) === slotBytes ? decode(slot) : undefined
      if (frame !== undefined && (!found || frame > found.frame)) found = { frame, turn: 1 - i }
    }
    return found
  }

  static async open(disk: Disk, path: string, { frame, turn }: { frame: number; turn: number }): Promise<Mark> {
    return new Mark(disk, await disk.open(path, 'write'), frame, turn)
  }

  /** At once; written soon. */
  advance(frame: number): void {
    this.#wanted = frame
    this.#busy ??= this.#writeSoon()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    while (this.#busy) await this.#busy
    await this.#file.close()
  }

  async #writeSoon(): Promise<void> {
    await this.#disk.pause(everyMs, this.#closing.signal)
    try {
      while (this.#written < this.#wanted) {
        const frame = this.#wanted
        await this.#file.write([encode(frame)], slots[this.#turn]!)
        await this.#file.sync()
        this.#turn = 1 - this.#turn
        this.#written = frame
        if (!this.#closing.signal.aborted) break
      }
    } catch {
      // A mark that cannot be written stays behind: less is found then, and nothing is claimed that is not so.
    }
    this.#busy = this.#written < this.#wanted && !this.#closing.signal.aborted ? this.#writeSoon() : undefined
  }
}

function encode(frame: number): Buffer {
  const slot = Buffer.alloc(slotBytes)
  slot.writeBigUInt64LE(BigInt(frame), 4)
  slot.writeUInt32LE(crc32(slot.subarray(4)), 0)
  return slot
}

function decode(slot: Buffer): number | undefined {
  if (slot.readUInt32LE(0) !== crc32(slot.subarray(4))) return undefined
  const frame = slot.readBigUInt64LE(4)
  return frame > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(frame)
}
