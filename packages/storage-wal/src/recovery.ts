import { join } from 'node:path'
import { type GroupId, isRaftkitError } from '@raftkit/contract'
import type { Disk, DiskFile } from '@raftkit/files'
import { failed, storeDamaged, systemCode, unknownFormat } from './failure.ts'
import { altered, Group } from './group.ts'
import { decodeHeader, destroyed, type Header, headerBytes, segmentName, segmentNumber, withState } from './layout.ts'
import { Mark } from './mark.ts'
import { findLater, type Visitor, type Walk, walk } from './scan.ts'
import { Segment, Segments } from './segment.ts'
import type { WalEnd } from './wal.ts'

/** A file of the log: begun, if it has a header with its own number. */
export interface LogFile {
  readonly name: string
  readonly number: number
  readonly bytes: number
  readonly header: Header | undefined
}

/** The files of the log's folder. Rejects `UNKNOWN_FORMAT`. */
export async function filesOf(disk: Disk, folder: string): Promise<readonly LogFile[]> {
  const files: LogFile[] = []
  for (const name of await disk.list(folder)) {
    const number = segmentNumber(name)
    if (number === undefined) continue
    const path = join(folder, name)
    const file = await disk.open(path, 'read')
    try {
      const bytes = Buffer.alloc(headerBytes)
      const header = (await file.read(bytes, 0)) === headerBytes ? decodeHeader(bytes) : undefined
      if (header && 'unknownFormat' in header) throw unknownFormat(path, header.unknownFormat)
      const size = await file.size()
      files.push({ name, number, bytes: size, header: header?.number === number ? header : undefined })
    } finally {
      await file.close()
    }
  }
  return files.sort((one, other) => one.number - other.number)
}

/** Where the log ends, and which of its files it needs. */
export interface Extent {
  /** Begun files from the first needed one to the last, without a gap, and how far each reaches. */
  readonly needed: readonly { readonly file: LogFile; readonly header: Header; readonly end: number }[]
  readonly spares: readonly string[]
  /** The number of the next frame. */
  readonly next: number
  /** Where the last frame begins in the last file: the header counts as the beginning of the first. */
  readonly lastFrame: number
  /** Bytes of a frame that a crash tore, behind the end. */
  readonly torn: boolean
}

/**
 * Finds the end of the log. What a crash tore there was never acknowledged: no later frame follows, and the mark does not know it. Everything else
 * that is not as it was written, and concerns the store as a whole, rejects `DAMAGED`. Reads alone.
 */
export async function findExtent(
  disk: Disk,
  folder: string,
  files: readonly LogFile[],
  mark: number,
  damaged: (what: string, cause?: unknown) => Error,
): Promise<Extent> {
  const begun = files.filter((file): file is LogFile & { header: Header } => file.header !== undefined)
  const newest = begun.at(-1)
  let next = newest?.header.firstFrame ?? 1
  let end = headerBytes
  let lastFrame = 0
  let oldest = newest?.number ?? 1
  let torn = false
  if (newest) {
    const found = await lastOf(disk, folder, newest, mark)
    ;({ next, end, torn } = found)
    lastFrame = found.last && found.last.offset > headerBytes ? found.last.offset : 0
    const before = begun.at(-2)
    if (found.last) oldest = found.last.oldest
    else if (before?.number === newest.number - 1) {
      // Its first frame is torn: the last one stands at the end of the file before, which it names.
      const { path, header } = { path: join(folder, before.name), header: before.header }
      const limit = Math.max(headerBytes, Math.min(newest.header.previousEnd, before.bytes))
      const { last } = await inFile(disk, path, (file) => walk(file, header.salt, { ...firstOf(header), limit }))
      if (!last) throw damaged(`${before.name} does not hold the frames that it should`)
      oldest = last.oldest
    } else if (newest.header.firstFrame > 1) throw damaged(`the file before ${newest.name} is gone or altered`)
  }
  if (mark >= next) throw damaged(`of ${mark} flushes that were durable, only the first ${next - 1} are left`)
  for (const file of files) {
    if (newest && file.number < newest.number) continue
    const from = file === newest ? end : 0
    const later = await inFile(disk, join(folder, file.name), (open) =>
      findLater(open, from, file === newest ? next + 1 : next),
    )
    if (later !== undefined)
      throw damaged(`${file.name} is altered: flush ${next} is gone, but flush ${later} is there`)
  }

  const needed = begun.filter(({ number }) => number >= oldest)
  for (let number = oldest, i = 0; newest && number <= newest.number; number++, i++)
    if (needed[i]?.number !== number) throw damaged(`${segmentName(number)} is gone or altered`)
  const extents = needed.map((file, i) => {
    const follower = needed[i + 1]?.header
    if (follower && Buffer.compare(follower.previousSalt, file.header.salt) !== 0)
      throw damaged(`${file.name} is not the one that ${segmentName(file.number + 1)} followed`)
    if (follower && !(follower.previousEnd >= headerBytes && follower.previousEnd <= file.bytes))
      throw damaged(`${file.name} has lost its end`)
    return { file, header: file.header, end: follower?.previousEnd ?? end }
  })
  const spares = files.filter((file) => !needed.includes(file as never)).map(({ name }) => name)
  return { needed: extents, spares, next, lastFrame, torn }
}

/** The end of the newest file. A last frame whose records are not whole is torn, unless the mark knows that it was durable. */
async function lastOf(
  disk: Disk,
  folder: string,
  { name, bytes, header }: LogFile & { header: Header },
  mark: number,
): Promise<Walk & { readonly torn: boolean }> {
  return inFile(disk, join(folder, name), async (file) => {
    const start = { ...firstOf(header), limit: bytes }
    const found = await walk(file, header.salt, start)
    const { last } = found
    if (!last || last.sound || last.number <= mark) {
      const behind = Buffer.alloc(Math.min(4, bytes - found.end))
      await file.read(behind, found.end)
      return { ...found, torn: behind.equals(Buffer.from('RKF1')) }
    }
    return { ...(await walk(file, header.salt, { ...start, limit: last.offset })), torn: true }
  })
}

