import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileSnapshots } from '@raftkit/files'
import { inspectWal, type WalFlush, walStorage } from '@raftkit/storage-wal'
import { append, contents } from '@raftkit/testing/records'
import { describe, expect, it, vi } from 'vitest'
import { nothing, VirtualDisk } from './virtual-disk.ts'

vi.setConfig({ testTimeout: 120_000 })
const directory = '/n1'

async function flushesOf(disk: VirtualDisk): Promise<WalFlush[]> {
  const flushes: WalFlush[] = []
  const report = await inspectWal(directory, { disk, flush: (flush) => flushes.push(flush) })
  expect(report).toMatchObject({ damage: undefined, flushes: flushes.length })
  return flushes
}

describe('a flush', () => {
  it('takes all that waits, of a thousand groups', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'raftkit-wal-'))
    const storage = walStorage(folder)
    const logs = await Promise.all(Array.from({ length: 1000 }, (_, g) => storage.log(`g${g}`)))
    for (let i = 1; i <= 5; i++)
      await Promise.all(logs.map((log, g) => log.write({ ...append(i, 1, g), state: Buffer.from(`${g}`) })))
    await storage.close()
    const flushes: WalFlush[] = []
    await inspectWal(folder, { flush: (flush) => flushes.push(flush) })
    expect(flushes.map(({ groups }) => groups.length)).toEqual([1000, 1000, 1000, 1000, 1000])
    const again = walStorage(folder)
    for (const g of [0, 499, 999]) {
      const log = await again.log(`g${g}`)
      expect(log.found).toMatchObject({ first: 1, last: 5 })
      expect(await contents(log, 1, 5)).toEqual([1, 2, 3, 4, 5].map((i) => `${i}.${g}`))
    }
    await again.close()
    await rm(folder, { recursive: true })
  })

  it('takes what came while the one before ran, and small runs that follow each other as one piece', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk })
    const log = await storage.log('main')
    const order: number[] = []
    const writes = Array.from({ length: 100 }, (_, i) => log.write(append(i + 1, 1, i)).then(() => order.push(i)))
    // Issued while the first flush runs.
    await log.read(1, 100, 1e6)
    const more = Array.from({ length: 50 }, (_, i) => log.write(append(101 + i, 1, i)).then(() => order.push(100 + i)))
    await Promise.all([...writes, ...more])
    expect(order).toEqual(Array.from({ length: 150 }, (_, i) => i))
    await storage.close()
    const flushes = await flushesOf(disk)
    expect(flushes.length).toBeLessThanOrEqual(2)
    expect(flushes.flatMap(({ groups }) => groups.flatMap(({ pieces }) => pieces)).length).toBe(flushes.length)
  })

  it('that fails is the last: nothing more resolves or is written, and what had resolved is found', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk })
    const [log, other] = await Promise.all([storage.log('main'), storage.log('other')])
    await log.write(append(1, 3, 1))
    disk.failing = true
    const outcomes = await Promise.allSettled([
      log.write(append(4, 1)),
      other.write(append(1, 1)),
      log.write(append(5, 1)),
    ])
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'STORAGE_FAILED', retryable: false } })
    let changes = 0
    disk.changed = () => changes++
    await expect(log.write(append(6, 1))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await expect(other.write(append(1, 1))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await expect(storage.log('third')).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    expect(changes).toBe(0)
    await storage.close()
    const again = walStorage(directory, { disk })
    expect((await again.log('main')).found.last).toBeGreaterThanOrEqual(3)
    await again.close()
  })

  it('whose success nobody heard of is written once more at the next start', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk })
    const log = await storage.log('main')
    await log.write(append(1, 3, 1))
    disk.failing = true
    await expect(log.write(append(4, 1, 4))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await storage.close()
    const again = walStorage(directory, { disk })
    // The bytes were there for the process to see, and not on the disk.
    expect((await again.log('main')).found.last).toBe(4)
    const after = walStorage(directory, { disk: disk.clone().cut({ name: () => false, sector: () => false }) })
    expect((await after.log('main')).found.last).toBe(4)
    await after.close()
    await again.close()
  })

  it('that fails when a log is opened calls nothing damaged (simulator, seed 3003 of 12,000 events with --storage wal)', async () => {
    const disk = new VirtualDisk()
    for (const last of [0, 1]) {
      const storage = walStorage(directory, { disk })
      disk.failing = true
      await expect(storage.log('main')).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      await storage.close()
      const again = walStorage(directory, { disk })
      const log = await again.log('main')
      expect(log.found.last).toBe(last)
      await log.write(append(last + 1, 1))
      await again.close()
    }
  })
})

