import { type Index, type LogWrite, RaftkitError, type Run } from '@raftkit/contract'

/** What a log holds. `records[i]` has the index `first + i`. */
export interface LogContent {
  readonly state: Uint8Array | undefined
  readonly first: Index
  /** `first - 1` while it is empty. */
  readonly last: Index
  readonly records: readonly Uint8Array[]
}

/** A write, checked and taken apart once, to be carried out on what is issued and later on what is durable. */
export interface Change {
  readonly at: Index | undefined
  readonly reset: boolean
  readonly records: readonly Uint8Array[]
  readonly compactTo: Index | undefined
  readonly state: Uint8Array | undefined
  readonly bytes: number
}

export class Content implements LogContent {
  state: Uint8Array | undefined
  first: Index = 1
  records: Uint8Array[] = []
  written = false

  get last(): Index {
    return this.first + this.records.length - 1
  }

  copy(): Content {
    const copy = new Content()
    copy.state = this.state
    copy.first = this.first
    copy.records = this.records.slice()
    copy.written = this.written
    return copy
  }

  /** Throws `INVALID_OPTION`, as an adapter should for a write that does not fit its log. */
  prepare({ tail, compactTo, state }: LogWrite): Change {
    const { first, last } = this
    const records = tail ? split(tail.run) : []
    const reset = tail?.reset === true
    let end = last
    if (tail) {
      const { at } = tail
      if (!Number.isSafeInteger(at) || at < (reset ? 1 : first) || (!reset && at > last + 1))
        throw new RaftkitError('INVALID_OPTION', `a run at ${at} does not continue a log from ${first} to ${last}`)
      end = at + records.length - 1
    }
    if (compactTo !== undefined && !(Number.isSafeInteger(compactTo) && compactTo >= 0 && compactTo <= end))
      throw new RaftkitError('INVALID_OPTION', `cannot compact to ${compactTo}: the log ends at ${end}`)
    const bytes = (tail?.run.bytes.length ?? 0) + (state?.length ?? 0)
    return { at: tail?.at, reset, records, compactTo, state, bytes }
  }

  apply({ at, reset, records, compactTo, state }: Change): void {
    if (at !== undefined) {
      if (reset) {
        this.records.length = 0
        this.first = at
      } else this.records.length = at - this.first
      for (const record of records) this.records.push(record)
    }
    if (compactTo !== undefined && compactTo >= this.first) {
      this.records.splice(0, compactTo + 1 - this.first)
      this.first = compactTo + 1
    }
    if (state !== undefined) this.state = state
    this.written = true
  }
}

function split({ count, bytes }: Run): Uint8Array[] {
  const records: Uint8Array[] = []
  let at = 0
  while (at + 4 <= bytes.length) {
    const length = bytes[at]! + bytes[at + 1]! * 0x100 + bytes[at + 2]! * 0x1_0000 + bytes[at + 3]! * 0x100_0000
    if (length < 4 || at + length > bytes.length) break
    records.push(bytes.subarray(at, at + length))
    at += length
  }
  if (at !== bytes.length || records.length !== count)
    throw new RaftkitError('INVALID_OPTION', `the run is not ${count} records end to end`)
  return records
}
