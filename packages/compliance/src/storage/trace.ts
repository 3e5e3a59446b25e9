import { dirname } from 'node:path'

/** The system calls that put bytes and names on a disk; `?`: not every machine has all of them. */
const calls =
  '?open,openat,?creat,?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,write,?pwrite64,?writev,?pwritev,?pwritev2,fsync,fdatasync'

/** Runs a command under strace; the trace goes to `output`. */
export const strace = (output: string): string[] => [
  'strace',
  '-f',
  '-y',
  '-s',
  '20000',
  '-o',
  output,
  '-e',
  `trace=${calls}`,
]

/** What the kernel was told of one file. */
interface Known {
  /** Marks that were written, and of those the ones that were flushed since. */
  readonly written: Set<string>
  readonly flushed: Set<string>
  /** Its folder was flushed since it got this name. */
  named: boolean
  /** Opened so that every write is a flush. */
  readonly through: boolean
}

interface Call {
  readonly name: string
  /** As strace shows them. */
  readonly text: string
  /** Of the thread that made it. */
  readonly pid: string
}

const word = /mark-\d+\b/g

/** Replays a trace: which marks (`mark-<number>`) are in a flushed file with a flushed name, at each line that the program said. */
export class Trace {
  /** Flushes so far. */
  flushes = 0
  readonly #files = new Map<string, Known>()
  readonly #folders = new Map<string, { named: boolean }>()
  readonly #unfinished = new Map<string, string>()
  /** What a flush under way will have flushed: no more than was there when it began. */
  readonly #beginning = new Map<string, () => void>()

  /** `said`: each line that the program wrote to standard output, at the moment it begins to. */
  replay(trace: string, said: (line: string) => void): void {
    for (const line of trace.split('\n')) {
      const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
      const begins = !rest.startsWith('<...')
      const whole = begins ? rest : `${this.#unfinished.get(pid) ?? ''}${rest.replace(/^<\.\.\. \w+ resumed>/, '')}`
      const name = /^(\w+)\(/.exec(whole)?.[1]
      if (!name) continue
      const call = { name, text: whole, pid }
      if (begins) {
        const words = /^write\(1<[^>]*>, "([^"]*)\\n"/.exec(whole)?.[1]
        if (words !== undefined) said(words)
        this.#begin(call)
      }
      if (rest.endsWith('<unfinished ...>')) this.#unfinished.set(pid, rest.slice(0, -'<unfinished ...>'.length))
      else if (/\)\s+= (?!-1)/.test(whole)) this.#end(call)
    }
  }

  /** Why a mark would not survive a power cut now; undefined when it would. */
  lost(mark: string): string | undefined {
    const holders = [...this.#files].filter(([, { written }]) => written.has(mark))
    if (holders.length === 0) return `${mark} was written to no file`
    const flushed = holders.filter(([, file]) => file.through || file.flushed.has(mark))
    if (flushed.length === 0) return `${mark} is in ${holders[0]![0]}, which was not flushed since`
    if (flushed.some(([path, { named }]) => named && this.#foldersNamed(path))) return undefined
    return `${mark} is in ${flushed[0]![0]}, but a folder above it was not flushed since that name was made`
  }

  #foldersNamed(path: string): boolean {
    for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder))
      if (this.#folders.get(folder)?.named === false) return false
    return true
  }

  #begin({ name, text, pid }: Call): void {
    if (name !== 'fsync' && name !== 'fdatasync') return
    const path = /^\w+\(\d+<([^>]*)>/.exec(text)?.[1] ?? ''
    const file = this.#files.get(path)
    const marks = [...(file?.written ?? [])]
    const names = [...this.#files, ...this.#folders]
      .filter(([below]) => dirname(below) === path)
      .map(([, known]) => known)
    this.#beginning.set(pid, () => {
      this.flushes++
      for (const mark of marks) file?.flushed.add(mark)
      for (const known of names) known.named = true
    })
  }

  #end({ name, text, pid }: Call): void {
    if (name === 'fsync' || name === 'fdatasync') this.#beginning.get(pid)?.()
    else if (name.startsWith('open') || name === 'creat') this.#open(text)
    else if (name.startsWith('mkdir')) this.#folders.set(pathsIn(text)[0] ?? '', { named: false })
    else if (name.startsWith('rename')) this.#rename(text)
    else if (name.startsWith('unlink')) this.#files.delete(pathsIn(text)[0] ?? '')
    else {
      const path = /^\w+\(\d+<([^>]*)>/.exec(text)?.[1] ?? ''
      for (const mark of text.match(word) ?? []) this.#files.get(path)?.written.add(mark)
    }
  }

  #open(text: string): void {
    const path = /= \d+<([^>]*)>$/.exec(text.trimEnd())?.[1]
    if (path === undefined || this.#files.has(path) || !/O_CREAT|^creat/.test(text)) return
    this.#files.set(path, { written: new Set(), flushed: new Set(), named: false, through: /O_D?SYNC/.test(text) })
  }

  #rename(text: string): void {
    const [from = '', to = ''] = pathsIn(text)
    const file = this.#files.get(from)
    if (file) {
      this.#files.delete(from)
      this.#files.set(to, Object.assign(file, { named: false }))
    } else this.#folders.set(to, { named: false })
  }
}

/** The paths among a call's arguments, relative ones made whole by the folder that strace tells beside them. */
function pathsIn(text: string): string[] {
  const found = [...text.matchAll(/(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"([^"]*)"/g)]
  return found.map(([, folder, path = '']) =>
    path.startsWith('/') || !folder ? path : `${folder}/${path}`.replace(/\/\.\//g, '/'),
  )
}
