import assert from 'node:assert/strict'
import type { SnapshotReader, SnapshotStore } from '@raftkit/contract'
import { random } from '../check.ts'

/** Bytes that differ everywhere, so that a block in the wrong place shows. */
export function bytesOf(length: number, seed = 1): Uint8Array {
  const below = random(seed)
  return new Uint8Array(length).map(() => below(256))
}

/** All of it, in parts of at most `maxBytes`, each checked against what the port says of a read. */
export async function readAll(reader: SnapshotReader, maxBytes = 50_000): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let at = 0; at < reader.bytes; ) {
    const part = await reader.read(at, maxBytes)
    assert.ok(part.length > 0, `a read at ${at} of ${reader.bytes} is empty`)
    assert.ok(part.length <= maxBytes, `a read of ${maxBytes} bytes gave ${part.length}`)
    parts.push(part)
    at += part.length
  }
  assert.equal((await reader.read(reader.bytes, maxBytes)).length, 0, 'a read at the end is empty')
  return Buffer.concat(parts)
}

export async function keep(store: SnapshotStore, name: string, bytes: Uint8Array, chunkBytes = 10_000): Promise<void> {
  const writer = await store.create(name)
  for (let at = 0; at < bytes.length; at += chunkBytes) await writer.write(bytes.slice(at, at + chunkBytes))
  await writer.commit()
}
