import type { Random } from '../../../random.ts'
import type { Content } from './content.ts'

type Node = Content | Folder

interface Change {
  readonly gone?: string
  readonly name?: string
  readonly node?: Node
}

/** Names, as programs see them, and as a power cut may leave them. */
export class Folder {
  readonly names: Map<string, Node> = new Map()
  readonly #synced = new Map<string, Node>()
  #unsynced: Change[] = []
  #done = 0

  put(name: string, node: Node): void {
    this.#make({ name, node })
  }

  /** In one step, also on the disk. */
  rename(from: string, to: string): void {
    this.#make({ gone: from, name: to, node: this.names.get(from)! })
  }

  drop(name: string): void {
    const node = this.names.get(name)
    if (node instanceof Folder) for (const each of [...node.names.keys()]) node.drop(each)
    this.#make({ gone: name })
  }

  /** The last change so far, for a `sync` that begins now. */
  get mark(): number {
    return this.#done + this.#unsynced.length
  }

  sync(mark: number): void {
    while (this.#done < mark) {
      this.#done++
      apply(this.#synced, this.#unsynced.shift()!)
    }
  }

  cutPower(random: Random, lost: number): void {
    for (const change of this.#unsynced) if (!random.chance(lost)) apply(this.#synced, change)
    this.#done += this.#unsynced.length
    this.#unsynced = []
    this.names.clear()
    for (const [name, node] of this.#synced) {
      this.names.set(name, node)
      node.cutPower(random, lost)
    }
  }

  #make(change: Change): void {
    apply(this.names, change)
    this.#unsynced.push(change)
  }
}

function apply(names: Map<string, Node>, { gone, name, node }: Change): void {
  if (gone !== undefined) names.delete(gone)
  if (name !== undefined) names.set(name, node!)
}

/** Folders and files of one server, by their paths. */
export class Tree {
  readonly root: Folder = new Folder()
  /** Who holds which folder, as long as it lives. */
  readonly locks: Map<string, { readonly alive: boolean }> = new Map()

  find(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (const name of names(path)) node = node instanceof Folder ? node.names.get(name) : undefined
    return node
  }

  folder(path: string): Folder | undefined {
    const node = this.find(path)
    return node instanceof Folder ? node : undefined
  }

  /** All files below, with their paths. */
  *files(path = '', folder: Folder = this.root): Generator<readonly [path: string, content: Content]> {
    for (const [name, node] of folder.names)
      if (node instanceof Folder) yield* this.files(`${path}/${name}`, node)
      else yield [`${path}/${name}`, node]
  }

  /** It and those above it, durably. */
  createFolder(path: string): void {
    let folder = this.root
    for (const name of names(path)) {
      let next = folder.names.get(name)
      if (next === undefined) {
        next = new Folder()
        folder.put(name, next)
      }
      if (!(next instanceof Folder)) throw systemError('EEXIST', path)
      folder.sync(folder.mark)
      folder = next
    }
  }
}

const names = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.')

export function parted(path: string): readonly [folder: string, name: string] {
  const at = path.lastIndexOf('/')
  return [path.slice(0, Math.max(0, at)), path.slice(at + 1)]
}

/** As Node reports it. */
export const systemError = (code: string, path: string): Error =>
  Object.assign(new Error(`${code}: ${path}`), { code, path })
