import { tmpdir } from 'node:os'
import { crc32 } from 'node:zlib'
import { encodeRecords } from '@raftkit/bytes'
import { isRaftkitError } from '@raftkit/contract'
import { fileSnapshots } from '@raftkit/files'
import { inspectWal, walStorage } from '@raftkit/storage-wal'
import type { Field } from '../mutation/fields.ts'
import { MemoryDisk } from './disk.ts'
import { Disagreement, isEqual, setU32, type Target, u32At } from './target.ts'

/** One that is there, since tools look for it before they look into the disk; nothing is written to it. */
const folder = tmpdir()

/**
 * An input is a file of several: its number, then its bytes. In the number of a log's file: 16, 32 or 48, the file before it in its log is gone, cut
 * to half or without its header; 64, the bytes are the beginning alone, and what stood behind them stays; 128, the mark is gone as well.
 */
const file = (number: number, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(Buffer.concat([Uint8Array.of(number), bytes]))

const beginning = 64
const withoutMark = 128

interface LogFile {
  /** Which of the logs it belongs to. */
  readonly log: number
  readonly all: MemoryDisk['files']
  readonly path: string
  readonly bytes: Uint8Array
}

let written: Promise<readonly LogFile[]> | undefined

const logsOnce = (): Promise<readonly LogFile[]> => {
  written ??= writeLogs()
  return written
}

/** The files of a small log, and of one that has begun a second segment: by number, for an input to take the place of one. */
async function writeLogs(): Promise<readonly LogFile[]> {
  const logs = [await writeLog(40), await writeLog(12_000), await writeLog(30_000)]
  return logs.flatMap(({ files }, log) =>
    [...files]
      .filter(([path]) => /\.wal$|mark/.test(path))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([path, bytes]) => ({ log, all: files, path, bytes })),
  )
}

/** Three groups; records that were cut, moved and compacted; as the storage leaves it. */
async function writeLog(payloadBytes: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  const storage = walStorage(folder, { disk, segmentBytes: 65_536 })
  for (const name of ['main', 'b', 'gone']) {
    const log = await storage.log(name)
    for (let index = 1; index <= 8; index++) {
      const payload = new Uint8Array(name === 'main' && index > 2 ? payloadBytes : 5).fill(index)
      const bytes = encodeRecords([{ kind: 1, index, term: 1, time: 1, seed: 1, payload }], 1)
      await log.write({
        tail: { at: index, run: { count: 1, bytes } },
        state: Uint8Array.of(index, 2, 3),
        ...(index > 4 && { compactTo: 2 }),
      })
    }
    await log.write({ tail: { at: 8, run: { count: 0, bytes: new Uint8Array(0) } } })
    await log.close()
  }
  await storage.destroy('gone')
  await storage.close()
  return disk
}

/** Where the heads of frames begin. */
function* framesOf(bytes: Uint8Array, from: number): Generator<number> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = buffer.indexOf('RKF1', from); at >= 0; at = buffer.indexOf('RKF1', at + 4)) yield at
}

