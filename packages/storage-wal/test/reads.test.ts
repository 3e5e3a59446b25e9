import { walStorage } from '@raftkit/storage-wal'
import { append, contents } from '@raftkit/testing/records'
import { describe, expect, it, vi } from 'vitest'
import { VirtualDisk } from './virtual-disk.ts'

vi.setConfig({ testTimeout: 120_000 })
const directory = '/n1'
const segmentBytes = 65_536

/** Reads of the log take so long that whatever is written meanwhile overtakes them. */
function slowReads(disk: VirtualDisk): { go(): void; waiting(): number } {
  const waiting: (() => void)[] = []
  const open = disk.open.bind(disk)
  disk.open = async (path, how) => {
    const file = await open(path, how)
    if (!path.endsWith('.wal')) return file
    return {
      ...file,
      read: async (into, position) => {
        await new Promise<void>((resolve) => waiting.push(resolve))
        return file.read(into, position)
      },
    }
  }
  return {
    go: () => {
      for (const resolve of waiting.splice(0)) resolve()
    },
    waiting: () => waiting.length,
  }
}

describe('a read', () => {
  it('is not harmed by a compaction that lets its segments go, nor by what is written over them', async () => {
    const disk = new VirtualDisk()
    const reads = slowReads(disk)
    const storage = walStorage(directory, { disk, segmentBytes })
    const log = await storage.log('main')
    for (let i = 1; i <= 40; i++) await log.write(append(i, 1, i, 8000))
    const early = contents(log, 3, 3)
    const late = contents(log, 30, 34, 8_000_000)
    while (reads.waiting() < 2) await new Promise((next) => setImmediate(next))
    await log.write({ compactTo: 40 })
    for (let i = 41; i <= 140; i++) await log.write({ ...append(i, 1, i, 8000), compactTo: i - 2 })
    const going = setInterval(() => reads.go(), 1)
    expect(await early).toEqual(['3.3'])
    expect(await late).toEqual(['30.30', '31.31', '32.32', '33.33', '34.34'])
    await expect(log.read(3, 3, 1)).rejects.toMatchObject({ code: 'COMPACTED' })
    expect(await contents(log, 139, 140)).toEqual(['139.139', '140.140'])
    clearInterval(going)
    await storage.close()
  })

  it('sees what was issued, across what is durable and what is not', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes })
    const log = await storage.log('main')
    await log.write(append(1, 30, 1, 3000))
    const writes = [
      log.write(append(20, 3, 2, 3000)),
      log.write(append(22, 20, 3, 5000)),
      log.write({ ...append(30, 1, 4), compactTo: 5 }),
    ]
    const expected = Array.from({ length: 25 }, (_, i) => i + 6).map(
      (i) => `${i}.${i < 20 ? 1 : i < 22 ? 2 : i < 30 ? 3 : 4}`,
    )
    for (const bytes of [1, 4000, 100_000]) expect(await contents(log, 6, 30, bytes)).toEqual(expected)
    await Promise.all(writes)
    for (const bytes of [1, 4000, 100_000]) expect(await contents(log, 6, 30, bytes)).toEqual(expected)
    await storage.close()
    const again = walStorage(directory, { disk, segmentBytes })
    expect(await contents(await again.log('main'), 6, 30, 9000)).toEqual(expected)
    await again.close()
  })

  it('of records that were altered at rest is DAMAGED, not wrong', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes })
    const log = await storage.log('main')
    for (let i = 1; i <= 3; i++) await log.write(append(i, 1, i, 100))
    const { path, bytes } = disk.files().find(({ path }) => path.endsWith('.wal'))!
    // In the padding of the second record: nothing but a checksum can tell.
    bytes[bytes.lastIndexOf(76) - 5]! ^= 1
    expect(path).toContain('.wal')
    await expect(log.read(2, 2, 1)).rejects.toMatchObject({ code: 'DAMAGED' })
    expect(await contents(log, 3, 3)).toEqual(['3.3'])
    await storage.close()
  })
})
