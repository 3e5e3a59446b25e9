import { crc32 } from 'node:zlib'
import { type GroupId, RaftkitError } from '@raftkit/contract'
import type { DiskFile } from '@raftkit/files'
import { destroyed, frameHeadBytes, frameMagic, itemHeadBytes, numberAt, pieceBytes, withState } from './layout.ts'

/** Bytes read at once. */
const windowBytes = 4_194_304

/** A frame that is whole, except perhaps for some of its records. The object is used again for the next one. */
export interface Frame {
  number: number
  oldest: number
  /** Where it begins in its file, and where it ends. */
  offset: number
  end: number
  /** Whether all its pieces have their checksums. */
  sound: boolean
}

/** Told of what stands in a frame, in order: the frame, then of each item the item and its pieces. Values are the caller's to copy. */
export interface Visitor {
  frame?(): void
  /** `state` is a view that does not last. */
  item?(group: GroupId, flags: number, first: number, last: number, state: Uint8Array | undefined): void
  /** `offset` in the file; `moved`: it takes the place of the same records. */
  piece?(at: number, count: number, bytes: number, crc: number, offset: number, sound: boolean, moved: boolean): void
  itemEnds?(): void
  /** Only now it is known whether it is sound. */
  frameEnds?(frame: Frame): void
}

export interface Walk {
  /** Behind the last whole frame. */
  readonly end: number
  /** The number that the next one would have. */
  readonly next: number
  /** The last frame, if there was one: where it began, whether its records were sound, and what it said. */
  readonly last: Frame | undefined
}

/**
 * Walks through the frames of a segment, from one that begins at `offset` with the number `next` up to `limit`, and stops before whatever is
 * not the next frame as a whole. Frames whose records alone are altered are passed on as not `sound`.
 */
export async function walk(
  file: DiskFile,
  salt: Uint8Array,
  start: { readonly offset: number; readonly next: number; readonly limit: number },
  visitor: Visitor = {},
  progress: (bytes: number) => void = () => {},
): Promise<Walk> {
  const { limit } = start
  const window = new Window(file, limit)
  const reader = new ItemReader(visitor)
  let { offset, next } = start
  let last: Frame | undefined
  let told = offset
  for (;;) {
    const missing = window.missing(offset, frameHeadBytes) || window.missing(offset, lengthAt(window, offset, limit))
    if (missing > 0) {
      if (offset + missing > limit) break
      progress(offset - told)
      told = offset
      await window.fill(offset, missing)
      continue
    }
    const { bytes } = window
    const from = offset - window.start
    const headBytes = bytes.readUInt32LE(from + 32)
    const head = bytes.subarray(from, from + headBytes)
    if (!isHead(head, salt) || numberAt(head, 16) !== next) break
    last ??= { number: 0, oldest: 0, offset: 0, end: 0, sound: true }
    last.number = next
    last.oldest = numberAt(head, 24)
    last.offset = offset
    last.end = offset + headBytes + head.readUInt32LE(36)
    last.sound = true
    visitor.frame?.()
    if (!reader.read(head, bytes, from, last))
      throw new RaftkitError('DAMAGED', `flush ${next} has its checksum, and does not add up`)
    visitor.frameEnds?.(last)
    offset = last.end
    next++
  }
  progress(offset - told)
  return { end: offset, next, last }
}

/** How long the frame is that begins at `offset`; its fixed beginning is in the window. Longer than the limit allows: not a frame. */
function lengthAt(window: Window, offset: number, limit: number): number {
  const { bytes, start } = window
  const at = offset - start
  const headBytes = bytes.readUInt32LE(at + 32)
  const length = headBytes + bytes.readUInt32LE(at + 36)
  const fits = frameMagic.compare(bytes, at, at + 4) === 0 && headBytes >= frameHeadBytes && offset + length <= limit
  return fits ? length : Number.POSITIVE_INFINITY
}

/** Whether the head has its commit mark; without `salt`, of whichever segment. */
function isHead(head: Buffer, salt: Uint8Array | undefined): boolean {
  if (salt && Buffer.compare(salt, head.subarray(8, 16)) !== 0) return false
  return head.readUInt32LE(4) === crc32(head.subarray(8))
}

/**
 * Looks in the file from `offset` on for the head of any frame that is numbered `next` or higher: what proves that frames before it were
 * durable. A crash leaves no such thing behind the frame that it tore, since no frame is written before the last one is durable.
 */
