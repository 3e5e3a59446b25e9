import { RaftkitError, type SnapshotWriter } from '@raftkit/contract'
import { blockBytes, fileBytes, frameAt, frameBytes, header, intact, seal, startsWith, trailer } from './blob.ts'
import type { DiskFile } from './disk.ts'
import { onDisk } from './failure.ts'
import { readExactly } from './reader.ts'

/** What the store does when a writer ends: give the file its final name, or leave it unfinished. */
export interface Ending {
  commit(): Promise<void>
  close(): Promise<void>
}

/**
 * Takes over an unfinished file and goes on where its blocks stop being intact: what a crash tore off there is cut,
 * and everything before it has been read and checked again. It is written once more, too: where a flush failed, the page cache may hold what the
 * disk does not, and call it clean, so that no later flush takes it along.
 */
export async function openWriter(file: DiskFile, name: string, seed: number, ending: Ending): Promise<FileWriter> {
  const frame = new Uint8Array(frameBytes)
  let blocks = 0
  let filled = 0
  if (!startsWith(await readExactly(file, 0, header.length), header)) await file.truncate(0)
  await file.write([header], 0)
  for (;;) {
    const held = await readExactly(file, frameAt(blocks), frameBytes)
    if (!intact(held, seed, blocks)) {
      await file.truncate(frameAt(blocks))
      break
    }
    await file.write([held], frameAt(blocks))
    if (held.length < frameBytes) {
      frame.set(held.subarray(0, held.length - 4))
      filled = held.length - 4
      break
    }
    blocks++
  }
  return new FileWriter({ file, name, seed, ending, frame, blocks, filled })
}

interface Start {
  readonly file: DiskFile
  readonly name: string
  readonly seed: number
  readonly ending: Ending
  readonly frame: Uint8Array
  readonly blocks: number
  readonly filled: number
}

export class FileWriter implements SnapshotWriter {
  readonly #start: Start
  /** Full blocks in the file, and how much the one after them holds in memory. */
  #blocks: number
  #filled: number
  #bytes: number
  /** Settles after every call so far. */
  #tail: Promise<void> = Promise.resolve()
  #failed: unknown
  #ended = false

  constructor(start: Start) {
    this.#start = start
    this.#blocks = start.blocks
    this.#filled = start.filled
    this.#bytes = start.blocks * blockBytes + start.filled
  }

  get bytes(): number {
    return this.#bytes
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#next(async () => {
      const { frame, seed, file } = this.#start
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + blockBytes - this.#filled)
        frame.set(part, this.#filled)
        this.#filled += part.length
        at += part.length
        if (this.#filled < blockBytes) break
        seal(frame, seed, this.#blocks)
        await file.write([frame], frameAt(this.#blocks))
        this.#blocks++
        this.#filled = 0
      }
      this.#bytes += chunk.length
    })
  }

  async commit(): Promise<void> {
    const { file, seed, ending } = this.#start
    const done = this.#next(async () => {
      await this.#writeRest()
      await file.write([trailer(this.#bytes, seed)], fileBytes(this.#bytes) - trailer(0, 0).length)
      await file.sync()
      await file.close()
      await ending.commit()
    })
    this.#ended = true
    try {
      await done
    } catch (error) {
      await this.#abandon()
      throw error
    }
  }

  async close(): Promise<void> {
    if (this.#ended) return this.#tail
    this.#ended = true
    this.#tail = this.#tail.then(async () => {
      // What does not fit any more is not held: the next writer begins before it.
      if (this.#failed === undefined) await this.#writeRest().catch(() => undefined)
      await this.#abandon()
    })
    return this.#tail
  }

  async #writeRest(): Promise<void> {
    if (this.#filled === 0) return
    const { frame, seed, file } = this.#start
    const rest = frame.slice(0, this.#filled + 4)
    seal(rest, seed, this.#blocks)
    await file.write([rest], frameAt(this.#blocks))
  }

  async #abandon(): Promise<void> {
    await this.#start.file.close().catch(() => undefined)
    await this.#start.ending.close()
  }

  #next(work: () => Promise<void>): Promise<void> {
    const { name } = this.#start
    if (this.#ended) return Promise.reject(new RaftkitError('CLOSED', `the writer of snapshot ${name} has ended`))
    const done = this.#tail.then(() => {
      if (this.#failed !== undefined) throw this.#failed
      return onDisk(`write snapshot ${name}`, work)
    })
    this.#tail = done.catch((error: unknown) => {
      this.#failed ??= error
    })
    return done
  }
}