describe('a full disk', () => {
  it('keeps writes pending, serves reads, and goes on once there is room', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes: 65_536 })
    const log = await storage.log('main')
    disk.capacity = 200_000
    let resolved = 0
    const writes = Array.from({ length: 60 }, (_, i) => log.write(append(i + 1, 1, i, 7000)).then(() => resolved++))
    const settled = Promise.all(writes)
    for (let turn = 0; turn < 200; turn++) await new Promise((next) => setImmediate(next))
    expect(resolved).toBeLessThan(60)
    expect((await log.read(1, 60, 1e9)).count).toBe(60)
    disk.capacity = 1_000_000
    const waking = setInterval(() => disk.wake(), 5)
    await settled
    clearInterval(waking)
    await storage.close()
    const again = walStorage(directory, { disk, segmentBytes: 65_536 })
    const found = await again.log('main')
    expect(await contents(found, 1, 60, 20_000)).toEqual(Array.from({ length: 60 }, (_, i) => `${i + 1}.${i}`))
    await again.close()
  })

  it('does not hold up close: what waits for room is rejected', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes: 65_536 })
    const log = await storage.log('main')
    await log.write(append(1, 2, 1, 7000))
    disk.capacity = 20_000
    const write = log.write(append(3, 20, 1, 7000))
    const outcome = expect(write).rejects.toMatchObject({ code: 'STORAGE_FAILED', retryable: true })
    for (let turn = 0; turn < 50; turn++) await new Promise((next) => setImmediate(next))
    await storage.close()
    await outcome
    disk.capacity = 1_000_000
    const again = walStorage(directory, { disk, segmentBytes: 65_536 })
    expect((await again.log('main')).found.last).toBe(2)
    await again.close()
  })

  it('gives up spare files first', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes: 65_536 })
    const log = await storage.log('main')
    for (let i = 1; i <= 40; i++) await log.write(append(i, 1, i, 8000))
    await log.write({ compactTo: 40 })
    await log.write(append(41, 1, 41, 8000))
    const spares = disk.files().length
    expect(spares).toBeGreaterThan(4)
    disk.capacity = disk.files().reduce((sum, { bytes }) => sum + bytes.length, 0)
    await log.write(append(42, 20, 42, 9000))
    expect(disk.files().length).toBeLessThan(spares)
    await storage.close()
  })
})

describe('a snapshot', () => {
  it('whose flush failed is written once more by whoever goes on with it (simulator, seed 491 of 20,000 events)', async () => {
    const disk = new VirtualDisk()
    const bytes = new Uint8Array(200_000).map((_, i) => i % 251)
    const store = await fileSnapshots(directory, { disk })
    const writer = await store.create('a')
    await writer.write(bytes)
    disk.failing = true
    await expect(writer.commit()).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await store.close()
    const again = await fileSnapshots(directory, { disk })
    const next = await again.create('a')
    expect(next.bytes).toBe(3 * 65_536)
    await next.write(bytes.subarray(next.bytes))
    await next.commit()
    await again.close()
    const after = await fileSnapshots(directory, { disk: disk.clone().cut(nothing) })
    const reader = await after.open('a')
    expect(Buffer.compare(await reader.read(0, bytes.length), bytes)).toBe(0)
    await after.close()
  })
})