export async function findLater(file: DiskFile, offset: number, next: number): Promise<number | undefined> {
  const size = await file.size()
  const window = new Window(file, size)
  for (let at = offset; at + frameHeadBytes <= size; ) {
    await window.fill(at, Math.min(windowBytes, size - at))
    const bytes = window.bytes
    const from = at - window.start
    for (let i = bytes.indexOf(frameMagic, from); i >= 0; i = bytes.indexOf(frameMagic, i + 1)) {
      const place = window.start + i
      if (place + frameHeadBytes > size) break
      if (i + frameHeadBytes > bytes.length) break
      const headBytes = bytes.readUInt32LE(i + 32)
      const number = numberAt(bytes, i + 16)
      if (!(number >= next) || headBytes < frameHeadBytes || place + headBytes > size) continue
      const head = Buffer.alloc(headBytes)
      await file.read(head, place)
      if (isHead(head, undefined)) return number
    }
    at = Math.max(at + 1, window.start + bytes.length - frameHeadBytes)
    if (window.start + bytes.length >= size) break
  }
  return undefined
}

/** Part of a file, in memory. */
class Window {
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  readonly #file: DiskFile
  readonly #limit: number

  constructor(file: DiskFile, limit: number) {
    this.#file = file
    this.#limit = limit
  }

  /** How many bytes from `offset` on must be there so that `length` are; 0: they are. */
  missing(offset: number, length: number): number {
    return offset >= this.start && offset + length <= this.start + this.bytes.length ? 0 : length
  }

  /** Holds `length` bytes from `offset` on, and more of what follows. */
  async fill(offset: number, length: number): Promise<void> {
    const wanted = Math.min(Math.max(length, windowBytes), this.#limit - offset)
    const kept = this.bytes.subarray(Math.max(0, offset - this.start))
    const into = Buffer.allocUnsafeSlow(Math.max(wanted, kept.length))
    kept.copy(into)
    const held = await this.#file.read(into.subarray(kept.length), offset + kept.length)
    this.start = offset
    // A file that is shorter than it said reads as zeros, which are no frame.
    this.bytes = into.fill(0, kept.length + held)
  }
}

/** Of groups; `log` takes no other. */
const nameRule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** Takes the items of a head apart. */
class ItemReader {
  readonly #visitor: Visitor
  #name: Buffer = Buffer.alloc(0)
  #group: GroupId = ''

  constructor(visitor: Visitor) {
    this.#visitor = visitor
  }

  /** `bytes` holds the whole frame from `from` on. False: it does not add up. */
  read(head: Buffer, bytes: Buffer, from: number, frame: Frame): boolean {
    const visitor = this.#visitor
    let body = head.length
    let at = frameHeadBytes
    const end = frame.end - frame.offset
    while (at < head.length) {
      if (at + itemHeadBytes > head.length) return false
      const flags = head[at]!
      const nameEnd = at + 2 + head[at + 1]!
      if (nameEnd + itemHeadBytes - 2 > head.length) return false
      const group = this.#groupOf(head.subarray(at + 2, nameEnd))
      if (!nameRule.test(group)) return false
      const first = numberAt(head, nameEnd)
      const last = numberAt(head, nameEnd + 8)
      at = nameEnd + 16
      let state: Uint8Array | undefined
      if (flags & withState) {
        if (at + 4 > head.length) return false
        const length = head.readUInt32LE(at)
        state = head.subarray(at + 4, at + 4 + length)
        at += 4 + length
      }
      if (at + 8 > head.length || flags > (withState | destroyed)) return false
      const pieces = head.readUInt32LE(at)
      const all = pieces + head.readUInt32LE(at + 4)
      at += 8
      if (at + all * pieceBytes > head.length || !(first >= 1 && last >= first - 1)) return false
      visitor.item?.(group, flags, first, last, state)
      for (let i = 0; i < all; i++, at += pieceBytes) {
        const length = head.readUInt32LE(at + 12)
        const crc = head.readUInt32LE(at + 16)
        if (body + length > end) return false
        const sound = crc32(bytes.subarray(from + body, from + body + length)) === crc
        if (!sound) frame.sound = false
        visitor.piece?.(
          numberAt(head, at),
          head.readUInt32LE(at + 8),
          length,
          crc,
          frame.offset + body,
          sound,
          i >= pieces,
        )
        body += length
      }
      visitor.itemEnds?.()
    }
    return body === end
  }

  #groupOf(name: Buffer): GroupId {
    if (!this.#name.equals(name)) {
      this.#name = Buffer.from(name)
      this.#group = name.toString('latin1')
    }
    return this.#group
  }
}
