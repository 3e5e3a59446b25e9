import { type Found, type Index, type LogStore, type LogWrite, RaftkitError, type Run } from '@raftkit/contract'

/** Records of one write, end to end. An object for each record would cost more than the records. */
interface Piece {
  readonly first: Index
  readonly count: number
  readonly bytes: Uint8Array
}

/** What outlives the log's owner: the records `first` … `last`. The oldest piece may begin before `first`. */
export interface LogContent {
  state?: Uint8Array
  first: Index
  last: Index
  pieces: Piece[]
  written: boolean
}

export const emptyLog = (): LogContent => ({ first: 1, last: 0, pieces: [], written: false })

export class MemoryLog implements LogStore {
  readonly found: Found
  readonly #content: LogContent
  readonly #release: () => void
  /** Settles after every write issued so far. */
  #tail: Promise<void> = Promise.resolve()
  #failed: RaftkitError | undefined
  #closed = false

  constructor(content: LogContent, release: () => void) {
    this.#content = content
    this.#release = release
    const { first, last, state } = content
    this.found = { first, last, ...(state && { state }) }
  }

  write(change: LogWrite): Promise<void> {
    if (this.#closed) return Promise.reject(closed())
    if (!this.#failed) {
      try {
        apply(this.#content, change)
      } catch (error) {
        // What the caller writes next assumes that this one was carried out.
        this.#failed = error as RaftkitError
      }
    }
    const failed = this.#failed
    const outcome = this.#tail.then(() => {
      if (failed) throw failed
    })
    this.#tail = outcome.catch(() => undefined)
    return outcome
  }

  async read(from: Index, to: Index, maxBytes: number): Promise<Run> {
    if (this.#closed) throw closed()
    const { first, last, pieces } = this.#content
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to || !(maxBytes > 0))
      throw new RaftkitError('INVALID_OPTION', `cannot read ${maxBytes} bytes of the records ${from} to ${to}`)
    if (from < first) throw new RaftkitError('COMPACTED', `record ${from} is gone; the log begins at ${first}`)
    if (to > last) throw new RaftkitError('MISSING', `the log ends at ${last}; there is no record ${to}`)
    const parts: Uint8Array[] = []
    let size = 0
    let index = from
    for (let at = pieceOf(pieces, from); index <= to && (size === 0 || size < maxBytes); at++) {
      const piece = pieces[at]!
      const start = offsetOf(piece, index)
      const before = size
      let end = start
      for (; index <= to && index < piece.first + piece.count && (size === 0 || size < maxBytes); index++) {
        end += lengthAt(piece.bytes, end)
        size = before + end - start
      }
      parts.push(piece.bytes.subarray(start, end))
    }
    return { count: index - from, bytes: joined(parts, size) }
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      void this.#tail.then(this.#release)
    }
    await this.#tail
  }
}

function apply(content: LogContent, { tail, compactTo, state }: LogWrite): void {
  // All is checked before anything is changed: a write happens as a whole or not at all.
  let { first, last } = content
  let added: Piece | undefined
  if (tail) {
    const { at, run, reset = false } = tail
    if (!Number.isSafeInteger(at) || at < (reset ? 1 : first) || (!reset && at > last + 1))
      throw new RaftkitError('INVALID_OPTION', `a run at ${at} does not continue a log from ${first} to ${last}`)
    added = pieceAt(at, run)
    if (reset) first = at
    last = at + run.count - 1
  }
  if (compactTo !== undefined && !(Number.isSafeInteger(compactTo) && compactTo >= 0 && compactTo <= last))
    throw new RaftkitError('INVALID_OPTION', `cannot compact to ${compactTo}: the log ends at ${last}`)

  if (added) {
    if (tail?.reset) content.pieces = []
    cut(content.pieces, added.first)
    if (added.count > 0) content.pieces.push(added)
  }
  if (compactTo !== undefined && compactTo >= first) {
    first = compactTo + 1
    const kept = content.pieces.findIndex((piece) => piece.first + piece.count > first)
    content.pieces.splice(0, kept < 0 ? content.pieces.length : kept)
  }
  content.first = first
  content.last = last
  if (state !== undefined) content.state = new Uint8Array(state)
  content.written = true
}

/** Removes `from` and all behind it. */
function cut(pieces: Piece[], from: Index): void {
  for (let last = pieces.at(-1); last && last.first + last.count > from; last = pieces.at(-1)) {
    pieces.pop()
    if (last.first < from)
      pieces.push({ first: last.first, count: from - last.first, bytes: last.bytes.subarray(0, offsetOf(last, from)) })
  }
}

/** Where in `pieces` the one that holds `index` stands. */
function pieceOf(pieces: readonly Piece[], index: Index): number {
  let low = 0
  for (let high = pieces.length - 1; low < high; ) {
    const middle = (low + high + 1) >> 1
    if (pieces[middle]!.first <= index) low = middle
    else high = middle - 1
  }
  return low
}

/** Where in a piece the record of `index`, which it holds or ends before, begins. */
function offsetOf({ first, bytes }: Piece, index: Index): number {
  let at = 0
  for (let left = index - first; left > 0; left--) at += lengthAt(bytes, at)
  return at
}

/** Of the record at `at`: each begins with its length, little-endian. */
function lengthAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

/** A copy: whoever made the bytes may hold them in a far larger buffer. */
function pieceAt(first: Index, { count, bytes: given }: Run): Piece {
  // Not slice(): a Buffer's is a view.
  const bytes = new Uint8Array(given)
  let at = 0
  let records = 0
  for (; at + 4 <= bytes.length; records++) {
    const end = at + lengthAt(bytes, at)
    if (end < at + 4 || end > bytes.length) break
    at = end
  }
  if (at !== bytes.length || records !== count)
    throw new RaftkitError('INVALID_OPTION', `the run is not ${count} records end to end`)
  return { first, count, bytes }
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

const closed = (): RaftkitError => new RaftkitError('CLOSED', 'this log was closed; open it again')
