import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { replaceFile } from '@raftkit/files'

/** The number is written to the two slots in turn: a torn write leaves the other one. */
const slotBytes = 16
const slots = [0, 4096]
const syncEvery = 1000

/**
 * A small file outside LevelDB that says how many writes were durable. LevelDB takes a log that was cut for one that a crash cut, and
 * opens with what is left; the mark is how that is found. It is written after a flush, never before, so it may be behind (by a crash,
 * by up to a second after a power cut), and is never ahead of an undamaged store.
 */
export class Mark {
  readonly #file: FileHandle
  #turn: number
  #wanted: number
  #written: number
  #busy: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  private constructor(file: FileHandle, stamp: number, turn: number) {
    this.#file = file
    this.#wanted = this.#written = stamp
    this.#turn = turn
  }

  /** Before anything is written to the store. */
  static async create(path: string): Promise<void> {
    const bytes = new Uint8Array(slots[1]! + slotBytes)
    for (const at of slots) bytes.set(encode(0), at)
    await replaceFile(path, bytes)
  }

  /** The stamp that the file tells; undefined when neither slot is intact. */
  static async read(path: string): Promise<{ readonly stamp: number; readonly turn: number } | undefined> {
    const file = await open(path, 'r')
    try {
      let found: { stamp: number; turn: number } | undefined
      for (const [i, at] of slots.entries()) {
        const slot = new Uint8Array(slotBytes)
        const { bytesRead } = await file.read(slot, 0, slotBytes, at)
        const stamp = bytesRead === slotBytes ? decode(slot) : undefined
        if (stamp !== undefined && (!found || stamp > found.stamp)) found = { stamp, turn: 1 - i }
      }
      return found
    } finally {
      await file.close()
    }
  }

  static async open(path: string, { stamp, turn }: { stamp: number; turn: number }): Promise<Mark> {
    return new Mark(await open(path, 'r+'), stamp, turn)
  }

  /** At once; written soon. */
  advance(stamp: number): void {
    const idle = this.#wanted === this.#written
    this.#wanted = stamp
    if (idle) this.#busy = this.#busy.then(() => this.#write())
    this.#timer ??= setTimeout(() => this.#sync(), syncEvery).unref()
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#busy
    await this.#file.sync().catch(() => undefined)
    await this.#file.close()
  }

  async #write(): Promise<void> {
    while (this.#written < this.#wanted) {
      const stamp = this.#wanted
      // A mark that cannot be written stays behind: less is found then, and nothing is claimed that is not so.
      await this.#file.write(encode(stamp), 0, slotBytes, slots[this.#turn]).catch(() => undefined)
      this.#turn = 1 - this.#turn
      this.#written = stamp
    }
  }

  #sync(): void {
    this.#timer = undefined
    this.#busy = this.#busy.then(() => this.#file.datasync().catch(() => undefined))
  }
}

function encode(stamp: number): Uint8Array {
  const slot = Buffer.alloc(slotBytes)
  slot.writeBigUInt64LE(BigInt(stamp), 4)
  slot.writeUInt32LE(crc32(slot.subarray(4)), 0)
  return slot
}

function decode(slot: Uint8Array): number | undefined {
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength)
  if (view.getUint32(0, true) !== crc32(slot.subarray(4))) return undefined
  const stamp = view.getBigUint64(4, true)
  return stamp > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(stamp)
}
