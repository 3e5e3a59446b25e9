import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Storage } from '@raftkit/contract'
import { type LevelOptions, levelStorage } from '@raftkit/storage-level'
import { append, contents, record, run } from '@raftkit/testing/records'
import { ClassicLevel } from 'classic-level'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { flip, zero } from './harm.ts'

// Every key and value is what LevelDB was once given, and still the store is not what it was.

const small: LevelOptions = { writeBufferBytes: 65_536 }
let root: string
let directory: string
beforeAll(async () => {
  // In memory where there is such a folder: many stores are opened here, and nothing rests on the flushes.
  root = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'raftkit-altered-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))
beforeEach(() => {
  directory = join(root, 'store')
})
afterEach(() => rm(directory, { recursive: true, force: true }))

describe('keys and values that are intact, but not the right ones', () => {
  /** Opens LevelDB behind the storage's back. */
  async function behind<T>(work: (level: ClassicLevel<Buffer, Buffer>) => Promise<T>): Promise<T> {
    const level = new ClassicLevel<Buffer, Buffer>(join(directory, 'level'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    })
    await level.open()
    try {
      return await work(level)
    } finally {
      await level.close()
    }
  }
  const keysOf = (level: ClassicLevel<Buffer, Buffer>, prefix: string): Promise<Buffer[]> =>
    level.keys({ gte: Buffer.from(prefix), lt: Buffer.from(`${prefix}~`) }).all()

  async function filled(): Promise<void> {
    const storage = levelStorage(directory)
    const [a, b] = [await storage.log('a'), await storage.log('b')]
    for (let i = 1; i <= 20; i++) {
      await a.write({ ...append(i, 1, 1), state: Buffer.from(`a${i}`) })
      await b.write({ ...append(i, 1, 1), state: Buffer.from(`b${i}`) })
    }
    await storage.close()
  }

  async function opens(): Promise<Record<string, string>> {
    const storage: Storage = levelStorage(directory)
    const found: Record<string, string> = {}
    for (const group of ['a', 'b'])
      found[group] = await storage.log(group).then(
        (log) => `${log.found.last}`,
        (error) => error.code,
      )
    await storage.close()
    return found
  }

  it.each<[string, (level: ClassicLevel<Buffer, Buffer>) => Promise<void>]>([
    [
      'D10: two records swapped',
      async (level) => {
        const [one, two] = (await keysOf(level, 'ra\0')).slice(4, 6) as [Buffer, Buffer]
        const [first, second] = [(await level.get(one))!, (await level.get(two))!]
        await level.batch([
          { type: 'put', key: one, value: second },
          { type: 'put', key: two, value: first },
        ])
      },
    ],
    [
      'D10: a record of the other group',
      async (level) => {
        const [own] = (await keysOf(level, 'ra\0')).slice(4) as [Buffer]
        const [other] = (await keysOf(level, 'rb\0')).slice(4) as [Buffer]
        await level.put(own, (await level.get(other))!)
      },
    ],
    ['a record gone in the middle', async (level) => level.del((await keysOf(level, 'ra\0'))[9]!)],
    ['the first record gone', async (level) => level.del((await keysOf(level, 'ra\0'))[0]!)],
    ['the last record gone', async (level) => level.del((await keysOf(level, 'ra\0'))[19]!)],
    ['the state gone', (level) => level.del(Buffer.from('sa'))],
    [
      'the state of the other group',
      async (level) => level.put(Buffer.from('sa'), (await level.get(Buffer.from('sb')))!),
    ],
  ])('D13: %s: that group is DAMAGED, the other serves', async (_, work) => {
    await filled()
    await behind(work)
    expect(await opens()).toEqual({ a: 'DAMAGED', b: '20' })
  })

  it('says which records are gone', async () => {
    await filled()
    await behind(async (level) => {
      for (const key of (await keysOf(level, 'ra\0')).slice(4, 7)) await level.del(key)
    })
    const storage = levelStorage(directory)
    await expect(storage.log('a')).rejects.toThrow('the records from 5 to 7 are gone')
    await storage.close()
  })

  it('an old run that shows through where the one that replaced its end is gone', async () => {
    const storage = levelStorage(directory)
    const log = await storage.log('a')
    await log.write(append(1, 100, 1))
    await log.write(append(50, 11, 2))
    await log.write(append(61, 10, 3))
    await (await storage.log('b')).write(append(1, 20, 1))
    await storage.close()
    await behind(async (level) => level.del((await keysOf(level, 'ra\0'))[1]!))
    expect(await opens()).toEqual({ a: 'DAMAGED', b: '20' })
  })

  it('an old record in the middle, where the one that replaced it is lost', async () => {
    let storage = levelStorage(directory)
    await (await storage.log('a')).write(append(1, 1, 1))
    await (await storage.log('b')).write(append(1, 20, 1))
    await storage.close()
    const [key] = (await behind((level) => keysOf(level, 'ra\0'))) as [Buffer]
    const old = await behind((level) => level.get(key))
    storage = levelStorage(directory)
    const log = await storage.log('a')
    await log.write(append(1, 1, 2))
    await log.write(append(2, 1, 2))
    await storage.close()
    await behind((level) => level.put(key, old!))
    expect(await opens()).toEqual({ a: 'DAMAGED', b: '20' })
  })

  it('one torn slot of the mark hides nothing: writes that were lost are still found', async () => {
    for (const slot of [0, 4096]) {
      await rm(directory, { recursive: true, force: true })
      await filled()
      await zero(join(directory, 'mark'), slot, 16)
      expect(await opens()).toEqual({ a: '20', b: '20' })
      await rm(directory, { recursive: true, force: true })
      await filled()
      await zero(join(directory, 'mark'), slot, 16)
      const name = (await readdir(join(directory, 'level'))).find((file) => file.endsWith('.log'))!
      const path = join(directory, 'level', name)
      await truncate(path, (await stat(path)).size >> 1)
      expect(await opens()).toEqual({ a: 'DAMAGED', b: 'DAMAGED' })
    }
  })

  it('B3: an older state, an older record, an older head: DAMAGED', async () => {
    const storage = levelStorage(directory)
    let log = await storage.log('a')
    await log.write({ ...append(1, 3, 1), state: Buffer.from('old') })
    await (await storage.log('b')).write({ ...append(1, 20, 1) })
    await storage.close()
    const old = new Map<string, { key: Buffer; value: Buffer }>()
    await behind(async (level) => {
      for (const prefix of ['ha', 'sa', 'ra\0'])
        for (const key of await keysOf(level, prefix)) old.set(prefix, { key, value: (await level.get(key))! })
    })
    const next = levelStorage(directory)
    log = await next.log('a')
    await log.write({ ...append(1, 3, 2), state: Buffer.from('new') })
    await next.close()
    const template = join(root, 'newer')
    await cp(directory, template, { recursive: true })
    for (const [prefix, { key, value }] of old) {
      await rm(directory, { recursive: true })
      await cp(template, directory, { recursive: true })
      await behind((level) => level.put(key, value))
      expect((await opens()).a, prefix).toBe('DAMAGED')
    }
  })

  it('E5: the head or the totals gone: no group of the store is trusted', async () => {
    for (const key of ['ha', 'm']) {
      await rm(directory, { recursive: true, force: true })
      await filled()
      await behind((level) => level.del(Buffer.from(key)))
      expect(await opens()).toEqual({ a: 'DAMAGED', b: 'DAMAGED' })
      const storage = levelStorage(directory)
      await expect(storage.groups()).rejects.toMatchObject({ code: 'DAMAGED' })
      await storage.close()
    }
  })

  it('a first start that a power cut tore begins anew; the same files in a store that was written are DAMAGED', async () => {
    // LevelDB does not flush the first MANIFEST that it makes (compliance: a power cut after call 25, seed 1).
    const torn = async (): Promise<void> => {
      const folder = join(directory, 'level')
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'CURRENT'), 'MANIFEST-000001\n')
      await writeFile(join(folder, 'MANIFEST-000001'), '')
    }
    await torn()
    expect(await opens()).toEqual({ a: '0', b: '0' })
    await rm(directory, { recursive: true })
    await filled()
    const mark = await readFile(join(directory, 'mark'))
    await rm(join(directory, 'level'), { recursive: true })
    await torn()
    expect(await opens()).toEqual({ a: 'DAMAGED', b: 'DAMAGED' })
    expect(await readFile(join(directory, 'mark'))).toEqual(mark)
  })

  it('a whole directory emptied is an empty store: only the peers can tell', async () => {
    await filled()
    await rm(directory, { recursive: true })
    expect(await opens()).toEqual({ a: '0', b: '0' })
  })

  it('D13: a damaged group can be destroyed and begun anew, while the other goes on', async () => {
    await filled()
    await behind(async (level) => level.del((await keysOf(level, 'ra\0'))[9]!))
    const storage = levelStorage(directory)
    await expect(storage.log('a')).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('group a'),
    })
    const b = await storage.log('b')
    await b.write(append(21, 1, 2))
    await storage.destroy('a')
    const a = await storage.log('a')
    expect(a.found).toEqual({ first: 1, last: 0 })
    await a.write(append(1, 2, 3))
    await storage.close()
    expect(await opens()).toEqual({ a: '2', b: '21' })
  })

  it('a read finds what was altered after the log was opened', async () => {
    const storage = levelStorage(directory, small)
    const log = await storage.log('a')
    for (let i = 0; i < 40; i++) await log.write({ tail: { at: 1 + i * 10, run: run(1 + i * 10, 10, 1, 1000) } })
    await log.close()
    const again = await storage.log('a')
    expect(await contents(again, 1, 400)).toHaveLength(400)
    const wanted = Buffer.from(record(7, 1, 1000))
    let flipped = 0
    for (const name of await readdir(join(directory, 'level'))) {
      const path = join(directory, 'level', name)
      const at = name.endsWith('.ldb') ? (await readFile(path)).indexOf(wanted) : -1
      if (at < 0) continue
      await flip(path, at + 100)
      flipped++
    }
    expect(flipped).toBe(1)
    await expect(again.read(5, 8, 10_000)).rejects.toMatchObject({ code: 'DAMAGED' })
    expect((await again.read(300, 300, 10)).count).toBe(1)
    await storage.close()
    const third = levelStorage(directory, small)
    await expect(third.log('a')).rejects.toMatchObject({ code: 'DAMAGED' })
    await third.close()
  })
})
