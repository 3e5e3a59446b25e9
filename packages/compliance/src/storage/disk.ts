import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Call, isFlush, isWrite, opensThrough, type Step, steps } from './calls.ts'

/** What a write or truncation does to a file's bytes. */
type Edit = { readonly at: number; readonly bytes: Uint8Array } | { readonly size: number }

/** A file or folder, whatever its names. */
interface Node {
  readonly folder: boolean
  readonly durable: Contents
  /** Not flushed: after a power cut each of them may be there, or not, or torn. */
  readonly edits: Edit[]
  /** Its length as the process sees it. */
  length: number
}

interface Open {
  readonly node: Node
  readonly path: string
  readonly append: boolean
  /** Every write is a flush. */
  readonly through: boolean
  /** Where the next write goes. */
  at: number
}

/** A change of names. Those of one folder are durable in their order; a flush of any of `folders` makes this one durable. */
interface Naming {
  readonly folders: readonly string[]
  readonly set?: { readonly path: string; readonly node: Node }
  readonly remove?: string
}

type Below = (n: number) => number

/** What a power cut found not flushed, bytes and names, and how many of those changes it took, wholly or in part. */
export interface Loss {
  readonly unflushed: number
  readonly lost: number
}

const sectorBytes = 512

/**
 * A disk that forgets what was not flushed, fed with the system calls of a real process. It promises what POSIX does: bytes are durable once the
 * file was flushed, names once their folder was. Of the rest, a power cut keeps whatever the dice say.
 */
export class RecordedDisk {
  readonly #root: string
  /** As the process sees them: paths below the root. */
  readonly #names = new Map<string, Node>()
  #durableNames: Map<string, Node>
  #namings: Naming[] = []
  readonly #open = new Map<number, Open>()
  readonly #flushing = new Map<string, () => void>()
  /** Writes that began and did not end, by thread. A power cut takes them in the middle, also in a file whose every write is a flush. */
  readonly #writing = new Map<string, { readonly node: Node; readonly edit: Edit }>()

  constructor(root: string) {
    this.#root = root
    this.#names.set(root, node(true))
    this.#durableNames = new Map(this.#names)
  }

