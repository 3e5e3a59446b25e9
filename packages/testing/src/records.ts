import { equal, ok } from 'node:assert/strict'
import type { Index, LogStore, LogWrite, Run } from '@raftkit/contract'

// Records that tell who they are.

/** A record that tells who it is: its length, its index, a version, filling. */
export function record(index: Index, version = 0, size = 24): Uint8Array {
  const bytes = new Uint8Array(size).fill((index * 31 + version * 7) & 255)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, size, true)
  view.setFloat64(4, index, true)
  view.setUint32(12, version, true)
  return bytes
}

export function run(from: Index, count: number, version = 0, size = 24): Run {
  const records = Array.from({ length: count }, (_, i) => record(from + i, version, size))
  return { count, bytes: Buffer.concat(records) }
}

export function append(at: Index, count: number, version = 0, size = 24): LogWrite {
  return { tail: { at, run: run(at, count, version, size) } }
}

function records({ count, bytes }: Run): Uint8Array[] {
  const found: Uint8Array[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; at += view.getUint32(at, true))
    found.push(bytes.subarray(at, at + view.getUint32(at, true)))
  equal(found.length, count)
  return found
}

/** Index and version of every record of a range, read in parts of about `maxBytes`. */
export async function contents(log: LogStore, first: Index, last: Index, maxBytes = 4096): Promise<string[]> {
  const found: string[] = []
  for (let from = first; from <= last; ) {
    const part = records(await log.read(from, last, maxBytes))
    ok(part.length > 0)
    for (const bytes of part) {
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      equal(view.getFloat64(4, true), from++)
      found.push(`${view.getFloat64(4, true)}.${view.getUint32(12, true)}`)
    }
  }
  return found
}
