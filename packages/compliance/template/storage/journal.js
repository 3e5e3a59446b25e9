// @ts-check
// One group's log: a file to which every write is appended as one frame, and a mark that says how far it was durable.
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { createDirectory, replaceFile } from '@raftkit/files'
import { decodeFrame, decodeHeader, encodeFrame, encodeHeader, headerBytes, runOffset, split } from './frame.js'
import { Mark } from './mark.js'

/** @import { Found, Index, LogStore, LogWrite, Run } from '@raftkit/contract' */
/** @import { FileHandle } from 'node:fs/promises' */
/** @typedef {{ at: number, length: number, held: Uint8Array | undefined }} Entry one record: where the file has it, or its bytes until it is durable */
/** @typedef {{ change: LogWrite, entries: Entry[], resolve: () => void, reject: (error: unknown) => void }} Waiting */

/** A journal is written anew, without what was cut and compacted, each time it has grown to twice its size and this much more. */
const slackBytes = 1 << 20

/** @implements {LogStore} */
export class Journal {
  /** @type {Found} */ found
  #group
  #path
  #release
  /** @type {FileHandle} */ #file
  /** @type {Mark} */ #mark
  #generation
  /** Where the next frame goes: everything before it is durable. */
  #end
  #rewriteAt
  /** The log as the writes issued so far make it. @type {Index} */
  #first = 1
  /** @type {Entry[]} */ #entries = []
  /** @type {Uint8Array | undefined} */ #state
  /** @type {Waiting[]} */ #waiting = []
  /** @type {Promise<void> | undefined} */ #flushing
  /** @type {Set<Promise<unknown>>} */ #reading = new Set()
  /** @type {unknown} */ #failed
  /** @type {Promise<void> | undefined} */ #closing
  #full = new AbortController()

