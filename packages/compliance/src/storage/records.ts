import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import type { Index, LogStore, LogWrite, Run } from '@raftkit/contract'

// Records that tell who they are, with a checksum of their own, as the protocol's have: length, index, version, checksum, filling.

const headBytes = 20

function record(index: Index, version: number, size: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(size, headBytes)).fill((index * 31 + version * 7) & 255)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setFloat64(4, index, true)
  view.setUint32(12, version, true)
  view.setUint32(16, crc32(bytes), true)
  return bytes
}

/** `<index>.<version>`, or `altered`. */
function nameOf(bytes: Uint8Array): string {
  if (bytes.length < headBytes) return 'altered'
  const copy = new Uint8Array(bytes)
  const view = new DataView(copy.buffer)
  const [index, version, sum] = [view.getFloat64(4, true), view.getUint32(12, true), view.getUint32(16, true)]
  view.setUint32(16, ((index * 31 + version * 7) & 255) * 0x01010101, true)
  return crc32(copy) === sum ? `${index}.${version}` : 'altered'
}

/** A run whose records have these sizes. */
export function runOf(from: Index, version: number, sizes: readonly number[]): Run {
  const records = sizes.map((size, i) => record(from + i, version, size))
  // Not Buffer.concat: its small results share a pool, and the suites watch whole buffers.
  const bytes = new Uint8Array(records.reduce((sum, one) => sum + one.length, 0))
  let at = 0
  for (const one of records) {
    bytes.set(one, at)
    at += one.length
  }
  return { count: records.length, bytes }
}

export function run(from: Index, count: number, version = 0, size = 24): Run {
  return runOf(
    from,
    version,
    Array.from({ length: count }, () => size),
  )
}

export function append(at: Index, count: number, version = 0, size = 24): LogWrite {
  return { tail: { at, run: run(at, count, version, size) } }
}

/** The records of a run, cut by their lengths alone, as an adapter must give them: `count` whole ones, end to end. */
function records({ count, bytes }: Run): Uint8Array[] {
  assert.ok(bytes instanceof Uint8Array, 'the bytes of a run are a Uint8Array')
  const found: Uint8Array[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; ) {
    const end = at + (at + 4 <= bytes.length ? view.getUint32(at, true) : 0)
    assert.ok(end >= at + 4 && end <= bytes.length, `the run has no whole record at byte ${at} of ${bytes.length}`)
    found.push(bytes.subarray(at, end))
    at = end
  }
  assert.equal(found.length, count, `the run holds ${found.length} records and says ${count}`)
  return found
}

export const names = (part: Run): string[] => records(part).map(nameOf)

/** `<index>.<version>` of every record of a range, read in parts of about `maxBytes`; one that fails its own checksum is `altered`. */
export async function contents(log: LogStore, first: Index, last: Index, maxBytes = 65_536): Promise<string[]> {
  const found: string[] = []
  while (first + found.length <= last) {
    const part = names(await log.read(first + found.length, last, maxBytes))
    assert.ok(part.length > 0, `the read from ${first + found.length} is empty`)
    found.push(...part)
  }
  assert.ok(
    first + found.length - 1 <= last,
    `the read to ${last} went ${first + found.length - 1 - last} records too far`,
  )
  return found
}

/** `1.7`, `2.7`, … as `contents` gives them. */
export const lines = (first: Index, last: Index, version: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => `${first + i}.${version}`)

export const blob = (content: string): Uint8Array => new TextEncoder().encode(content)

export const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString('latin1')
