import { inspectWal, type WalFlush, walStorage } from '@raftkit/storage-wal'
import { append, contents } from '@raftkit/testing/records'
import { describe, expect, it, vi } from 'vitest'
import { History, live, random } from './history.ts'
import { diced, VirtualDisk } from './virtual-disk.ts'

vi.setConfig({ testTimeout: 120_000 })
const directory = '/n1'
const segmentBytes = 65_536

const logBytes = (disk: VirtualDisk): number =>
  disk.files().reduce((sum, { path, bytes }) => sum + (path.endsWith('.wal') ? bytes.length : 0), 0)

describe('space', () => {
  it('comes back: a group that compacts keeps the log small, and its files are written over', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes })
    const log = await storage.log('main')
    let most = 0
    for (let i = 1; i <= 400; i++) {
      await log.write({ ...append(i, 1, i, 8000), compactTo: Math.max(0, i - 5) })
      most = Math.max(most, logBytes(disk))
    }
    await storage.close()
    // 3.2 MB went through; in use, a segment or two, and four that wait to be written over.
    expect(most).toBeLessThan(8 * segmentBytes)
    const again = walStorage(directory, { disk, segmentBytes })
    const reopened = await again.log('main')
    // Spare files do not outlive their process.
    const needed = (await inspectWal(directory, { disk })).segments.map(({ role }) => role)
    expect(new Set(needed)).toEqual(new Set(['needed']))
    expect(reopened.found).toMatchObject({ first: 396, last: 400 })
    expect(await contents(reopened, 396, 400)).toEqual([396, 397, 398, 399, 400].map((i) => `${i}.${i}`))
    await again.close()
  })

  it('comes back although idle groups have records and states in every old segment', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes })
    const busy = await storage.log('busy')
    let at = 1
    const work = async (writes: number): Promise<void> => {
      for (let i = 0; i < writes; i++, at++)
        await busy.write({ ...append(at, 1, at, 6000), compactTo: Math.max(0, at - 3) })
    }
    for (let g = 0; g < 60; g++) {
      const idle = await storage.log(`idle-${g}`)
      await idle.write({ ...append(5, 0), tail: { ...append(5, 3, g, 700).tail!, reset: true } })
      if (g % 2 === 0) await idle.write({ state: Buffer.from(`state of ${g}`) })
      if (g % 3 === 0) await idle.write(append(6, 1, g + 1000, 900))
      await idle.close()
      await work(4)
    }
    let most = 0
    for (let i = 0; i < 20; i++) {
      await work(20)
      most = Math.max(most, logBytes(disk))
    }
    await storage.close()
    // About 130 KB are needed. As much again may lie idle, two segments besides, four spare ones, and the one that is being filled.
    expect(most).toBeLessThan(2 * 150_000 + 7 * segmentBytes)

    const flushes: WalFlush[] = []
    const report = await inspectWal(directory, { disk, flush: (flush) => flushes.push(flush) })
    expect(report.damage).toBeUndefined()
    expect(flushes.some(({ groups }) => groups.some(({ pieces }) => pieces.some(({ moved }) => moved)))).toBe(true)
    const again = walStorage(directory, { disk, segmentBytes })
    expect(await again.groups()).toHaveLength(61)
    for (let g = 0; g < 60; g++) {
      const log = await again.log(`idle-${g}`)
      const last = g % 3 === 0 ? 6 : 7
      expect(log.found, `group ${g}`).toMatchObject({ first: 5, last })
      expect(Buffer.from(log.found.state ?? []).toString()).toBe(g % 2 === 0 ? `state of ${g}` : '')
      const expected = g % 3 === 0 ? [`5.${g}`, `6.${g + 1000}`] : [`5.${g}`, `6.${g}`, `7.${g}`]
      expect(await contents(log, 5, last)).toEqual(expected)
    }
    await again.close()
  })

  it('comes back in steps that a power cut may end after any operation', async () => {
    const below = random(5)
    const disk = new VirtualDisk()
    const idle = Array.from({ length: 12 }, (_, g) => new History(`idle-${g}`))
    const busy = new History('busy')
    const all = [...idle, busy]
    const storage = walStorage(directory, { disk, segmentBytes })
    await live(storage, idle, below, 60, () => 3000)
    const log = await storage.log('busy')
    let looked = 0
    const moments: [VirtualDisk, History[]][] = []
    disk.changed = () => {
      if (below(6) === 0) moments.push([disk.clone(), all.map((history) => history.copy())])
    }
    for (let i = 0; i < 250; i++) {
      // All but the newest record goes again at once.
      const change = busy.next(below, 9000)
      const { first, ...moment } = busy.moments.at(-1)!
      const compactTo = Math.max(first, busy.last) - 1
      busy.moments.splice(-1, 1, { ...moment, first: compactTo + 1 })
      await log.write({ ...change, compactTo })
      busy.resolved++
    }
    disk.changed = () => {}
    await storage.close()
    for (const [then, histories] of moments) {
      const after = walStorage(directory, { disk: then.cut(diced(below)), segmentBytes })
      for (const history of histories) await history.check(after, `look ${++looked}`)
      await after.close()
    }
    let moved = 0
    await inspectWal(directory, {
      disk,
      flush: ({ groups }) => {
        for (const { pieces } of groups) for (const piece of pieces) if (piece.moved) moved++
      },
    })
    expect(moved).toBeGreaterThan(0)
    expect(moments.length).toBeGreaterThan(50)
  })

  it('is not pinned by records that were cut while their flush ran', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes })
    const [a, b] = await Promise.all([storage.log('a'), storage.log('b')])
    for (let i = 1; i <= 30; i++) {
      const pending = [a.write(append(1, 3, i, 3000)), b.write(append(i, 1, i, 3000))]
      // The frame has taken them by now, and is not durable.
      for (let turn = 0; turn < 7; turn++) await null
      pending.push(a.write({ ...append(1, 1, i, 30), ...(i % 2 === 0 && { compactTo: 1 }) }))
      if (i % 2 === 0) pending.push(a.write({ tail: { at: 1, run: append(1, 1, i, 30).tail!.run, reset: true } }))
      pending.push(b.write({ compactTo: i }))
      await Promise.all(pending)
    }
    await a.write(append(2, 1, 1, 30))
    await a.write({ compactTo: 2 })
    await storage.close()
    const { segments } = await inspectWal(directory, { disk })
    expect(segments.length).toBeGreaterThan(1)
    expect(segments.filter(({ role }) => role === 'needed').length).toBeLessThanOrEqual(2)
  })

  it('is taken by little beyond the records, at 256 bytes in big batches, and by half of it again while files grow', async () => {
    const disk = new VirtualDisk()
    let bytes = 0
    const storage = walStorage(directory, {
      disk: counting(disk, (length) => (bytes += length)),
      segmentBytes: 1_048_576,
    })
    const log = await storage.log('main')
    const perPayload = async (from: number): Promise<number> => {
      const before = bytes
      for (let i = from; i < from + 100; i++)
        await log.write({ ...append(1 + i * 128, 128, i, 256), compactTo: i * 128 })
      return (bytes - before) / (100 * 128 * 256)
    }
    expect(await perPayload(0)).toBeLessThan(1.6)
    expect(await perPayload(100)).toBeLessThan(1.05)
    await storage.close()
  })
})

/** Tells how many bytes are written. */
function counting(disk: VirtualDisk, told: (bytes: number) => void): VirtualDisk {
  const open = disk.open.bind(disk)
  disk.open = async (path, how) => {
    const file = await open(path, how)
    return {
      ...file,
      write: (parts, position) => {
        told(parts.reduce((sum, { length }) => sum + length, 0))
        return file.write(parts, position)
      },
    }
  }
  return disk
}
