import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Call, isFlush, type Step, steps } from './calls.ts'

/** What a write or truncation does to a file's bytes. */
type Edit = { readonly at: number; readonly bytes: Uint8Array } | { readonly size: number }

/** A file or folder, whatever its names. */
interface Node {
  readonly folder: boolean
  durable: Buffer
  /** Not flushed: after a power cut each of them may be there, or not, or torn. */
  readonly edits: Edit[]
}

/** A change of names. Those of one folder are durable in their order; a flush of any of `folders` makes this one durable. */
interface Naming {
  readonly folders: readonly string[]
  readonly set?: { readonly path: string; readonly node: Node }
  readonly remove?: string
}

type Below = (n: number) => number

const sectorBytes = 512

/**
 * A disk that forgets what was not flushed, fed with the system calls of a real process. It promises what POSIX does: bytes are durable once the
 * file was flushed, names once their folder was. Of the rest, a power cut keeps whatever the dice say.
 */
export class Disk {
  readonly #root: string
  /** As the process sees them: paths below the root. */
  readonly #names = new Map<string, Node>()
  #durableNames: Map<string, Node>
  #namings: Naming[] = []
  readonly #open = new Map<number, { node: Node; path: string; at: number; append: boolean; through: boolean }>()
  readonly #flushing = new Map<string, () => void>()

  constructor(root: string) {
    this.#root = root
    this.#names.set(root, { folder: true, durable: Buffer.alloc(0), edits: [] })
    this.#durableNames = new Map(this.#names)
  }

  /** `after`: what to do after every step. */
  async replay(trace: string, after: (step: Step) => Promise<void>): Promise<void> {
    for (const step of steps(trace)) {
      this.#take(step)
      await after(step)
    }
  }

