import type { DiskFile, Disk as Seam } from '@raftkit/files'

/** Where the modelled disk is mounted; all other paths are the real ones. */
export const mountPoint = '/modelled-disk'

/** A file: what it holds, and what of it a power cut leaves for certain. Never changed, only made anew. */
interface File {
  readonly id: number
  readonly durable: Uint8Array
  /** Since the last flush, in order; the last is what the file holds now. */
  readonly since: readonly Uint8Array[]
}

type Names = ReadonlyMap<string, number>

/** Everything on the disk: folders by path, each with the names it holds, durably and since its last flush; files by number. */
export interface Image {
  readonly folders: ReadonlyMap<string, { readonly durable: Names; readonly since: readonly Names[] }>
  readonly files: ReadonlyMap<number, File>
}

export const blank: Image = { folders: new Map([[mountPoint, { durable: new Map(), since: [] }]]), files: new Map() }

const now = <T>({ durable, since }: { readonly durable: T; readonly since: readonly T[] }): T => since.at(-1) ?? durable

/** A disk in memory that tells of every operation which changes it. */
export class Disk implements Seam {
  image: Image = blank
  /** Called after each operation that changed something. */
  changed: () => void = () => {}
  /** Of these, flushes do nothing: for a test that it is noticed. */
  readonly #lies: 'files' | 'folders' | undefined
  #nextId = 1
  #nextRandom = 1

  constructor(lies?: 'files' | 'folders') {
    this.#lies = lies
  }

  mount(image: Image): void {
    this.image = image
    if (image === blank) this.#nextRandom = 1
    this.#nextId = Math.max(0, ...image.files.keys()) + 1
  }

