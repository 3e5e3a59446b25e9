import type { Disk, DiskFile, FolderLock } from '@raftkit/files'

// A disk in memory that forgets. It promises what `Disk` says, and less: what was not synced is there after a power cut, or not, or in part,
// sector by sector, each operation for itself; a file that was renamed may have both names, or none.

interface Edit {
  readonly at: number
  readonly bytes: Uint8Array
}

interface File {
  now: Uint8Array
  durable: Uint8Array
  /** Unsynced: bytes that were written, or a new size. */
  edits: (Edit | { readonly size: number })[]
}

type Naming = { readonly name: string; readonly file: File | undefined }

interface Folder {
  readonly now: Map<string, File>
  readonly durable: Map<string, File>
  unsynced: Naming[]
}

const sectorBytes = 512

export type Below = (n: number) => number

/** What a power cut leaves of what was not synced. */
export interface Fate {
  /** Whether an unsynced change of a name is there. */
  name(): boolean
  /** Whether this sector of an unsynced write is there. */
  sector(): boolean
}

export const nothing: Fate = { name: () => false, sector: () => false }
export const everything: Fate = { name: () => true, sector: () => true }

/** Here all, there nothing, here and there a part, by the dice. */
export function diced(below: Below): Fate {
  const share = below(4)
  return { name: () => below(2) === 0, sector: () => below(4) < share }
}

export class VirtualDisk implements Disk {
  readonly #folders = new Map<string, Folder>()
  readonly #paused = new Set<() => void>()
  /** Called after every operation that changed something. */
  changed: () => void = () => {}
  /** Bytes that fit on it. */
  capacity = Number.POSITIVE_INFINITY
  /** The next sync, or write that is synced, fails: what it was to sync can be read until the power fails, and no later sync takes it along. */
  failing = false
  #random = 1

