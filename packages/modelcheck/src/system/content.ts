import { hash128, readRecord, recordEnd, toHex } from '@raftkit/bytes'
import type { Found, LogWrite } from '@raftkit/contract'

/** What a disk holds of one log: never changed, only made anew. */
export interface Content {
  readonly state: Uint8Array | undefined
  readonly first: number
  readonly records: readonly Uint8Array[]
}

export const emptyContent: Content = { state: undefined, first: 1, records: [] }

/** What the disk holds after a write; throws where the write breaks the promises of `LogWrite`. */
export function written(content: Content, { tail, compactTo, state }: LogWrite): Content {
  let { first, records } = content
  if (tail !== undefined) {
    if (tail.reset) {
      first = tail.at
      records = []
    }
    if (tail.at < first || tail.at > first + records.length) throw new Error(`a write at ${tail.at} leaves a hole`)
    const run: Uint8Array[] = []
    for (let offset = 0; offset < tail.run.bytes.length; offset = recordEnd(tail.run.bytes, offset))
      run.push(tail.run.bytes.subarray(offset, recordEnd(tail.run.bytes, offset)))
    if (run.length !== tail.run.count)
      throw new Error(`a run of ${run.length} records says that it has ${tail.run.count}`)
    run.forEach((record, at) => {
      const { index } = readRecord(record, 0)
      if (index !== tail.at + at) throw new Error(`record ${index} is written at ${tail.at + at}`)
    })
    records = [...records.slice(0, tail.at - first), ...run]
  }
  if (compactTo !== undefined) {
    if (compactTo >= first + records.length) throw new Error(`compaction to ${compactTo}, above the last record`)
    records = records.slice(Math.max(0, compactTo + 1 - first))
    first = Math.max(first, compactTo + 1)
  }
  return { state: state ?? content.state, first, records }
}

export const foundIn = ({ state, first, records }: Content): Found => ({
  ...(state === undefined ? {} : { state }),
  first,
  last: first + records.length - 1,
})

/** One text for equal contents. */
export function contentKey({ state, first, records }: Content): string {
  const parts = records.map((record) => toHex(hash128(record)))
  return `${state === undefined ? '' : toHex(hash128(state))}/${first}/${parts.join()}`
}
