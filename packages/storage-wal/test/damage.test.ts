import { crc32 } from 'node:zlib'
import type { LogStore } from '@raftkit/contract'
import { inspectWal, walStorage } from '@raftkit/storage-wal'
import { append, contents } from '@raftkit/testing/records'
import { describe, expect, it, vi } from 'vitest'
import { VirtualDisk } from './virtual-disk.ts'

// What was durable and is missing, altered or old is found, wherever it stands.

vi.setConfig({ testTimeout: 120_000 })
const directory = '/n1'
const segmentBytes = 65_536
const groups = ['a', 'b']

/** Two groups with cuts, a compaction, states; the last flush is of group b alone. Returns what each holds. */
async function written(disk: VirtualDisk, { close = true } = {}): Promise<Map<string, string>> {
  const storage = walStorage(directory, { disk, segmentBytes })
  const [a, b] = (await Promise.all(groups.map((group) => storage.log(group)))) as [LogStore, LogStore]
  for (let i = 1; i <= 6; i++)
    await Promise.all([
      a.write({ ...append(i, 1, i, 40), state: Buffer.from(`a ${i}`) }),
      b.write({ ...append(2 * i - 1, 2, i, 30), ...(i === 4 && { compactTo: 3 }) }),
    ])
  await a.write(append(4, 1, 99, 40))
  await b.write({ state: Buffer.from('last of b') })
  await b.write(append(13, 1, 7, 30))
  if (close) await storage.close()
  return new Map([
    ['a', '1 to 4, a 6: 1.1 2.2 3.3 4.99'],
    ['b', '4 to 13, last of b: 4.2 5.3 6.3 7.4 8.4 9.5 10.5 11.6 12.6 13.7'],
  ])
}

async function held(log: LogStore): Promise<string> {
  const { first, last, state } = log.found
  return `${first} to ${last}, ${Buffer.from(state ?? []).toString()}: ${(await contents(log, first, last)).join(' ')}`
}

/** Per group what it holds, or the code that opening it rejects with. */
async function opened(disk: VirtualDisk): Promise<Map<string, string>> {
  const storage = walStorage(directory, { disk, segmentBytes })
  const found = new Map<string, string>()
  for (const group of groups)
    found.set(group, await storage.log(group).then(held, (error: { code: string }) => error.code))
  await storage.close()
  return found
}

const logOf = (disk: VirtualDisk): { path: string; bytes: Uint8Array } => {
  const [file, ...more] = disk.files().filter(({ path }) => path.endsWith('.wal'))
  expect(more).toEqual([])
  return file!
}