/** The log of all groups: segments with their frames and items, and the mark. */
export const wal: Target = {
  name: 'wal',
  weight: 6,
  parsers: {
    'packages/storage-wal/src/layout.ts': /^(decodeHeader|segmentNumber|numberAt)$/,
    'packages/storage-wal/src/scan.ts': /./,
    'packages/storage-wal/src/mark.ts': /^(read|decode)$/,
    'packages/storage-wal/src/recovery.ts': /^(filesOf|findExtent|lastOf|recover|item|piece|itemEnds)$/,
  },
  refusals: ['DAMAGED', 'MISSING', 'COMPACTED'],
  largest: 80_000,
  // It reads windows of 4 MiB where files are as large, and makes new segments of 64 KiB here.
  allowance: 16 << 20,
  heapAllowance: 16 << 20,
  seeds: async () =>
    (await logsOnce()).flatMap(({ bytes, log }, at) => [
      ...(log < 2 ? [file(at, bytes.length < 8192 ? bytes : bytes.subarray(0, lastUsed(bytes)))] : []),
      ...[0, 16, 32, 48].map((before) => file(at | beginning | before, bytes.subarray(0, 400))),
      file(at | beginning | withoutMark, bytes.subarray(0, 64)),
      // The file is gone, and with it the mark.
      file(at, new Uint8Array(0)),
      file(at | withoutMark, new Uint8Array(0)),
    ]),
  fields(bytes) {
    const fields: Field[] = [{ at: 0, size: 1, kind: 'number' }]
    const numbers = (at: number, sizes: readonly number[]): number => {
      for (const size of sizes) {
        if (at + size <= bytes.length) fields.push({ at, size, kind: size === 8 ? 'content' : 'number' })
        at += size
      }
      return at
    }
    numbers(1, [8, 4, 4, 8, 8, 8, 8, 8, 4, 4])
    for (const head of framesOf(bytes, 1)) {
      const end = Math.min(bytes.length, head + u32At(bytes, head + 32))
      fields.push({ at: head, size: end - head, kind: 'content' })
      let at = numbers(head, [4, 4, 8, 8, 8, 4, 4])
      while (at < end && at + 26 < bytes.length) {
        const item = at
        const withState = (bytes[at]! & 1) === 1
        const name = bytes[at + 1]!
        at = numbers(at, [1, 1, name, 8, 8])
        if (withState) at = numbers(at, [4, u32At(bytes, at)])
        const pieces = u32At(bytes, at) + u32At(bytes, at + 4)
        at = numbers(at, [4, 4])
        for (let i = 0; i < pieces && at < end; i++) at = numbers(at, [8, 4, 4, 4])
        fields.push({ at: item, size: Math.min(at, bytes.length) - item, kind: 'content' })
      }
    }
    return fields.filter(({ at, size }) => size > 0 && at + size <= bytes.length)
  },
  seal(bytes, random) {
    const seal = (at: number, from: number, to: number): void => {
      if (from <= to && to <= bytes.length) setU32(bytes, at, crc32(bytes.subarray(from, to)))
    }
    if (bytes[0] === undefined || bytes.length < 65) return bytes
    for (const at of [1, 4097]) if (bytes.length === 4097 + 16) seal(at, at + 4, at + 16)
    if (bytes.length === 4097 + 16) return bytes
    seal(61, 1, 61)
    const heads = [...framesOf(bytes, 65)]
    for (const [i, head] of heads.entries()) {
      const next = heads[i + 1] ?? bytes.length
      let headEnd = head + u32At(bytes, head + 32)
      // What was put in or taken out moves the end of the head, or of its body.
      const reaches = i + 1 === heads.length && (bytes[0] & beginning) !== 0
      if (!reaches && headEnd + u32At(bytes, head + 36) !== next && random.chance(0.7)) {
        if (headEnd > next || headEnd < head + 40) {
          headEnd = head + 40 + random.below(Math.max(1, next - head - 40))
          setU32(bytes, head + 32, headEnd - head)
        }
        setU32(bytes, head + 36, next - headEnd)
      }
      let body = headEnd
      for (const { crcAt, size } of piecesOf(bytes, head, headEnd)) {
        if (random.chance(0.9)) seal(crcAt, body, body + size)
        body += size
      }
      seal(head + 4, head + 8, headEnd)
    }
    return bytes
  },
  open: async () => {
    const files = await logsOnce()
    return {
      async take(input) {
        const number = input[0] ?? 0
        const { all, path, bytes, log } = files[(number & 15) % files.length]!
        const disk = new MemoryDisk()
        for (const [path, bytes] of all) disk.files.set(path, bytes)
        const before = files.find(
          (one, i) => one.log === log && files[i + 1]?.path === path && files[i + 1]?.log === log,
        )
        if (before && (number & 48) === 16) disk.files.delete(before.path)
        else if (before && (number & 48) === 32)
          disk.files.set(before.path, before.bytes.slice(0, before.bytes.length >> 1))
        else if (before && (number & 48) === 48) disk.files.set(before.path, before.bytes.slice().fill(0, 0, 64))
        if (number & withoutMark) for (const path of all.keys()) if (path.includes('mark')) disk.files.delete(path)
        const harmed = number & beginning ? bytes.slice() : new Uint8Array(bytes.length)
        harmed.set(input.subarray(1, 1 + harmed.length))
        if (input.length < 2) disk.files.delete(path)
        else disk.files.set(path, input.length % 2 === 0 || number & beginning ? harmed : input.slice(1))
        await inspectWal(folder, { disk }).catch((error: unknown) => {
          if (!isRaftkitError(error)) throw error
        })
        const first = await readLog(disk)
        const second = await readLog(disk)
        if (first !== second) throw new Disagreement(`read twice, the log is not the same: ${first}, then ${second}`)
      },
    }
  },
}

/** `headEnd` may lie far behind the bytes, and the pieces be as many as a number can say. */
function* piecesOf(bytes: Uint8Array, head: number, headEnd: number): Generator<{ crcAt: number; size: number }> {
  const end = Math.min(headEnd, bytes.length)
  for (let at = head + 40; at + 26 <= end; ) {
    const withState = (bytes[at]! & 1) === 1
    at += 2 + bytes[at + 1]! + 16
    if (withState) at += 4 + u32At(bytes, at)
    const pieces = u32At(bytes, at) + u32At(bytes, at + 4)
    at += 8
    for (let i = 0; i < pieces && at + 20 <= end; i++, at += 20) yield { crcAt: at + 16, size: u32At(bytes, at + 12) }
  }
}

const lastUsed = (bytes: Uint8Array): number => {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return Math.min(bytes.length, end + 64)
}