  /** The same disk at this moment, with what is unsynced, for whoever comes after the one who uses this one. */
  clone(): VirtualDisk {
    const other = new VirtualDisk()
    other.#random = this.#random + 1000
    const copies = new Map<File, File>()
    const copy = (file: File): File => {
      const made = copies.get(file) ?? { ...file, edits: [...file.edits] }
      copies.set(file, made)
      return made
    }
    const names = (from: ReadonlyMap<string, File>): Map<string, File> =>
      new Map([...from].map(([name, file]) => [name, copy(file)]))
    for (const [path, { now, durable, unsynced }] of this.#folders)
      other.#folders.set(path, {
        now: names(now),
        durable: names(durable),
        unsynced: unsynced.map(({ name, file }) => ({ name, file: file && copy(file) })),
      })
    return other
  }

  /** The power fails: what was not synced is there as `fate` says. */
  cut(fate: Fate): this {
    for (const folder of this.#folders.values()) {
      const names = new Map(folder.durable)
      for (const { name, file } of folder.unsynced) if (fate.name()) set(names, name, file)
      replace(folder.now, names)
      replace(folder.durable, names)
      folder.unsynced = []
      for (const file of names.values()) {
        file.now = file.durable = file.edits.reduce((bytes, edit) => partly(bytes, edit, fate), file.durable)
        file.edits = []
      }
    }
    return this
  }

  /** Every file that holds anything. */
  files(): readonly { readonly path: string; readonly bytes: Uint8Array }[] {
    return [...this.#folders].flatMap(([path, { now }]) =>
      [...now].map(([name, file]) => ({ path: `${path}/${name}`, bytes: file.now })),
    )
  }

  /** What is at rest, changed behind everybody's back. */
  harm(path: string, bytes: Uint8Array | undefined): void {
    const [folder, name] = split(path)
    const file = bytes && { now: bytes, durable: bytes, edits: [] }
    set(this.#folders.get(folder)!.now, name, file)
    set(this.#folders.get(folder)!.durable, name, file)
  }

  async lock(directory: string): Promise<FolderLock> {
    await this.createDirectory(directory)
    return { release: async () => {} }
  }

  async createDirectory(directory: string): Promise<void> {
    if (!this.#folders.has(directory))
      this.#folders.set(directory, { now: new Map(), durable: new Map(), unsynced: [] })
  }

  async list(directory: string): Promise<readonly string[]> {
    return [...(this.#folders.get(directory)?.now.keys() ?? [])]
  }

  async open(path: string, how: 'read' | 'write' | 'through'): Promise<DiskFile> {
    const [directory, name] = split(path)
    const folder = this.#folders.get(directory)
    const found = folder?.now.get(name)
    if (found) return this.#handle(found, how === 'through')
    if (!folder || how === 'read') throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
    const file: File = { now: new Uint8Array(), durable: new Uint8Array(), edits: [] }
    await this.#operate(() => this.#name(folder, name, file))
    return this.#handle(file, how === 'through')
  }

  async rename(from: string, to: string): Promise<void> {
    const [directory, name] = split(from)
    const folder = this.#folders.get(directory)!
    const file = folder.now.get(name)
    await this.#operate(() => {
      this.#name(folder, split(to)[1], file)
      this.#name(folder, name, undefined)
    })
  }

  async remove(path: string): Promise<void> {
    const [directory, name] = split(path)
    const folder = this.#folders.get(directory)
    if (folder?.now.has(name)) await this.#operate(() => this.#name(folder, name, undefined))
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#operate(() => {
      const folder = this.#folders.get(directory)!
      this.#fail()
      replace(folder.durable, folder.now)
      folder.unsynced = []
    })
  }

  pause(_milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) resolve()
      else {
        this.#paused.add(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      }
    })
  }

  /** Time passes: whoever waits goes on. */
  wake(): void {
    for (const resolve of this.#paused) resolve()
    this.#paused.clear()
  }

  random(into: Uint8Array): void {
    new DataView(into.buffer, into.byteOffset).setUint32(0, this.#random++)
  }

  #name(folder: Folder, name: string, file: File | undefined): void {
    set(folder.now, name, file)
    folder.unsynced.push({ name, file })
  }

  #fail(lose?: () => void): void {
    if (!this.failing) return
    this.failing = false
    lose?.()
    throw Object.assign(new Error('the disk reports an error'), { code: 'EIO' })
  }

  async #operate(work: () => void): Promise<void> {
    await null
    try {
      work()
    } finally {
      this.changed()
    }
  }

  #handle(file: File, through: boolean): DiskFile {
    const sync = (): void => {
      this.#fail(() => {
        file.edits = []
      })
      file.durable = file.edits.reduce(edited, file.durable)
      file.edits = []
    }
    const edit = (change: Edit | { size: number }): void => {
      file.now = edited(file.now, change)
      file.edits.push(change)
    }
    return {
      size: async () => file.now.length,
      read: async (into, position) => {
        const part = file.now.subarray(position, position + into.length)
        into.set(part)
        return part.length
      },
      write: async (parts, position) => {
        const bytes = Buffer.concat(parts)
        await this.#operate(() => {
          const used = this.files().reduce((sum, { bytes }) => sum + bytes.length, 0)
          const room = Math.max(0, this.capacity - used + Math.max(0, file.now.length - position))
          edit({ at: position, bytes: Buffer.from(bytes.subarray(0, room)) })
          if (bytes.length > room) throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
        })
        // A cut between the two leaves the write unsynced: torn anywhere.
        if (through) await this.#operate(sync)
      },
      truncate: (size) => this.#operate(() => edit({ size })),
      sync: () => this.#operate(sync),
      close: async () => {},
    }
  }
}

function split(path: string): [folder: string, name: string] {
  const end = path.lastIndexOf('/')
  return [path.slice(0, end), path.slice(end + 1)]
}

function set(names: Map<string, File>, name: string, file: File | undefined): void {
  if (file) names.set(name, file)
  else names.delete(name)
}

function replace(names: Map<string, File>, by: ReadonlyMap<string, File>): void {
  const all = [...by]
  names.clear()
  for (const [name, file] of all) names.set(name, file)
}

function edited(before: Uint8Array, change: Edit | { readonly size: number }): Uint8Array {
  const size = 'size' in change ? change.size : Math.max(before.length, change.at + change.bytes.length)
  const after = new Uint8Array(size)
  after.set(before.subarray(0, size))
  if ('bytes' in change) after.set(change.bytes, change.at)
  return after
}

/** Of a write, the sectors that the fate keeps; the file may have grown without them. */
function partly(before: Uint8Array, change: Edit | { readonly size: number }, fate: Fate): Uint8Array {
  if ('size' in change) return fate.name() ? edited(before, change) : before
  const kept: Edit[] = []
  let grown = false
  for (let from = 0; from < change.bytes.length; ) {
    const at = change.at + from
    const to = Math.min(change.bytes.length, from + sectorBytes - (at % sectorBytes))
    if (fate.sector()) kept.push({ at, bytes: change.bytes.subarray(from, to) })
    else grown ||= fate.name()
    from = to
  }
  const size = Math.max(before.length, change.at + change.bytes.length)
  return kept.reduce(edited, grown ? edited(before, { size }) : before)
}