  #take({ type, thread, call }: Step): void {
    const { fd, result } = call
    if (isFlush(call)) {
      const open = fd && this.#open.get(fd.number)
      if (type === 'begin' && open) this.#flushing.set(thread, this.#flush(open.node, open.path))
      else {
        if (result?.value === 0) this.#flushing.get(thread)?.()
        this.#flushing.delete(thread)
      }
    } else if (type === 'end') this.#end(call)
  }

  /** Makes durable what was there when the flush began, once it ends. */
  #flush(node: Node, path: string): () => void {
    if (node.folder) {
      const due = this.#namings.filter(({ folders }) => folders.includes(path))
      return () => {
        for (const naming of due) if (this.#namings.includes(naming)) apply(this.#durableNames, naming)
        this.#namings = this.#namings.filter((naming) => !due.includes(naming))
      }
    }
    const due = new Set(node.edits)
    return () => {
      while (node.edits[0] && due.has(node.edits[0])) node.durable = edited(node.durable, node.edits.shift()!)
    }
  }

  #end(call: Call): void {
    const { name, fd, paths, text, data, result } = call
    const open = fd && this.#open.get(fd.number)
    const [path = '', to = ''] = paths
    if (name.startsWith('open') || name === 'creat') this.#opened(call)
    else if (data.length > 0) {
      if (open && !open.node.folder) this.#write(open, call)
    } else if (name === 'ftruncate') {
      if (open) edit(open.node, { size: Number(/, (\d+)\s*\)\s+= /.exec(text)?.[1]) })
    } else if (name === 'truncate') edit(this.#names.get(path), { size: Number(/, (\d+)\s*\)\s+= /.exec(text)?.[1]) })
    else if (name.startsWith('mkdir')) this.#name(path, { folder: true, durable: Buffer.alloc(0), edits: [] })
    else if (name.startsWith('rename')) this.#rename(path, to)
    else if (name.startsWith('link')) this.#name(to, this.#names.get(path))
    else if ((name.startsWith('unlink') || name === 'rmdir') && result) this.#remove(path)
  }

  #opened({ text, result }: Call): void {
    const { value, path } = result!
    this.#open.delete(value)
    if (path !== this.#root && !path.startsWith(`${this.#root}/`)) return
    if (!this.#names.has(path) && /O_CREAT|^creat/.test(text))
      this.#name(path, { folder: false, durable: Buffer.alloc(0), edits: [] })
    const node = this.#names.get(path)
    if (!node) return
    if (/O_TRUNC|^creat/.test(text)) edit(node, { size: 0 })
    this.#open.set(value, { node, path, at: 0, append: text.includes('O_APPEND'), through: /O_D?SYNC/.test(text) })
  }

  #write(
    open: { node: Node; at: number; append: boolean; through: boolean },
    { name, text, data, result }: Call,
  ): void {
    const bytes = data.subarray(0, result!.value)
    const { node } = open
    if (name.startsWith('pwrite')) edit(node, { at: Number(/, (\d+)\s*\)\s+= \d+$/.exec(text.trimEnd())?.[1]), bytes })
    else {
      const at = open.append ? node.edits.reduce(edited, node.durable).length : open.at
      edit(node, { at, bytes })
      open.at = at + bytes.length
    }
    if (open.through) this.#flush(node, '')()
  }

  #name(path: string, node: Node | undefined): void {
    if (!node || !path.startsWith(`${this.#root}/`)) return
    this.#do({ folders: [dirname(path)], set: { path, node } })
  }

  #remove(path: string): void {
    if (this.#names.has(path)) this.#do({ folders: [dirname(path)], remove: path })
  }

  #rename(from: string, to: string): void {
    const node = this.#names.get(from)
    // What is not known is a socket or another kind that holds no bytes.
    if (node) this.#do({ folders: [dirname(from), dirname(to)], remove: from, set: { path: to, node } })
  }

  #do(naming: Naming): void {
    apply(this.#names, naming)
    this.#namings.push(naming)
  }

  /** Writes into `directory` what a power cut at this moment could leave. */
  async cut(directory: string, below: Below): Promise<void> {
    const names = new Map(this.#durableNames)
    // Per folder the first few of its changes: a journal keeps their order.
    const kept = new Map<string, number>()
    for (const naming of this.#namings) {
      const [folder = ''] = naming.folders
      if (!kept.has(folder)) kept.set(folder, below(3) === 0 ? 0 : below(2) === 0 ? Infinity : below(6))
      const left = kept.get(folder)!
      if (left > 0) apply(names, naming)
      kept.set(folder, left - 1)
    }
    for (const [path, node] of [...names].sort(([one], [other]) => (one < other ? -1 : 1))) {
      if (path === this.#root || !this.#reachable(names, path)) continue
      const target = join(directory, path.slice(this.#root.length))
      if (node.folder) await mkdir(target, { recursive: true })
      else await writeFile(target, afterCut(node, below))
    }
  }

  #reachable(names: Map<string, Node>, path: string): boolean {
    for (let folder = dirname(path); folder.length >= this.#root.length; folder = dirname(folder))
      if (!names.get(folder)?.folder) return false
    return true
  }
}

/** A name takes all that is below it along. */
function apply(names: Map<string, Node>, { set, remove }: Naming): void {
  if (remove !== undefined) {
    const moved = [...names].filter(([path]) => path.startsWith(`${remove}/`))
    names.delete(remove)
    for (const [path, node] of moved) {
      names.delete(path)
      if (set) names.set(set.path + path.slice(remove.length), node)
    }
  }
  if (set) names.set(set.path, set.node)
}

function edit(node: Node | undefined, change: Edit): void {
  if (node && !node.folder) node.edits.push(change)
}

function edited(before: Buffer, change: Edit): Buffer {
  if ('size' in change) {
    const cut = Buffer.alloc(change.size)
    before.copy(cut, 0, 0, Math.min(before.length, change.size))
    return cut
  }
  const after = Buffer.alloc(Math.max(before.length, change.at + change.bytes.length))
  before.copy(after)
  after.set(change.bytes, change.at)
  return after
}

/** All that was not flushed, none of it, or here and there a part, torn at the bounds of sectors. */
function afterCut({ durable, edits }: Node, below: Below): Buffer {
  const how = below(3)
  if (how === 0) return durable
  if (how === 1) return edits.reduce(edited, durable)
  return edits.reduce((bytes, change) => {
    if (below(3) === 0) return bytes
    if ('size' in change || below(2) === 0) return edited(bytes, change)
    return torn(change, below).reduce(edited, bytes)
  }, durable)
}

function torn({ at, bytes }: { at: number; bytes: Uint8Array }, below: Below): Edit[] {
  const kept: Edit[] = []
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + sectorBytes - ((at + from) % sectorBytes))
    if (below(2) === 0) kept.push({ at: at + from, bytes: bytes.subarray(from, to) })
    from = to
  }
  return kept
}
