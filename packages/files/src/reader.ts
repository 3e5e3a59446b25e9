import { RaftkitError, type SnapshotReader } from '@raftkit/contract'
import {
  blockBytes,
  fileBytes,
  frameAt,
  frameBytes,
  header,
  intact,
  readTrailer,
  startsWith,
  trailerBytes,
} from './blob.ts'
import type { DiskFile } from './disk.ts'
import { onDisk, systemCode } from './failure.ts'

/** Blocks read at once: a call answers with at most so much, whatever it asks for. */
const blocksPerRead = 16

/** Takes over the file of a complete snapshot. Rejects `DAMAGED` when header, trailer and size do not belong together. */
export async function openReader(
  file: DiskFile,
  name: string,
  seed: number,
  released: () => void,
): Promise<FileReader> {
  const size = await file.size()
  const end = await readExactly(file, Math.max(0, size - trailerBytes), trailerBytes)
  const bytes = readTrailer(end, seed)
  if (bytes === undefined || size !== fileBytes(bytes)) throw damaged(name, 'its end is missing or altered')
  if (!startsWith(await readExactly(file, 0, header.length), header)) throw damaged(name, 'its beginning is altered')
  return new FileReader(file, name, seed, bytes, released)
}

export class FileReader implements SnapshotReader {
  readonly bytes: number
  readonly #file: DiskFile
  readonly #name: string
  readonly #seed: number
  readonly #released: () => void
  #closing: Promise<void> | undefined

  constructor(file: DiskFile, name: string, seed: number, bytes: number, released: () => void) {
    this.#file = file
    this.#name = name
    this.#seed = seed
    this.#released = released
    this.bytes = bytes
  }

  async read(offset: number, maxBytes: number): Promise<Uint8Array> {
    if (this.#closing)
      throw new RaftkitError('CLOSED', `the reader of snapshot ${this.#name} was closed; open it again`)
    if (!Number.isSafeInteger(offset) || offset < 0 || !(maxBytes > 0))
      throw new RaftkitError('INVALID_OPTION', `cannot read ${maxBytes} bytes at ${offset} of snapshot ${this.#name}`)
    const first = Math.floor(offset / blockBytes)
    const end = Math.min(this.bytes, offset + maxBytes, (first + blocksPerRead) * blockBytes)
    if (offset >= end) return new Uint8Array(0)

    const count = Math.ceil(end / blockBytes) - first
    const wanted = Math.min(frameAt(first + count), fileBytes(this.bytes) - trailerBytes) - frameAt(first)
    const frames = await onDisk(`read snapshot ${this.#name}`, () =>
      readExactly(this.#file, frameAt(first), wanted).catch((cause: unknown) => {
        if (systemCode(cause) !== 'EIO') throw cause
        throw damaged(this.#name, `the disk cannot read the blocks from ${first} on`, cause)
      }),
    )
    const parts: Uint8Array[] = []
    for (let i = 0; i < count; i++) {
      const frame = frames.subarray(i * frameBytes, (i + 1) * frameBytes)
      if (!intact(frame, this.#seed, first + i)) throw damaged(this.#name, `block ${first + i} is altered`)
      const start = (first + i) * blockBytes
      parts.push(frame.subarray(Math.max(0, offset - start), Math.min(frame.length - 4, end - start)))
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  close(): Promise<void> {
    if (!this.#closing) {
      this.#released()
      this.#closing = this.#file.close()
    }
    return this.#closing
  }
}

/** Up to `length` bytes; fewer only at the end of the file. */
export async function readExactly(file: DiskFile, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  return bytes.subarray(0, await file.read(bytes, position))
}

const damaged = (name: string, what: string, cause?: unknown): RaftkitError =>
  new RaftkitError('DAMAGED', `snapshot ${name} cannot be used: ${what}; fetch it from another member`, { cause })