  /** What lies below the root on a real disk, as if all of it had been flushed. */
  async load(folder: string = this.#root): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) {
        this.#load(path, node(true))
        await this.load(path)
      } else if (entry.isFile()) this.#load(path, node(false, await readFile(path)))
    }
  }

  #load(path: string, node: Node): void {
    this.#names.set(path, node)
    this.#durableNames.set(path, node)
  }

  /** `after`: what to do after every step, of whatever file. */
  async replay(trace: string, after?: (step: Step) => Promise<void>): Promise<void> {
    for (const step of steps(trace, after ? '' : this.#root)) {
      this.#take(step)
      await after?.(step)
    }
  }

  #take({ type, thread, call }: Step): void {
    const { result } = call
    if (isFlush(call)) {
      const open = this.#opening(call)
      if (type === 'begin' && open) this.#flushing.set(thread, this.#flush(open.node, open.path))
      else {
        if (result?.value === 0) this.#flushing.get(thread)?.()
        this.#flushing.delete(thread)
      }
    } else if (type === 'begin') {
      const open = isWrite(call) ? this.#opening(call) : undefined
      if (open && !open.node.folder) this.#writing.set(thread, { node: open.node, edit: this.#edit(open, call) })
    } else {
      this.#writing.delete(thread)
      this.#end(call)
    }
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
      const flushed = node.edits.findIndex((edit) => !due.has(edit))
      for (const edit of node.edits.splice(0, flushed < 0 ? node.edits.length : flushed)) node.durable.change(edit)
    }
  }

  /** The file below the root that a call is on. A number may have become a socket's since, whose opening is not traced. */
  #opening({ fd }: Call): Open | undefined {
    return fd?.path.startsWith(this.#root) ? this.#open.get(fd.number) : undefined
  }

  #end(call: Call): void {
    const { name, paths, text, data, result } = call
    const open = this.#opening(call)
    const [path = '', to = ''] = paths
    if (name.startsWith('open') || name === 'creat') this.#opened(call)
    else if (data.length > 0) {
      if (open && !open.node.folder) this.#write(open, call)
    } else if (name === 'ftruncate') {
      if (open) edit(open.node, { size: Number(/, (\d+)\s*\)\s+= /.exec(text)?.[1]) })
    } else if (name === 'truncate') edit(this.#names.get(path), { size: Number(/, (\d+)\s*\)\s+= /.exec(text)?.[1]) })
    else if (name.startsWith('mkdir')) this.#name(path, node(true))
    else if (name.startsWith('rename')) this.#rename(path, to)
    else if (name.startsWith('link')) this.#name(to, this.#names.get(path))
    else if ((name.startsWith('unlink') || name === 'rmdir') && result) this.#remove(path)
  }

  #opened(call: Call): void {
    const { text, result } = call
    const { value, path } = result!
    this.#open.delete(value)
    if (path !== this.#root && !path.startsWith(`${this.#root}/`)) return
    if (!this.#names.has(path) && /O_CREAT|^creat/.test(text)) this.#name(path, node(false))
    const opened = this.#names.get(path)
    if (!opened) return
    if (/O_TRUNC|^creat/.test(text)) edit(opened, { size: 0 })
    const how = { append: text.includes('O_APPEND'), through: opensThrough(call) }
    this.#open.set(value, { node: opened, path, at: 0, ...how })
  }

  #write(open: Open, call: Call): void {
    const made = this.#edit(open, call)
    edit(open.node, made)
    if (!call.name.startsWith('pwrite')) open.at = made.at + made.bytes.length
    if (open.through) this.#flush(open.node, '')()
  }

  #edit(open: Open, { name, text, data, result }: Call): Extract<Edit, { bytes: unknown }> {
    const bytes = data.subarray(0, result?.value)
    if (!name.startsWith('pwrite')) return { at: open.append ? open.node.length : open.at, bytes }
    // Its last argument, whether it ended or not.
    const at = /, (\d+)\s*(?:\)\s+= |<unfinished|$)/.exec(text.slice(text.lastIndexOf('"')))?.[1]
    return { at: Number(at), bytes }
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
  async cut(directory: string, below: Below): Promise<Loss> {
    let unflushed = this.#namings.length
    let lost = 0
    const names = new Map(this.#durableNames)
    // Per folder the first few of its changes: a journal keeps their order.
    const kept = new Map<string, number>()
    for (const naming of this.#namings) {
      const [folder = ''] = naming.folders
      if (!kept.has(folder)) kept.set(folder, below(3) === 0 ? 0 : below(2) === 0 ? Infinity : below(6))
      const left = kept.get(folder)!
      if (left > 0) apply(names, naming)
      else lost++
      kept.set(folder, left - 1)
    }
    for (const [path, node] of [...names].sort(([one], [other]) => (one < other ? -1 : 1))) {
      if (path === this.#root || !this.#reachable(names, path)) continue
      const target = join(directory, path.slice(this.#root.length))
      if (node.folder) await mkdir(target, { recursive: true })
      else {
        const underWay = [...this.#writing.values()].filter((write) => write.node === node)
        const edits = [...node.edits, ...underWay.map(({ edit }) => edit)]
        const left = afterCut(node.durable, edits, below)
        unflushed += edits.length
        lost += left.lost
        await writeFile(target, left.contents.bytes)
      }
    }
    return { unflushed, lost }
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

function node(folder: boolean, bytes?: Uint8Array): Node {
  const durable = new Contents(bytes)
  return { folder, durable, edits: [], length: durable.bytes.length }
}

function edit(node: Node | undefined, change: Edit): void {
  if (!node || node.folder) return
  node.edits.push(change)
  node.length = 'size' in change ? change.size : Math.max(node.length, change.at + change.bytes.length)
}

/** The bytes of a file. They grow in place: a log is written a little at a time. */
class Contents {
  #room: Buffer
  #length: number

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#room = Buffer.from(bytes)
    this.#length = bytes.length
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length)
  }

  change(edit: Edit): void {
    if ('size' in edit) this.#resize(edit.size)
    else {
      this.#resize(Math.max(this.#length, edit.at + edit.bytes.length))
      this.#room.set(edit.bytes, edit.at)
    }
  }

  #resize(length: number): void {
    if (length > this.#room.length) {
      const room = Buffer.alloc(length * 2)
      room.set(this.bytes)
      this.#room = room
    }
    // What grows again, grows by zeroes.
    this.#room.fill(0, length, this.#length)
    this.#length = length
  }
}

/** All that was not flushed, none of it, or here and there a part, torn at the bounds of sectors. */
function afterCut(
  durable: Contents,
  edits: readonly Edit[],
  below: Below,
): { readonly contents: Contents; readonly lost: number } {
  const contents = new Contents(durable.bytes)
  let lost = 0
  const how = below(3)
  for (const change of how === 0 ? [] : edits) {
    if (how === 2 && below(3) === 0) lost++
    else if (how === 1 || 'size' in change || below(2) === 0) contents.change(change)
    else {
      lost++
      for (const part of torn(change, below)) contents.change(part)
    }
  }
  return { contents, lost: how === 0 ? edits.length : lost }
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