const firstOf = ({ firstFrame }: Header): { offset: number; next: number } => ({
  offset: headerBytes,
  next: firstFrame,
})

export interface Recovered {
  readonly groups: Map<GroupId, Group>
  readonly end: WalEnd
}

/** Reads all of the log that is needed: what each group is, and where its records stand. */
export async function recover(
  disk: Disk,
  folder: string,
  extent: Extent,
  damaged: (what: string, cause?: unknown) => Error,
  progress?: (bytes: number) => void,
): Promise<Recovered> {
  const segments = new Segments()
  const groups = new Map<GroupId, Group>()
  let base = 0
  let next = extent.needed[0]?.header.firstFrame ?? extent.next
  for (const { file, header, end } of extent.needed) {
    const segment = new Segment(disk, folder, file.number, header.salt, base, end)
    segments.all.push(segment)
    if (header.firstFrame !== next) throw damaged(`flushes before ${file.name} are gone`)
    const start = { ...firstOf(header), limit: end }
    const found = await inFile(disk, join(folder, file.name), (open) =>
      walk(open, header.salt, start, new Replay(groups, segments, segment), progress),
    )
    if (found.end !== end) throw damaged(`${file.name} is altered at byte ${found.end}, in flush ${found.next}`)
    next = found.next
    base += end
  }
  if (next !== extent.next) throw damaged(`flushes from ${next} on are gone`)
  for (const group of groups.values()) group.dropBelow()
  const end = { segments, frame: extent.next, file: undefined, filled: 0 }
  return { groups, end }
}

/** Carries out what the frames say. */
class Replay implements Visitor {
  readonly #groups: Map<GroupId, Group>
  readonly #segments: Segments
  readonly #segment: Segment
  #group: Group | undefined
  #first = 1
  #last = 0

  constructor(groups: Map<GroupId, Group>, segments: Segments, segment: Segment) {
    this.#groups = groups
    this.#segments = segments
    this.#segment = segment
  }

  item(name: GroupId, flags: number, first: number, last: number, state: Uint8Array | undefined): void {
    let group = this.#groups.get(name)
    if (flags & destroyed) {
      group?.forget()
      this.#groups.delete(name)
      this.#group = undefined
      return
    }
    if (!group) {
      group = new Group(name, this.#segments)
      this.#groups.set(name, group)
    }
    if (state) group.state = Uint8Array.from(state)
    group.untold((flags & withState) !== 0)
    group.told(this.#segment, (flags & withState) !== 0)
    this.#group = group
    this.#first = first
    this.#last = last
  }

  piece(at: number, count: number, bytes: number, crc: number, offset: number, sound: boolean, moved: boolean): void {
    const group = this.#group
    if (!group) return
    const place = this.#segment.base + offset
    const checked = sound ? crc : altered
    if (moved) {
      group.move(at, count, bytes, checked, place)
      return
    }
    group.cutFrom(at)
    group.push(at, count, bytes, checked, place)
  }

  itemEnds(): void {
    const group = this.#group
    if (!group) return
    group.first = this.#first
    group.last = this.#last
    group.cutFrom(this.#last + 1)
    group.dropBelow()
  }
}

/**
 * The newest file, ready to go on, and none that nobody needs. The last frame is written once more: whether its flush succeeded died with the one who
 * waited for it.
 */
export async function takeOver(disk: Disk, folder: string, extent: Extent, end: WalEnd): Promise<WalEnd> {
  await disk.createDirectory(folder)
  const newest = extent.needed.at(-1)
  const removeSpares = async (): Promise<void> => {
    for (const name of extent.spares) await disk.remove(join(folder, name))
    await disk.syncDirectory(folder)
  }
  if (!newest) {
    await removeSpares()
    return end
  }
  const file = await disk.open(join(folder, newest.file.name), 'through')
  try {
    const part = Buffer.allocUnsafeSlow(Math.min(4_194_304, newest.end - extent.lastFrame))
    for (let at = extent.lastFrame; at < newest.end; at += part.length) {
      const bytes = part.subarray(0, Math.min(part.length, newest.end - at))
      await file.read(bytes, at)
      await file.write([bytes], at)
    }
    // Not before: that they are not needed, the last frame may have been the first to say.
    await removeSpares()
    end.segments.newest!.adopt(file)
    return { ...end, file, filled: newest.file.bytes }
  } catch (error) {
    await file.close()
    throw failed(`could not go on with ${newest.file.name}`, error)
  }
}

/** How many flushes the mark knows to have been durable; undefined if there is no mark. Throws what `damaged` makes of one that is altered. */
export async function readMark(
  disk: Disk,
  path: string,
  damaged: (what: string) => Error,
): Promise<{ readonly frame: number; readonly turn: number } | undefined> {
  try {
    return await inFile(disk, path, async (file) => {
      const found = await Mark.read(file)
      if (!found) throw damaged('its mark is altered, so that nothing tells whether flushes were lost')
      return found
    })
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

export async function inFile<T>(disk: Disk, path: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
  const file = await disk.open(path, 'read')
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

/** What a failed read of the log means: a file or sector that is gone is damage. */
export function readFailure(directory: string, error: unknown): Error {
  if (isRaftkitError(error)) return error
  const lost = systemCode(error) === 'EIO' || systemCode(error) === 'ENOENT'
  return lost
    ? storeDamaged(directory, 'a part of the log cannot be read', error)
    : failed(`could not open ${directory}`, error)
}
