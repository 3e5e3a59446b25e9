import type { Command, StateMachine } from '@raftkit/contract'
import { defineMachine } from 'raftkit'
import { keyBytes } from '../wire/keys.ts'

const nothing = new Uint8Array(0)
const chunkBytes = 256 * 1024

/** A map of keys to values, as small as a state machine of one's own can be: eight bytes of key, then the value, both text. */
export class KeyValues implements StateMachine {
  readonly version = 1
  #values = new Map<string, string>()
  puts = 0

  apply(batch: readonly Command[]): readonly Uint8Array[] {
    for (const { data } of batch) {
      // A string is a copy: the entry itself is a small part of what came from the wire or the disk.
      const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString('latin1')
      this.#values.set(text.slice(0, keyBytes), text.slice(keyBytes))
    }
    this.puts += batch.length
    return batch.map(() => nothing)
  }

  query(key: unknown): unknown {
    return this.#values.get(key as string)
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return chunks(new Map(this.#values), this.puts)
  }

  async restore(from: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = []
    for await (const chunk of from) parts.push(chunk)
    const bytes = Buffer.concat(parts)
    this.puts = bytes.readDoubleLE(0)
    this.#values = new Map()
    for (let at = 8; at < bytes.length; ) {
      const start = at + 4 + keyBytes
      const end = start + bytes.readUInt32LE(at)
      this.#values.set(bytes.toString('latin1', at + 4, start), bytes.toString('latin1', start, end))
      at = end
    }
  }
}

async function* chunks(values: ReadonlyMap<string, string>, puts: number): AsyncIterable<Uint8Array> {
  let chunk = Buffer.alloc(chunkBytes)
  let at = chunk.writeDoubleLE(puts)
  for (const [key, value] of values) {
    const length = 4 + keyBytes + value.length
    if (at + length > chunk.length) {
      yield chunk.subarray(0, at)
      chunk = Buffer.alloc(Math.max(chunkBytes, length))
      at = 0
    }
    at = chunk.writeUInt32LE(value.length, at)
    at += chunk.write(key + value, at, 'latin1')
  }
  yield chunk.subarray(0, at)
}

/** The same, defined: sessions, exactly once, values of any shape. */
export const keyValues = defineMachine({
  initial: () => ({ values: new Map<string, Uint8Array>(), puts: 0 }),
  commands: {
    put: (state, { key, value }: { key: string; value: Uint8Array }) => {
      state.values.set(key, value)
      state.puts++
    },
  },
  queries: {
    get: (state, key: string) => state.values.get(key) ?? null,
    puts: (state) => state.puts,
  },
})
