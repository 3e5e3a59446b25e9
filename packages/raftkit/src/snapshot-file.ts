import { crc32, Reader, Writer } from '@raftkit/bytes'
import { type Index, RaftkitError, type SnapshotStore, type Term } from '@raftkit/contract'

/*
 * What stands in a snapshot blob: format, index and term of the last entry it holds, what the machine gave, and a checksum of all of it. Equal machines
 * make equal blobs. An adapter may hand back what was never written, or another blob: that must neither be restored nor spread to peers.
 */
const format = 1
const headBytes = 1 + 8 + 8
const checksumBytes = 4
const readBytes = 256 * 1024

/** Names are unique among all that ever write snapshots of a group (`identity`), and say what the blob must hold. */
export const snapshotName = (index: Index, term: Term, identity: string): string => `${index}-${term}-${identity}`

export async function* sealed(
  index: Index,
  term: Term,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const head = new Writer(headBytes).u8(format).u64(index).u64(term).finish()
  let sum = crc32(head)
  yield head
  for await (const chunk of chunks) {
    sum = crc32(chunk, sum)
    yield chunk
  }
  yield new Writer(checksumBytes).u32(sum).finish()
}

/** What the machine gave. Throws `DAMAGED` before the end if the blob is not what was written under this name; `UNKNOWN_FORMAT`. */
export async function* unsealed(name: string, store: SnapshotStore): AsyncGenerator<Uint8Array, void> {
  const damaged = (why: string): RaftkitError =>
    new RaftkitError('DAMAGED', `snapshot ${name} ${why}; wipe the storage of this node and add it again`)
  const reader = await store.open(name)
  try {
    const end = reader.bytes - checksumBytes
    if (end < headBytes) throw damaged(`has ${reader.bytes} bytes`)
    const read = async (from: number, to: number): Promise<Uint8Array> => {
      const chunk = await reader.read(from, Math.min(readBytes, to - from))
      if (chunk.length === 0) throw damaged(`ends at ${from} of ${reader.bytes} bytes`)
      return chunk.length > to - from ? chunk.subarray(0, to - from) : chunk
    }
    const whole = async (from: number, length: number): Promise<Uint8Array> => {
      const bytes = new Uint8Array(length)
      for (let got = 0; got < length; ) {
        const chunk = await read(from + got, from + length)
        bytes.set(chunk, got)
        got += chunk.length
      }
      return bytes
    }
    const head = await whole(0, headBytes)
    if (head[0] !== format)
      throw new RaftkitError('UNKNOWN_FORMAT', `snapshot ${name} has format ${head[0]}; run a version that reads it`)
    const fields = new Reader(head, 1)
    // Bytes that were not written by us may hold any number.
    if (!name.startsWith(snapshotName(number(fields), number(fields), ''))) throw damaged('holds another one')
    let sum = crc32(head)
    for (let at = headBytes; at < end; ) {
      const chunk = await read(at, end)
      sum = crc32(chunk, sum)
      at += chunk.length
      yield chunk
    }
    if (new Reader(await whole(end, checksumBytes)).u32() !== sum) throw damaged('is not what was written')
  } finally {
    await reader.close()
  }
}

function number(fields: Reader): number {
  try {
    return fields.u64()
  } catch {
    return -1
  }
}

/** Reads it all. Rejects as `unsealed` throws. */
export async function check(name: string, store: SnapshotStore): Promise<void> {
  for await (const _ of unsealed(name, store));
}