describe('damage', () => {
  it('that has its checksum, and names a group by what is no name, is found', async () => {
    const disk = new VirtualDisk()
    await written(disk)
    const { path, bytes } = logOf(disk)
    const log = Buffer.from(bytes)
    const frame = log.lastIndexOf('RKF1')
    log.write('/', frame + 42)
    const head = log.subarray(frame, frame + log.readUInt32LE(frame + 32))
    head.writeUInt32LE(crc32(head.subarray(8)), 4)
    disk.harm(path, log)
    const storage = walStorage(directory, { disk, segmentBytes })
    await expect(storage.groups()).rejects.toMatchObject({ code: 'DAMAGED' })
    await storage.close()
  })

  it('that has its checksums, where records are none, is found when they are read', async () => {
    const disk = new VirtualDisk()
    await written(disk)
    const { path, bytes } = logOf(disk)
    const log = Buffer.from(bytes)
    const frame = log.lastIndexOf('RKF1')
    const head = log.subarray(frame, frame + log.readUInt32LE(frame + 32))
    const body = log.subarray(frame + head.length, frame + head.length + log.readUInt32LE(frame + 36))
    body.writeUInt32LE(0xffff_ffff, 0)
    head.writeUInt32LE(crc32(body), head.length - 4)
    head.writeUInt32LE(crc32(head.subarray(8)), 4)
    disk.harm(path, log)
    const storage = walStorage(directory, { disk, segmentBytes })
    const b = await storage.log('b')
    await expect(b.read(13, 13, 100)).rejects.toMatchObject({ code: 'DAMAGED' })
    await storage.close()
  })

  it.each([0n, 63n, 2n ** 40n, 2n ** 64n - 1n])(
    'is a header that has its checksum, and says that the file before ended at %s',
    async (end) => {
      const disk = new VirtualDisk()
      const storage = walStorage(directory, { disk, segmentBytes })
      const log = await storage.log('a')
      for (let i = 1; i <= 8; i++) await log.write(append(i, 1, i, 12_000))
      await storage.close()
      const [first, second] = disk
        .files()
        .filter(({ path }) => path.endsWith('.wal'))
        .sort((one, other) => (one.path < other.path ? -1 : 1))
      expect(first).toBeDefined()
      const bytes = Buffer.from(second!.bytes)
      bytes.writeBigUInt64LE(end, 40)
      bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60)
      disk.harm(second!.path, bytes)
      expect([...(await opened(disk)).values()]).toEqual(['DAMAGED', 'DAMAGED'])
    },
  )

  it('at every single byte of the log and the mark is found, or harms nobody', async () => {
    const disk = new VirtualDisk()
    const whole = await written(disk)
    expect(await opened(disk.clone())).toEqual(whole)
    const verdicts = new Map<string, number>()
    for (const { path, bytes } of disk.files()) {
      // Behind the flushes there are zeros: a few of them stand for all.
      const used = path.endsWith('.wal') ? bytes.findLastIndex((byte) => byte !== 0) + 40 : bytes.length
      for (let at = 0; at < used; at++) {
        // Between the two slots of the mark there is nothing.
        if (path.endsWith('mark') && at === 16) at = 4096
        const altered = Uint8Array.from(bytes)
        altered[at]! ^= 1 << (at % 8)
        const harmed = disk.clone()
        harmed.harm(path, altered)
        const found = await opened(harmed)
        for (const [group, says] of found)
          expect([whole.get(group), 'DAMAGED'], `${path} at ${at}, group ${group}`).toContain(says)
        const verdict = [...found.values()].map((says) => (says === 'DAMAGED' ? says : 'whole')).join()
        verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
      }
    }
    // In a head it is not known whom it harms; in the records it is. D13: others are served.
    expect(verdicts.get('DAMAGED,DAMAGED')).toBeGreaterThan(500)
    expect(verdicts.get('DAMAGED,whole')).toBeGreaterThan(50)
    expect(verdicts.get('whole,DAMAGED')).toBeGreaterThan(100)
  })

  it('is a log that was cut, wherever', async () => {
    const disk = new VirtualDisk()
    const whole = await written(disk)
    const { path, bytes } = logOf(disk)
    const end = bytes.findLastIndex((byte) => byte !== 0) + 1
    for (let size = 0; size < bytes.length; size += size < end + 20 ? 1 : 1000) {
      const harmed = disk.clone()
      harmed.harm(path, bytes.slice(0, size))
      const found = await opened(harmed)
      if (size >= end) expect(found, `cut to ${size}`).toEqual(whole)
      else expect([...found.values()], `cut to ${size} of ${end}`).toEqual(['DAMAGED', 'DAMAGED'])
    }
  })

  it('takes at most the last flush, as the work of a crash, from a log whose mark is behind', async () => {
    const disk = new VirtualDisk()
    const whole = await written(disk, { close: false })
    const crashed = disk.clone()
    const { path, bytes } = logOf(crashed)
    const end = bytes.findLastIndex((byte) => byte !== 0) + 1
    let shorter = 0
    for (let at = 0; at < end; at++) {
      const altered = Uint8Array.from(bytes)
      altered[at]! ^= 1 << (at % 8)
      const harmed = crashed.clone()
      harmed.harm(path, altered)
      const found = await opened(harmed)
      expect([whole.get('a'), 'DAMAGED'], `byte ${at}`).toContain(found.get('a'))
      const b = found.get('b')
      if (b === '4 to 12, last of b: 4.2 5.3 6.3 7.4 8.4 9.5 10.5 11.6 12.6') shorter++
      else expect([whole.get('b'), 'DAMAGED'], `byte ${at}`).toContain(b)
    }
    // As long as the last flush: a head, an item of one piece, a record.
    expect(shorter).toBe(40 + 27 + 20 + 30)
  })

  it('is a file of the log, or the mark, that is gone, and one of another member', async () => {
    const disk = new VirtualDisk()
    const storage = walStorage(directory, { disk, segmentBytes })
    const log = await storage.log('a')
    for (let i = 1; i <= 40; i++) await log.write(append(i, 1, i, 8000))
    await storage.close()
    const other = new VirtualDisk()
    other.random(new Uint8Array(8))
    const theirs = walStorage(directory, { disk: other, segmentBytes })
    const their = await theirs.log('a')
    for (let i = 1; i <= 40; i++) await their.write(append(i, 1, i + 1, 8000))
    await theirs.close()

    const files = disk.files()
    expect(files.length).toBeGreaterThan(5)
    for (const { path } of files) {
      const without = disk.clone()
      without.harm(path, undefined)
      const gone = await opened(without)
      const spare = (await inspectWal(directory, { disk })).segments.some(
        ({ name, role }) => role === 'spare' && path.endsWith(name),
      )
      expect(gone.get('a') === 'DAMAGED', `without ${path}`).toBe(!spare)
      if (spare || !path.endsWith('.wal')) continue
      const mixed = disk.clone()
      mixed.harm(path, other.files().find((file) => file.path === path)!.bytes)
      expect((await opened(mixed)).get('a'), `with ${path} of another`).toBe('DAMAGED')
    }
  })

  it('refuses a format that it does not know, by its code', async () => {
    const disk = new VirtualDisk()
    await written(disk)
    const { path, bytes } = logOf(disk)
    const { crc32 } = await import('node:zlib')
    const later = Buffer.from(bytes)
    later.writeUInt32LE(2, 8)
    later.writeUInt32LE(crc32(later.subarray(0, 60)), 60)
    disk.harm(path, later)
    expect((await opened(disk)).get('a')).toBe('UNKNOWN_FORMAT')
    await expect(inspectWal(directory, { disk })).rejects.toMatchObject({ code: 'UNKNOWN_FORMAT' })
  })

  it('changes nothing: a damaged directory is left as it was found', async () => {
    const disk = new VirtualDisk()
    await written(disk)
    const { path, bytes } = logOf(disk)
    const altered = Uint8Array.from(bytes)
    altered[80]! ^= 1
    disk.harm(path, altered)
    let changes = 0
    disk.changed = () => changes++
    const storage = walStorage(directory, { disk, segmentBytes })
    await expect(storage.log('a')).rejects.toMatchObject({ code: 'DAMAGED' })
    await storage.close()
    expect(changes).toBe(0)
  })
})