  #folder(path: string): { readonly durable: Names; readonly since: readonly Names[] } {
    const folder = this.image.folders.get(path)
    if (folder === undefined) throw failure('ENOENT', path)
    return folder
  }

  #names(path: string, change: (names: Map<string, number>) => void): void {
    const folder = this.#folder(path)
    const names = new Map(now(folder))
    change(names)
    const folders = new Map(this.image.folders).set(path, { ...folder, since: [...folder.since, names] })
    this.image = { ...this.image, folders }
    this.changed()
  }

  #file(id: number, content: Uint8Array): void {
    const file = this.image.files.get(id)!
    const files = new Map(this.image.files).set(id, { ...file, since: [...file.since, content] })
    this.image = { ...this.image, files }
    this.changed()
  }

  #idOf(path: string): number | undefined {
    const [folder, name] = split(path)
    return now(this.#folder(folder)).get(name)
  }

  async createDirectory(path: string): Promise<void> {
    if (this.image.folders.has(path)) return
    const [above] = split(path)
    await this.createDirectory(above)
    this.#names(above, (names) => names.set(split(path)[1], 0))
    const folders = new Map(this.image.folders).set(path, { durable: new Map(), since: [] })
    this.image = { ...this.image, folders }
    await this.syncDirectory(above)
  }

  async list(path: string): Promise<string[]> {
    return this.image.folders.has(path) ? [...now(this.#folder(path)).keys()] : []
  }

  async rename(from: string, to: string): Promise<void> {
    const id = this.#idOf(from)
    if (id === undefined) throw failure('ENOENT', from)
    this.#names(split(from)[0], (names) => {
      names.delete(split(from)[1])
      names.set(split(to)[1], id)
    })
  }

  async remove(path: string): Promise<void> {
    if (this.#idOf(path) !== undefined) this.#names(split(path)[0], (names) => names.delete(split(path)[1]))
  }

  async syncDirectory(path: string): Promise<void> {
    if (this.#lies === 'folders') return
    const folder = this.#folder(path)
    const folders = new Map(this.image.folders).set(path, { durable: now(folder), since: [] })
    this.image = { ...this.image, folders }
    this.changed()
  }

  async lock(directory: string): Promise<{ release(): Promise<void> }> {
    await this.createDirectory(directory)
    return { release: async () => {} }
  }

  /** Time stands still. */
  pause(_milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  random(into: Uint8Array): void {
    new DataView(into.buffer, into.byteOffset).setUint32(0, this.#nextRandom++)
  }

  async open(path: string, how: 'read' | 'write' | 'through'): Promise<DiskFile> {
    const [folder, name] = split(path)
    let id = this.#idOf(path)
    if (id === undefined) {
      if (how === 'read') throw failure('ENOENT', path)
      id = this.#nextId++
      const files = new Map(this.image.files).set(id, { id, durable: new Uint8Array(), since: [] })
      this.image = { ...this.image, files }
      const created = id
      this.#names(folder, (names) => names.set(name, created))
    }
    return this.#fileHandle(id, how === 'through')
  }

  #fileHandle(id: number, through: boolean): DiskFile {
    const content = (): Uint8Array => now(this.image.files.get(id)!)
    const sync = async (): Promise<void> => {
      if (this.#lies === 'files') return
      const files = new Map(this.image.files).set(id, { id, durable: content(), since: [] })
      this.image = { ...this.image, files }
      this.changed()
    }
    return {
      size: async () => content().length,
      read: async (into, position) => {
        const part = content().subarray(position, position + into.length)
        into.set(part)
        return part.length
      },
      write: async (parts, position) => {
        const old = content()
        const whole = new Uint8Array(
          Math.max(
            old.length,
            parts.reduce((end, { length }) => end + length, position),
          ),
        )
        whole.set(old)
        let at = position
        for (const part of parts) {
          whole.set(part, at)
          at += part.length
        }
        this.#file(id, whole)
        if (through) await sync()
      },
      truncate: async (size) => {
        if (content().length === size) return
        const whole = new Uint8Array(size)
        whole.set(content().subarray(0, size))
        this.#file(id, whole)
      },
      sync,
      close: async () => {},
    }
  }
}

/**
 * What a power cut may leave of it: of each folder's changes since its last flush some first ones, and of each file's, too; the last of
 * those that a file keeps may be torn. All folders and files keep an equal share, so that the number of outcomes stays small.
 */
export function* afterPowerCut(image: Image): Generator<Image> {
  const most = (all: Iterable<{ readonly since: readonly unknown[] }>): number =>
    Math.max(0, ...[...all].map(({ since }) => since.length))
  for (let names = 0; names <= most(image.folders.values()); names++) {
    const folders = new Map(
      [...image.folders].map(([path, { durable, since }]) => [
        path,
        { durable: since[Math.min(names, since.length) - 1] ?? durable, since: [] },
      ]),
    )
    for (let kept = 0; kept <= most(image.files.values()); kept++) {
      for (const isTorn of kept === 0 ? [false] : [false, true]) {
        const files = new Map(
          [...image.files].map(([id, { durable, since }]) => {
            const last = Math.min(kept, since.length) - 1
            const whole = since[last] ?? durable
            const before = since[last - 1] ?? durable
            return [id, { id, durable: isTorn && last >= 0 ? torn(before, whole) : whole, since: [] }]
          }),
        )
        yield { folders, files }
      }
    }
  }
}

/** Half of the bytes that differ have been written. */
function torn(before: Uint8Array, after: Uint8Array): Uint8Array {
  let first = 0
  while (first < before.length && first < after.length && before[first] === after[first]) first++
  const middle = first + ((Math.max(before.length, after.length) - first) >> 1)
  const mixed = new Uint8Array(Math.min(Math.max(before.length, after.length), Math.max(middle, before.length)))
  mixed.set(before.subarray(0, mixed.length))
  mixed.set(after.subarray(0, Math.min(middle, mixed.length)))
  return mixed
}

function split(path: string): [folder: string, name: string] {
  const end = path.lastIndexOf('/')
  return [path.slice(0, end), path.slice(end + 1)]
}

const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code })
