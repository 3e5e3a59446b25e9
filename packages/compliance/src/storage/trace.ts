import { dirname } from 'node:path'
import { type Call, isFlush, isWrite, opensThrough, type Step, steps } from './calls.ts'

/** What the kernel was told of one file. */
interface Known {
  /** Marks that were written, and of those the ones that were flushed since. */
  readonly written: Set<string>
  readonly flushed: Set<string>
  /** What a flush failed for: nobody knows whether it is on the disk, and the next flush may call it a success. */
  readonly failed: Set<string>
  /** Its folder was flushed since it got this name. */
  named: boolean
  /** Opened so that every write is a flush. */
  readonly through: boolean
}

const word = /mark-\d+\b/g

/** Replays a trace: which marks (`mark-<number>`) are in a flushed file with a flushed name, at each line that the program said. */
export class Trace {
  /** Flushes so far. */
  flushes = 0
  readonly #files = new Map<string, Known>()
  readonly #folders = new Map<string, { named: boolean }>()
  /** What a flush under way will have flushed, by thread: no more than was there when it began. */
  readonly #beginning = new Map<string, (succeeded: boolean) => void>()

  /** `said`: each line that the program wrote to standard output, at the moment it begins to. */
  replay(trace: string, said: (line: string) => void): void {
    for (const step of steps(trace)) {
      const line = saidIn(step)
      if (line !== undefined) said(line)
      const { call, thread } = step
      if (isFlush(call)) {
        if (step.type === 'begin') this.#beginning.set(thread, this.#flush(call.fd?.path ?? ''))
        else this.#beginning.get(thread)?.(call.result?.value === 0)
      } else if (step.type === 'end') this.#end(call)
    }
  }

  /** Why a mark would not survive a power cut now; undefined when it would. */
  lost(mark: string): string | undefined {
    const holders = [...this.#files].filter(([, { written }]) => written.has(mark))
    if (holders.length === 0) return `${mark} was written to no file`
    const flushed = holders.filter(([, file]) => file.through || file.flushed.has(mark))
    const [[path, { failed }]] = holders as [(typeof holders)[number]]
    if (flushed.length === 0)
      return `${mark} is in ${path}, ${failed.has(mark) ? 'for which a flush failed' : 'which was not flushed since'}`
    if (flushed.some(([path, { named }]) => named && this.#foldersNamed(path))) return undefined
    return `${mark} is in ${flushed[0]![0]}, but a folder above it was not flushed since that name was made`
  }

  #foldersNamed(path: string): boolean {
    for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder))
      if (this.#folders.get(folder)?.named === false) return false
    return true
  }

  #flush(path: string): (succeeded: boolean) => void {
    const file = this.#files.get(path)
    const marks = [...(file?.written ?? [])]
    const below = [...this.#files, ...this.#folders].filter(([name]) => dirname(name) === path)
    return (succeeded) => {
      this.flushes++
      for (const mark of marks) {
        if (!succeeded) file?.failed.add(mark)
        else if (!file?.failed.has(mark)) file?.flushed.add(mark)
      }
      if (succeeded) for (const [, known] of below) known.named = true
    }
  }

  #end(call: Call): void {
    const { name, fd, paths, data, text, result } = call
    if (name.startsWith('open') || name === 'creat') {
      const path = result?.path ?? ''
      if (this.#files.has(path) || !/O_CREAT|^creat/.test(text)) return
      const through = opensThrough(call)
      this.#files.set(path, { written: new Set(), flushed: new Set(), failed: new Set(), named: false, through })
    } else if (name.startsWith('mkdir')) this.#folders.set(paths[0] ?? '', { named: false })
    else if (name.startsWith('rename')) this.#rename(paths)
    else if (name.startsWith('unlink')) this.#files.delete(paths[0] ?? '')
    else if (data.length > 0) {
      const file = this.#files.get(fd?.path ?? '')
      if (file?.through && isWrite(call)) this.flushes++
      for (const mark of Buffer.from(data).toString('latin1').match(word) ?? []) file?.written.add(mark)
    }
  }

  #rename([from = '', to = '']: readonly string[]): void {
    const file = this.#files.get(from)
    if (file) {
      this.#files.delete(from)
      this.#files.set(to, Object.assign(file, { named: false }))
    } else this.#folders.set(to, { named: false })
  }
}

/** The line that the traced program began to say with this step. */
export function saidIn({ type, call }: Step): string | undefined {
  if (type !== 'begin' || call.name !== 'write' || call.fd?.number !== 1) return undefined
  return Buffer.from(call.data).toString().trimEnd()
}
