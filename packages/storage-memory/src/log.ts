import { type Found, type Index, type LogStore, type LogWrite, RaftkitError, type Run } from '@raftkit/contract'

/** What outlives the log's owner. `records[i]` has the index `first + i`. */
export interface LogContent {
  state?: Uint8Array
  first: Index
  records: Uint8Array[]
  written: boolean
}

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
    this.found = { first: content.first, last: lastOf(content), ...(content.state && { state: content.state }) }
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
    const { first, records } = this.#content
    const last = lastOf(this.#content)
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to || !(maxBytes > 0))
      throw new RaftkitError('INVALID_OPTION', `cannot read ${maxBytes} bytes of the records ${from} to ${to}`)
    if (from < first) throw new RaftkitError('COMPACTED', `record ${from} is gone; the log begins at ${first}`)
    if (to > last) throw new RaftkitError('MISSING', `the log ends at ${last}; there is no record ${to}`)
    const parts: Uint8Array[] = []
    let size = 0
    for (let index = from; index <= to && (size === 0 || size < maxBytes); index++) {
      const record = records[index - first]!
      parts.push(record)
      size += record.length
    }
    const bytes = new Uint8Array(size)
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    return { count: parts.length, bytes }
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
  let { first } = content
  let last = lastOf(content)
  let added: Uint8Array[] = []
  if (tail) {
    const { at, reset = false } = tail
    if (!Number.isSafeInteger(at) || at < (reset ? 1 : first) || (!reset && at > last + 1))
      throw new RaftkitError('INVALID_OPTION', `a run at ${at} does not continue a log from ${first} to ${last}`)
    added = split(tail.run)
    if (reset) first = at
    last = at + added.length - 1
  }
  if (compactTo !== undefined && !(Number.isSafeInteger(compactTo) && compactTo >= 0 && compactTo <= last))
    throw new RaftkitError('INVALID_OPTION', `cannot compact to ${compactTo}: the log ends at ${last}`)

  if (tail) {
    content.records.length = tail.reset ? 0 : tail.at - first
    for (const record of added) content.records.push(record)
    content.first = first
  }
  if (compactTo !== undefined && compactTo >= first) {
    content.records.splice(0, compactTo + 1 - first)
    content.first = compactTo + 1
  }
  if (state !== undefined) content.state = new Uint8Array(state)
  content.written = true
}

/** One copy of the run, and a view of it per record: whoever made the bytes may hold them in a far larger buffer. */
function split({ count, bytes }: Run): Uint8Array[] {
  // Not slice(): a Buffer's is a view.
  const copy = new Uint8Array(bytes)
  const view = new DataView(copy.buffer)
  const records: Uint8Array[] = []
  let at = 0
  while (at + 4 <= copy.length) {
    const end = at + view.getUint32(at, true)
    if (end < at + 4 || end > copy.length) break
    records.push(copy.subarray(at, end))
    at = end
  }
  if (at !== copy.length || records.length !== count)
    throw new RaftkitError('INVALID_OPTION', `the run is not ${count} records end to end`)
  return records
}

const lastOf = (content: LogContent): Index => content.first + content.records.length - 1

const closed = (): RaftkitError => new RaftkitError('CLOSED', 'this log was closed; open it again')
