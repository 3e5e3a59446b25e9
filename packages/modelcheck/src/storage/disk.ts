import { createRequire, syncBuiltinESMExports } from 'node:module'

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
export class Disk {
  image: Image = blank
  /** Called after each operation that changed something. */
  changed: () => void = () => {}
  /** Of these, flushes do nothing: for a test that it is noticed. */
  readonly #lies: 'files' | 'folders' | undefined
  #nextId = 1

  constructor(lies?: 'files' | 'folders') {
    this.#lies = lies
  }

  mount(image: Image): void {
    this.image = image
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

  async mkdir(path: string): Promise<void> {
    if (this.image.folders.has(path)) throw failure('EEXIST', path)
    this.#names(split(path)[0], (names) => names.set(split(path)[1], 0))
    const folders = new Map(this.image.folders).set(path, { durable: new Map(), since: [] })
    this.image = { ...this.image, folders }
  }

  async readdir(path: string): Promise<string[]> {
    return [...now(this.#folder(path)).keys()]
  }

  async access(path: string): Promise<void> {
    if (this.#idOf(path) === undefined) throw failure('ENOENT', path)
  }

  async rename(from: string, to: string): Promise<void> {
    const id = this.#idOf(from)
    if (id === undefined) throw failure('ENOENT', from)
    this.#names(split(from)[0], (names) => {
      names.delete(split(from)[1])
      names.set(split(to)[1], id)
    })
  }

  async rm(path: string): Promise<void> {
    if (this.#idOf(path) !== undefined) this.#names(split(path)[0], (names) => names.delete(split(path)[1]))
  }

  async open(path: string, flags: string | number): Promise<object> {
    if (this.image.folders.has(path)) return this.#folderHandle(path)
    const [folder, name] = split(path)
    let id = this.#idOf(path)
    if (id === undefined) {
      if (flags === 'r') throw failure('ENOENT', path)
      id = this.#nextId++
      const files = new Map(this.image.files).set(id, { id, durable: new Uint8Array(), since: [] })
      this.image = { ...this.image, files }
      const created = id
      this.#names(folder, (names) => names.set(name, created))
    }
    return this.#fileHandle(id)
  }

  #folderHandle(path: string): object {
    return {
      sync: async () => {
        if (this.#lies === 'folders') return
        const folder = this.#folder(path)
        const folders = new Map(this.image.folders).set(path, { durable: now(folder), since: [] })
        this.image = { ...this.image, folders }
        this.changed()
      },
      close: async () => {},
    }
  }

  #fileHandle(id: number): object {
    const content = (): Uint8Array => now(this.image.files.get(id)!)
    return {
      stat: async () => ({ size: content().length }),
      read: async (target: Uint8Array, offset: number, length: number, position: number) => {
        const part = content().subarray(position, position + length)
        target.set(part, offset)
        return { bytesRead: part.length }
      },
      write: async (source: Uint8Array, offset: number, length: number, position: number) => {
        const old = content()
        const whole = new Uint8Array(Math.max(old.length, position + length))
        whole.set(old)
        whole.set(source.subarray(offset, offset + length), position)
        this.#file(id, whole)
        return { bytesWritten: length }
      },
      truncate: async (length: number) => {
        if (content().length === length) return
        const whole = new Uint8Array(length)
        whole.set(content().subarray(0, length))
        this.#file(id, whole)
      },
      sync: async () => {
        if (this.#lies === 'files') return
        const files = new Map(this.image.files).set(id, { id, durable: content(), since: [] })
        this.image = { ...this.image, files }
        this.changed()
      },
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

/** Puts the disk under `node:fs/promises` of this thread. Returns how to take it away. */
export function mounted(disk: Disk): () => void {
  const promises = createRequire(import.meta.url)('node:fs/promises') as Record<string, (...args: never[]) => unknown>
  const operations = ['mkdir', 'readdir', 'access', 'rename', 'rm', 'open'] as const
  const real = operations.map((name) => promises[name]!)
  operations.forEach((name, at) => {
    promises[name] = (path: string, ...rest: unknown[]) =>
      path.startsWith(mountPoint)
        ? (disk[name] as (...args: unknown[]) => unknown).call(disk, path, ...rest)
        : (real[at] as (...args: unknown[]) => unknown)(path, ...rest)
  })
  syncBuiltinESMExports()
  return () => {
    operations.forEach((name, at) => {
      promises[name] = real[at]!
    })
    syncBuiltinESMExports()
  }
}

function split(path: string): [folder: string, name: string] {
  const end = path.lastIndexOf('/')
  return [path.slice(0, end), path.slice(end + 1)]
}

const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code })
