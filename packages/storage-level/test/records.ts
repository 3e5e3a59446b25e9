import type { Index, LogWrite, Run } from '@raftkit/contract'

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
