import { closeSync, fdatasync, fdatasyncSync, openSync, rmSync, write, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Run } from '@raftkit/contract'
import { ClassicLevel } from 'classic-level'
import { type Adapter, adapters } from './adapters.ts'
import { runOf } from './run.ts'

/** Whatever makes a run durable. `write` is called again once the last one is durable. */
export interface Writer {
  write(run: Run): unknown
  /** Makes it one that has been in use: what was written first has been compacted, and its space can be used again. */
  wearIn?(): Promise<void>
  close(): Promise<void>
}

/** Bytes of log that stay when what is older is let go of, and how often: as under snapshots. */
const keptBytes = 16 * 1_048_576
const segmentBytes = 32 * 1_048_576

async function storageWriter(adapter: Adapter, directory: string): Promise<Writer> {
  const storage = adapters[adapter](directory)
  const log = await storage.log('main')
  let next = 1
  let sinceCompaction = 0
  const writer: Writer = {
    async wearIn() {
      const run = runOf(1024)
      for (let bytes = 0; bytes < 2 * (segmentBytes + keptBytes); bytes += run.bytes.length) await writer.write(run)
    },
    write(run) {
      const tail = { at: next, run }
      next += run.count
      sinceCompaction += run.bytes.length
      if (sinceCompaction < segmentBytes + keptBytes) return log.write({ tail })
      sinceCompaction = keptBytes
      const kept = Math.ceil((keptBytes / run.bytes.length) * run.count)
      return log.write({ tail, compactTo: Math.max(0, next - 1 - kept) })
    },
    async close() {
      await log.close()
      await storage.close()
    },
  }
  return writer
}

/** Files of 32 MiB one after the other; the one before the last is removed. */
function rawWriter(directory: string): Writer {
  let number = 0
  let fd = -1
  let bytes = segmentBytes
  return {
    write(run) {
      if (bytes >= segmentBytes) {
        if (fd >= 0) closeSync(fd)
        if (number >= 2) rmSync(join(directory, `${number - 2}`))
        fd = openSync(join(directory, `${number++}`), 'wx')
        bytes = 0
      }
      bytes += writeSync(fd, run.bytes)
      fdatasyncSync(fd)
    },
    async close() {
      closeSync(fd)
    },
  }
}

/** One file filled with zeros beforehand, written over from its start to its end, again and again. */
function overwriter(directory: string): { fd: number; place: (bytes: number) => number } {
  const fd = openSync(join(directory, 'zeros'), 'w+')
  const zeros = Buffer.alloc(1_048_576)
  for (let at = 0; at < segmentBytes; at += zeros.length) writeSync(fd, zeros, 0, zeros.length, at)
  fdatasyncSync(fd)
  let next = 0
  const place = (bytes: number) => {
    const at = next + bytes > segmentBytes ? 0 : next
    next = at + bytes
    return at
  }
  return { fd, place }
}

function rawOverwriter(directory: string): Writer {
  const { fd, place } = overwriter(directory)
  return {
    write({ bytes }) {
      writeSync(fd, bytes, 0, bytes.length, place(bytes.length))
      fdatasyncSync(fd)
    },
    async close() {
      closeSync(fd)
    },
  }
}

/** The same through libuv's thread pool: what a program pays that must not block its event loop. */
function rawCallbacks(directory: string): Writer {
  const { fd, place } = overwriter(directory)
  const writes = promisify(write)
  const flushes = promisify(fdatasync)
  return {
    async write({ bytes }) {
      await writes(fd, bytes, 0, bytes.length, place(bytes.length))
      await flushes(fd)
    },
    async close() {
      closeSync(fd)
    },
  }
}

/** A key for each record, one synced batch for each run. */
async function rawLevel(directory: string): Promise<Writer> {
  const level = new ClassicLevel<Uint8Array, Uint8Array>(directory, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
  })
  await level.open()
  let next = 1
  return {
    write({ count, bytes }) {
      const size = bytes.length / count
      const operations = Array.from({ length: count }, (_, i) => {
        const key = Buffer.allocUnsafe(8)
        key.writeBigUInt64BE(BigInt(next + i))
        return { type: 'put' as const, key, value: bytes.subarray(i * size, (i + 1) * size) }
      })
      next += count
      return level.batch(operations, { sync: true })
    },
    close: () => level.close(),
  }
}

const raw = {
  'write + fdatasync': rawWriter,
  'write + fdatasync, over zeros': rawOverwriter,
  'write + fdatasync, over zeros, callbacks': rawCallbacks,
  'classic-level, synced batch': rawLevel,
} satisfies Record<string, (directory: string) => Writer | Promise<Writer>>

/** `new log`: its files grow while it is measured, as in a server's first seconds. */
export type Kind = keyof typeof raw | `storage-${Adapter}` | 'storage-wal, new log'

export const rawKinds: readonly Kind[] = Object.keys(raw) as Kind[]
export const adapterKinds: readonly Kind[] = (Object.keys(adapters) as Adapter[]).map((name): Kind => `storage-${name}`)

export async function openWriter(kind: Kind, directory: string): Promise<Writer> {
  if (kind in raw) return raw[kind as keyof typeof raw](directory)
  if (kind === 'storage-wal, new log') return { ...(await storageWriter('wal', directory)), wearIn: async () => {} }
  return storageWriter(kind.replace('storage-', '') as Adapter, directory)
}