/** What all groups hold, in short; one that is damaged harms no other. */
async function readLog(disk: MemoryDisk): Promise<string> {
  const storage = walStorage(folder, { disk, segmentBytes: 65_536 })
  try {
    const told: string[] = []
    for (const name of await storage.groups()) {
      try {
        const log = await storage.log(name)
        const { first, last, state } = log.found
        let sum = state ? crc32(state) : 0
        for (let from = first; from <= last; ) {
          const run = await log.read(from, last, 1 << 20)
          sum = crc32(run.bytes, sum)
          from += Math.max(1, run.count)
        }
        await log.close()
        told.push(`${name} ${first} ${last} ${sum}`)
      } catch (error) {
        if (!isRaftkitError(error, 'DAMAGED')) throw error
        told.push(`${name} DAMAGED`)
      }
    }
    return told.join(', ')
  } finally {
    await storage.close()
  }
}

const name = '12-3-abcdef'
const block = 65_536

/** Snapshot files: complete ones, which are opened and read, and unfinished ones, which are gone on with. */
export const snapshots: Target = {
  name: 'snapshots',
  weight: 4,
  parsers: {
    'packages/files/src/blob.ts': /./,
    'packages/files/src/reader.ts': /./,
    'packages/files/src/writer.ts': /^(openWriter|resume|intactEnd)/,
  },
  refusals: ['DAMAGED'],
  largest: 3 * block,
  // Reads of 16 blocks.
  allowance: 17 * 65_540,
  seeds: async () => {
    const seeds: Uint8Array[] = []
    for (const size of [0, 10, block + 100]) {
      const disk = new MemoryDisk()
      const writer = await (await fileSnapshots(folder, { disk })).create(name)
      await writer.write(new Uint8Array(size).fill(7))
      const partial = [...disk.files].find(([path]) => path.endsWith('.partial'))
      if (partial) seeds.push(file(1, partial[1]))
      await writer.commit()
      seeds.push(file(0, disk.files.get(`${folder}/${name}.snapshot`)!))
    }
    return seeds
  },
  fields(bytes) {
    const fields: Field[] = [
      { at: 0, size: 1, kind: 'number' },
      { at: 1, size: 8, kind: 'content' },
    ]
    let at = 9
    for (; at + block + 4 + 20 < bytes.length; at += block + 4)
      fields.push({ at, size: block + 4, kind: 'content' }, { at: at + block, size: 4, kind: 'number' })
    const end = bytes.length - 20
    if (end > at) fields.push({ at, size: end - at, kind: 'content' })
    for (const [offset, size] of [
      [0, 8],
      [8, 8],
      [16, 4],
    ] as const)
      if (end > 9) fields.push({ at: end + offset, size, kind: 'number' })
    return fields
  },
  seal(bytes, random) {
    const seed = crc32(name)
    const end = (bytes[0] ?? 0) % 2 === 0 ? bytes.length - 20 : bytes.length
    let content = 0
    for (let at = 9, n = 0; at < end; at += block + 4, n++) {
      const to = Math.min(at + block, end - 4)
      if (to <= at) break
      const place = Buffer.alloc(8)
      place.writeUInt32LE(n, 0)
      place.writeUInt32LE(to - at, 4)
      setU32(bytes, to, crc32(bytes.subarray(at, to), crc32(place, seed)))
      content += to - at
    }
    if (end === bytes.length || end < 9) return bytes
    if (random.chance(0.8)) {
      bytes.set(Buffer.from('RKSNAPND'), end)
      setU32(bytes, end + 8, content)
      setU32(bytes, end + 12, 0)
    }
    setU32(bytes, end + 16, crc32(bytes.subarray(end, end + 16), seed))
    return bytes
  },
  open: async () => ({
    async take(input) {
      const disk = new MemoryDisk()
      const complete = (input[0] ?? 0) % 2 === 0
      disk.files.set(`${folder}/${name}${complete ? '.snapshot' : '.partial'}`, input.slice(1))
      const store = await fileSnapshots(folder, { disk })
      try {
        if (!complete) {
          const writer = await store.create(name)
          const held = writer.bytes
          await writer.write(Uint8Array.of(1, 2, 3))
          await writer.commit()
          const bytes = await readAll(store)
          if (bytes.length !== held + 3)
            throw new Disagreement(`of ${held} bytes and 3 more, ${bytes.length} are there`)
          return
        }
        const bytes = await readAll(store)
        const other = await fileSnapshots('/other', { disk })
        const writer = await other.create(name)
        await writer.write(bytes)
        await writer.commit()
        if (!isEqual(disk.files.get(`/other/${name}.snapshot`)!, input.subarray(1)))
          throw new Disagreement('what was read, written again, is another file')
      } finally {
        await store.close()
      }
    },
  }),
}

async function readAll(store: Awaited<ReturnType<typeof fileSnapshots>>): Promise<Uint8Array> {
  const reader = await store.open(name)
  try {
    const parts: Uint8Array[] = []
    for (let at = 0; at < reader.bytes; ) {
      const part = await reader.read(at, 100_000)
      if (part.length === 0) throw new Disagreement(`nothing at ${at} of ${reader.bytes}`)
      parts.push(part)
      at += part.length
    }
    return Buffer.concat(parts)
  } finally {
    await reader.close()
  }
}