  /**
   * @param {string} folder
   * @param {string} group
   * @param {() => void} release called once the log is closed
   */
  static async open(folder, group, release) {
    await createDirectory(folder)
    const path = join(folder, 'journal')
    const markPath = join(folder, 'mark')
    let mark = await Mark.read(markPath, group)
    let bytes = await readFile(path).catch((error) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (!mark) {
      // The mark comes first: a journal without one has lost it.
      if (bytes) throw damaged(group, 'the mark is missing')
      mark = await Mark.create(markPath, group)
    }
    if (!bytes) {
      if (mark.generation > 0) throw damaged(group, 'the journal is missing')
      bytes = Buffer.from(encodeHeader(group, 1))
      await replaceFile(path, bytes)
    }
    const journal = new Journal(
      group,
      path,
      release,
      await open(path, 'r+'),
      await Mark.open(markPath, mark, group),
      bytes,
    )
    try {
      await journal.#begin(mark, bytes.length)
      return journal
    } catch (error) {
      await Promise.all([journal.#mark.close(), journal.#file.close()])
      throw error
    }
  }

  /**
   * @param {string} group
   * @param {string} path
   * @param {() => void} release
   * @param {FileHandle} file
   * @param {Mark} mark
   * @param {Uint8Array} bytes the whole file
   */
  constructor(group, path, release, file, mark, bytes) {
    this.#group = group
    this.#path = path
    this.#release = release
    this.#file = file
    this.#mark = mark
    this.#generation = decodeHeader(bytes, group) ?? 0
    this.#end = headerBytes
    for (;;) {
      const frame = decodeFrame(bytes, this.#end, group)
      if (!frame) break
      const entries = this.#apply(frame.change)
      this.#settle(entries, this.#end + runOffset(frame.change))
      this.#end += frame.bytes
    }
    this.#rewriteAt = 2 * this.#end + slackBytes
    this.found = { first: this.#first, last: this.#last, ...(this.#state && { state: this.#state }) }
  }

  /**
   * The frames end where a crash tore one off, or where something durable is lost: the mark tells which.
   * @param {{ generation: number, end: number }} mark
   * @param {number} size of the file
   */
  async #begin(mark, size) {
    // A rewritten journal was durable as a whole before it got its name, so its first frame is never torn.
    const least = mark.generation === this.#generation ? mark.end : this.#generation > 1 ? headerBytes + 1 : headerBytes
    if (this.#generation === 0 || this.#generation < mark.generation || this.#end < least)
      throw damaged(this.#group, `the journal is intact up to byte ${this.#end}, and was durable up to ${mark.end}`)
    if (size > this.#end) {
      // What a torn frame is followed by must never be read again, when new frames have filled the gap.
      await this.#file.truncate(this.#end)
      await this.#file.sync()
    }
    await this.#mark.advance(this.#generation, this.#end)
  }

  get #last() {
    return this.#first + this.#entries.length - 1
  }

  /** @param {LogWrite} change @returns {Promise<void>} */
  write(change) {
    if (this.#closing) return Promise.reject(closed())
    try {
      if (this.#failed) throw this.#failed
      const entries = this.#apply(change)
      return new Promise((resolve, reject) => {
        this.#waiting.push({ change, entries, resolve, reject })
        this.#startFlush()
      })
    } catch (error) {
      // What is written next is meant to follow this one. It rejects in its turn: after those that were issued before.
      this.#failed = error
      return Promise.resolve(this.#flushing).then(() => {
        throw error
      })
    }
  }

  /** @param {Index} from @param {Index} to @param {number} maxBytes @returns {Promise<Run>} */
  async read(from, to, maxBytes) {
    if (this.#closing) throw closed()
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to || !(maxBytes > 0))
      throw new RaftkitError('INVALID_OPTION', `cannot read ${maxBytes} bytes of the records ${from} to ${to}`)
    if (from < this.#first)
      throw new RaftkitError('COMPACTED', `record ${from} is gone; the log begins at ${this.#first}`)
    if (to > this.#last) throw new RaftkitError('MISSING', `the log ends at ${this.#last}; there is no record ${to}`)
    // Which bytes are wanted is settled here and now: later writes change the entries, a rewrite the file.
    const file = this.#file
    /** @type {{ at: number, length: number, held: Uint8Array | undefined }[]} */
    const parts = []
    let count = 0
    let bytes = 0
    while (from + count <= to) {
      const entry = /** @type {Entry} */ (this.#entries[from + count - this.#first])
      if (count > 0 && bytes + entry.length > maxBytes) break
      const before = parts.at(-1)
      if (before && !before.held && !entry.held && before.at + before.length === entry.at) before.length += entry.length
      else parts.push({ ...entry })
      bytes += entry.length
      count++
    }
    const reading = gather(file, parts, bytes)
    this.#reading.add(reading)
    try {
      return { count, bytes: await reading }
    } catch (error) {
      throw failed(`could not read the log of ${this.#group}`, error)
    } finally {
      this.#reading.delete(reading)
    }
  }

  close() {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close() {
    this.#full.abort()
    while (this.#flushing) await this.#flushing
    await Promise.allSettled(this.#reading)
    await this.#mark.close()
    await this.#file.close()
    this.#release()
  }

  /** Carries a change out in memory; throws before anything is changed. @param {LogWrite} change @returns {Entry[]} */
  #apply({ tail, compactTo, state }) {
    let last = this.#last
    /** @type {Entry[]} */
    let entries = []
    if (tail) {
      const { at, run, reset = false } = tail
      if (!Number.isSafeInteger(at) || at < (reset ? 1 : this.#first) || (!reset && at > last + 1))
        throw new RaftkitError(
          'INVALID_OPTION',
          `a run at ${at} does not continue a log from ${this.#first} to ${last}`,
        )
      entries = split(run).map((held) => ({ at: 0, length: held.length, held }))
      last = at + entries.length - 1
    }
    if (compactTo !== undefined && !(Number.isSafeInteger(compactTo) && compactTo >= 0 && compactTo <= last))
      throw new RaftkitError('INVALID_OPTION', `cannot compact to ${compactTo}: the log ends at ${last}`)
    if (tail) {
      if (tail.reset) this.#first = tail.at
      this.#entries.length = tail.at - this.#first
      // Not push(...entries): a run may have more records than a call may have arguments.
      for (const entry of entries) this.#entries.push(entry)
    }
    if (compactTo !== undefined && compactTo >= this.#first) {
      this.#entries.splice(0, compactTo + 1 - this.#first)
      this.#first = compactTo + 1
    }
    // A copy: the caller may have it in a far larger buffer.
    if (state) this.#state = new Uint8Array(state)
    return entries
  }

  #startFlush() {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined
      if (this.#waiting.length > 0) this.#startFlush()
    })
  }

  /** One flush at a time: while it runs writes gather, and the next takes them all. */
  async #flush() {
    // What is written in the same turn of the event loop goes together.
    await null
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        if (this.#end < this.#rewriteAt || !(await this.#rewrite())) await this.#append(batch)
        await this.#mark.advance(this.#generation, this.#end)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        // Nobody knows what a disk holds after a failed flush: nothing is tried again, nothing is written after it.
        this.#failed = failed(`a write to the log of ${this.#group} could not be made durable`, error)
        for (const { reject } of [...batch, ...this.#waiting]) reject(this.#failed)
        this.#waiting = []
      }
    }
  }

  /** @param {Waiting[]} batch */
  async #append(batch) {
    let end = this.#end
    const frames = batch.map(({ change }) => {
      const frame = encodeFrame(change, end, this.#group)
      end += frame.length
      return frame
    })
    await this.#writeAll(Buffer.concat(frames))
    await this.#file.datasync()
    for (const [i, { change, entries }] of batch.entries()) {
      this.#settle(entries, this.#end + runOffset(change))
      this.#end += /** @type {Uint8Array} */ (frames[i]).length
    }
  }

  /** A full disk is no failure: waits for room. @param {Uint8Array} bytes */
  async #writeAll(bytes) {
    for (let at = 0; at < bytes.length; ) {
      try {
        at += (await this.#file.write(bytes, at, bytes.length - at, this.#end + at)).bytesWritten
      } catch (error) {
        if (!isFull(error) || this.#full.signal.aborted) throw error
        await wait(50, undefined, { signal: this.#full.signal }).catch(() => undefined)
      }
    }
  }

  /** Puts a new file in the place of the old one, in one step, with all that was issued so far. False: no room for it. */
  async #rewrite() {
    const entries = [...this.#entries]
    const at = this.#first
    const state = this.#state
    const old = this.#file
    const bytes = await gather(
      old,
      entries,
      entries.reduce((sum, { length }) => sum + length, 0),
    )
    const change = {
      tail: { at, run: { count: entries.length, bytes }, reset: /** @type {const} */ (true) },
      ...(state && { state }),
    }
    const header = encodeHeader(this.#group, this.#generation + 1)
    const frame = encodeFrame(change, headerBytes, this.#group)
    try {
      await replaceFile(this.#path, Buffer.concat([header, frame]))
    } catch (error) {
      if (isRaftkitError(error) && error.retryable) return false
      throw error
    }
    this.#file = await open(this.#path, 'r+')
    this.#generation++
    this.#end = headerBytes + frame.length
    this.#rewriteAt = 2 * this.#end + slackBytes
    this.#settle(entries, headerBytes + runOffset(change))
    await Promise.allSettled(this.#reading)
    await old.close()
    return true
  }

  /** The file has these records from `at` on. @param {Entry[]} entries @param {number} at */
  #settle(entries, at) {
    for (const entry of entries) {
      entry.at = at
      entry.held = undefined
      at += entry.length
    }
  }
}

/** @param {FileHandle} file @param {readonly Entry[]} parts @param {number} size */
async function gather(file, parts, size) {
  // Neither pooled nor shared: whoever gets it keeps it.
  const bytes = new Uint8Array(size)
  let end = 0
  for (const { at, length, held } of parts.map((part) => ({ ...part }))) {
    if (held) bytes.set(held, end)
    else await readExactly(file, bytes.subarray(end, end + length), at)
    end += length
  }
  return bytes
}

/** @param {FileHandle} file @param {Uint8Array} into @param {number} position */
async function readExactly(file, into, position) {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, into.length - at, position + at)
    if (bytesRead === 0) throw new RaftkitError('DAMAGED', `the journal has lost its bytes from ${position + at} on`)
    at += bytesRead
  }
}

const closed = () => new RaftkitError('CLOSED', 'this log was closed; open it again')

/** @param {string} group @param {string} what */
const damaged = (group, what) =>
  new RaftkitError(
    'DAMAGED',
    `group ${group}: ${what}; move the directory away and add this member again as a new incarnation`,
  )

/** @param {unknown} error */
const isFull = (error) => ['ENOSPC', 'EDQUOT'].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? '')

/** @param {string} what @param {unknown} cause */
function failed(what, cause) {
  if (isRaftkitError(cause)) return cause
  const retryable = isFull(cause)
  return new RaftkitError('STORAGE_FAILED', `${what}; ${retryable ? 'free some space' : 'look at the cause'}`, {
    cause,
    retryable,
  })
}
