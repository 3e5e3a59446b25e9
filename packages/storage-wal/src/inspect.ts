import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { type GroupId, type Index, isRaftkitError, RaftkitError } from '@raftkit/contract'
import { type Disk, folderHolder, nodeDisk } from '@raftkit/files'
import { storeDamaged } from './failure.ts'
import { destroyed, type Header, headerBytes } from './layout.ts'
import { filesOf, findExtent, inFile, type LogFile, readFailure, readMark, recover } from './recovery.ts'
import { walk } from './scan.ts'

/** A file of the log. */
export interface WalSegment {
  readonly name: string
  readonly number: number
  /** Size of the file, and how far its flushes reach. */
  readonly bytes: number
  readonly used: number
  /** The number of its first flush. */
  readonly firstFlush: number | undefined
  /** `spare`: nobody needs what it holds; it will be written over. */
  readonly role: 'needed' | 'spare'
}

/** One flush: what it says of each group. */
export interface WalFlush {
  readonly number: number
  readonly segment: string
  readonly offset: number
  readonly bytes: number
  /** The first segment that anybody needed. */
  readonly oldest: number
  /** False: records of it are altered. */
  readonly sound: boolean
  readonly groups: readonly {
    readonly group: GroupId
    readonly destroyed: boolean
    /** The log after the flush. */
    readonly first: Index
    readonly last: Index
    /** Size of the state that it sets. */
    readonly state: number | undefined
    /** Records that it brings, or moves to where they are safe from the end of an old segment. */
    readonly pieces: readonly {
      readonly at: Index
      readonly count: number
      readonly bytes: number
      readonly moved: boolean
    }[]
  }[]
}

export interface WalReport {
  readonly directory: string
  /** What is wrong with the log as a whole, and no group can be opened. */
  readonly damage: string | undefined
  /** How many flushes there were, and how many of them the mark knows. */
  readonly flushes: number
  readonly mark: number
  /** A flush that a crash tore lies behind the end; it was never acknowledged. */
  readonly torn: boolean
  readonly segments: readonly WalSegment[]
  readonly groups: readonly {
    readonly group: GroupId
    readonly first: Index
    readonly last: Index
    readonly state: number | undefined
    /** What is wrong with this group. */
    readonly damage: string | undefined
  }[]
}

export interface InspectOptions {
  /** Told of every flush, in order: of a damaged log those that can be read. */
  readonly flush?: (flush: WalFlush) => void
  /** Told now and then how many bytes of how many were looked at. */
  readonly progress?: (bytes: number, of: number) => void
  readonly disk?: Disk
}

/**
 * Looks at the log of a stopped member, reads and checks all of it, and changes nothing. Damage is told, not thrown. Rejects `MISSING` (no log
 * there), `LOCKED` (a process holds the directory, now or at the end), `UNKNOWN_FORMAT`, `STORAGE_FAILED`.
 */
export async function inspectWal(directory: string, options: InspectOptions = {}): Promise<WalReport> {
  const { disk = nodeDisk, flush, progress } = options
  const free = async (): Promise<void> => {
    const holder = disk === nodeDisk ? await folderHolder(directory) : undefined
    if (holder !== undefined)
      throw new RaftkitError('LOCKED', `process ${holder} holds the folder ${directory}; stop this member first`)
  }
  if (disk === nodeDisk)
    await access(directory).catch((cause: unknown) => {
      throw new RaftkitError('MISSING', `there is no directory ${directory}`, { cause })
    })
  await free()
  const report = await inspect(directory, disk, flush, progress).catch((error: unknown) => {
    throw readFailure(directory, error)
  })
  await free()
  return report
}

async function inspect(
  directory: string,
  disk: Disk,
  flush: InspectOptions['flush'],
  progress: InspectOptions['progress'],
): Promise<WalReport> {
  const folder = join(directory, 'log')
  const damaged = (what: string, cause?: unknown): Error => storeDamaged(directory, what, cause)
  let damage: string | undefined
  const orDamage = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work
    } catch (error) {
      const failure = readFailure(directory, error)
      if (!isRaftkitError(failure, 'DAMAGED')) throw failure
      damage ??= failure.message.replace(/^DAMAGED: /, '')
      return undefined
    }
  }

  const mark = await orDamage(readMark(disk, join(directory, 'mark'), damaged))
  const files = await filesOf(disk, folder)
  if (!mark && damage === undefined) {
    if (files.length === 0) throw new RaftkitError('MISSING', `there is no write-ahead log in ${directory}`)
    if (files.some(({ header }) => header)) damage = `${directory}: its mark is gone`
  }
  const extent = await orDamage(findExtent(disk, folder, files, mark?.frame ?? 0, damaged))
  const of = extent?.needed.reduce((sum, { end }) => sum + end, 0) ?? 0
  let looked = 0
  const recovered =
    extent &&
    (await orDamage(
      recover(disk, folder, extent, damaged, (bytes) => {
        looked += bytes
        progress?.(looked, of)
      }),
    ))
  if (flush) {
    const needed =
      extent?.needed ?? files.flatMap((file) => (file.header ? [{ file, header: file.header, end: file.bytes }] : []))
    for (const { file, header, end } of needed) await tell(disk, folder, file, header, end, flush)
  }
  const ends = new Map(extent?.needed.map(({ file, end }) => [file.name, end]))
  return {
    directory,
    damage,
    flushes: (extent?.next ?? 1) - 1,
    mark: mark?.frame ?? 0,
    torn: extent?.torn ?? false,
    segments: files.map(({ name, number, bytes, header }) => ({
      ...{ name, number, bytes },
      used: ends.get(name) ?? 0,
      firstFlush: header?.firstFrame,
      role: ends.has(name) || (!extent && header) ? 'needed' : 'spare',
    })),
    groups: [...(recovered?.groups.values() ?? [])].map((group) => ({
      group: group.name,
      first: group.first,
      last: group.last,
      state: group.state?.length,
      damage: group.defect(),
    })),
  }
}

async function tell(
  disk: Disk,
  folder: string,
  { name }: LogFile,
  { salt, firstFrame }: Header,
  limit: number,
  flush: (flush: WalFlush) => void,
): Promise<void> {
  type Group = { -readonly [K in keyof WalFlush['groups'][number]]: WalFlush['groups'][number][K] }
  let groups: (Group & { pieces: Group['pieces'][number][] })[] = []
  await inFile(disk, join(folder, name), (file) =>
    walk(
      file,
      salt,
      { offset: headerBytes, next: firstFrame, limit },
      {
        frame: () => {
          groups = []
        },
        item: (group, flags, first, last, state) => {
          groups.push({ group, destroyed: (flags & destroyed) !== 0, first, last, state: state?.length, pieces: [] })
        },
        piece: (at, count, bytes, _crc, _offset, _sound, moved) => {
          groups.at(-1)!.pieces.push({ at, count, bytes, moved })
        },
        frameEnds: ({ number, offset, end, oldest, sound }) => {
          flush({ number, segment: name, offset, bytes: end - offset, oldest, sound, groups })
        },
      },
    ),
  )
}
