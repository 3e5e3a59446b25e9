import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRaftkitError, type Storage } from '@raftkit/contract'
import { type LevelOptions, levelStorage } from '@raftkit/storage-level'
import { ClassicLevel } from 'classic-level'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { append, contents, record, run } from './records.ts'

// Files are altered while the storage is closed. Whatever is altered is found, or is harmless: then every group is exactly what it was.
// LevelDB alone passes over all of this in silence (one flipped bit: a hole; a cut log: an older vote; an emptied file: an empty store).

const small: LevelOptions = { writeBufferBytes: 65_536 }
let root: string
let directory: string
beforeAll(async () => {
  // In memory where there is such a folder: a thousand stores are opened here, and nothing rests on the flushes.
  root = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'raftkit-damage-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))
beforeEach(() => {
  directory = join(root, 'store')
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** What a store says of each of its groups: its range, its state, every record. */
type Held = ReadonlyMap<string, { found: unknown; lines: readonly string[] }>

async function held(target: string, options: LevelOptions): Promise<Held> {
  const storage = levelStorage(target, options)
  try {
    const all = new Map<string, { found: unknown; lines: readonly string[] }>()
    for (const group of ['a', 'b']) {
      const log = await storage.log(group)
      const { first, last, state } = log.found
      const lines = await contents(log, first, last)
      all.set(group, { found: [first, last, state && Buffer.from(state).toString()], lines })
    }
    return all
  } finally {
    await storage.close()
  }
}

/** A store of two groups with compactions, cuts and resets; `restarts` moves what is in LevelDB's log to its tables. */
async function grow(target: string, writes: number, restarts: number, options: LevelOptions): Promise<void> {
  const lasts = new Map([
    ['a', 0],
    ['b', 0],
  ])
  for (let round = 0; round <= restarts; round++) {
    const storage = levelStorage(target, options)
    const logs = new Map(await Promise.all([...lasts.keys()].map(async (g) => [g, await storage.log(g)] as const)))
    for (let step = 1; step <= writes; step++)
      for (const [group, last] of lasts) {
        const version = round * writes + step
        const reset = step % 70 === 0
        const at = reset ? last + 10 : Math.max(last + 1 - (step % 9 === 0 ? 2 : 0), 1)
        const count = 1 + (step % 7)
        await logs.get(group)!.write({
          tail: {
            at,
            run: run(at, count, version, step % 40 === 0 ? 40_000 : 40 + step),
            ...(reset && { reset: true }),
          },
          ...(step % 3 === 0 && { state: Buffer.from(`state ${version}`) }),
          ...(step % 50 === 20 && { compactTo: at - 3 }),
        })
        lasts.set(group, at + count - 1)
      }
    await storage.close()
  }
}

/** `whole`: every group is exactly as expected. Anything but that or DAMAGED fails the test. */
async function verdict(target: string, expected: Held, options: LevelOptions, what: string): Promise<string> {
  try {
    expect(await held(target, options), what).toEqual(expected)
    return 'whole'
  } catch (error) {
    if (!isRaftkitError(error)) throw error
    expect(error.code, `${what}: ${error.message}`).toBe('DAMAGED')
    expect(error.message).toContain('new incarnation')
    return 'DAMAGED'
  }
}

/** Places over all files: the ends of each, and a walk of about `most` in all. */
function places(
  files: readonly { name: string; size: number }[],
  most: number,
): { name: string; size: number; at: number }[] {
  const stride = Math.floor(files.reduce((sum, { size }) => sum + size, 0) / most) | 1
  return files.flatMap(({ name, size }) => {
    const walk = Array.from({ length: Math.ceil(size / stride) }, (_, i) => i * stride)
    const ends = [0, 1, 7, size >> 1, size - 48, size - 2, size - 1].filter((at) => at >= 0 && at < size)
    return [...new Set([...walk, ...ends])].map((at) => ({ name, size, at }))
  })
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte[0]! ^= 1 << (at % 8)
  await file.write(byte, 0, 1, at)
  await file.close()
}

async function zero(path: string, at: number, size: number): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(Buffer.alloc(size), 0, size, at)
  await file.close()
}

const shapes: [string, number, number, LevelOptions][] = [
  ['in LevelDB’s log', 150, 0, {}],
  ['in LevelDB’s tables', 150, 2, small],
]

describe.each(shapes)('D2, D3: damage to a store that is %s', (shape, writes, restarts, options) => {
  let template: string
  let expected: Held
  let files: { name: string; size: number }[]
  beforeAll(async () => {
    template = join(root, shape)
    await grow(template, writes, restarts, options)
    expected = await held(template, options)
    const names = (await readdir(join(template, 'level'))).filter((name) => !/^(LOG|LOCK)/.test(name))
    files = await Promise.all(
      [...names.map((name) => join('level', name)), 'mark'].map(async (name) => ({
        name,
        size: (await stat(join(template, name))).size,
      })),
    )
  })

  async function harm(what: string, work: () => Promise<void>): Promise<string> {
    await rm(directory, { recursive: true, force: true })
    await cp(template, directory, { recursive: true })
    await work()
    return verdict(directory, expected, options, what)
  }

  it('without any, is whole', async () => {
    expect(await harm('nothing', async () => undefined)).toBe('whole')
  })

  it('one bit flipped, all over every file', async () => {
    const found: string[] = []
    for (const { name, size, at } of places(files, 200))
      found.push(await harm(`bit in ${name} at ${at} of ${size}`, () => flip(join(directory, name), at)))
    expect(found).toContain('DAMAGED')
  }, 120_000)

  it('every file cut, at many lengths down to nothing', async () => {
    const found: string[] = []
    for (const { name, size, at } of places(files, 100))
      found.push(await harm(`${name} cut to ${at} of ${size}`, () => truncate(join(directory, name), at)))
    expect(found).toContain('DAMAGED')
  }, 120_000)

  it('ranges of 512 and 4096 bytes zeroed, all over every file', async () => {
    const found: string[] = []
    for (const length of [512, 4096])
      for (const { name, size, at } of places(files, 60)) {
        const zeroed = Math.min(length, size - at)
        found.push(await harm(`${name} zeroed at ${at} of ${size}`, () => zero(join(directory, name), at, zeroed)))
      }
    expect(found).toContain('DAMAGED')
  }, 120_000)

  it('every file removed, and all of LevelDB’s', async () => {
    for (const { name } of files) await harm(`${name} removed`, () => rm(join(directory, name)))
    expect(await harm('mark', () => rm(join(directory, 'mark')))).toBe('DAMAGED')
    expect(await harm('level', () => rm(join(directory, 'level'), { recursive: true }))).toBe('DAMAGED')
  })

  it('stays found, however often it is opened', async () => {
    const log = files
      .filter(({ name }) => name.endsWith('.log') || name.endsWith('.ldb'))
      .sort((a, b) => b.size - a.size)[0]!
    expect(await harm('cut', () => truncate(join(directory, log.name), log.size >> 1))).toBe('DAMAGED')
    for (let i = 0; i < 3; i++) expect(await verdict(directory, expected, options, 'again')).toBe('DAMAGED')
  })

  it('an older copy of LevelDB under the newer mark', async () => {
    const older = join(root, 'older')
    await rm(older, { recursive: true, force: true })
    await grow(older, writes - 1, restarts, options)
    const found = await harm('older', async () => {
      await rm(join(directory, 'level'), { recursive: true })
      await cp(join(older, 'level'), join(directory, 'level'), { recursive: true })
    })
    expect(found).toBe('DAMAGED')
  })
})

describe('D1: the log of LevelDB cut at every byte of its last three writes', () => {
  it('opens with an exact prefix when they were not acknowledged, and is DAMAGED when they were', async () => {
    const levelLog = async (): Promise<string> =>
      join(directory, 'level', (await readdir(join(directory, 'level'))).find((name) => name.endsWith('.log'))!)
    const storage = levelStorage(directory)
    const log = await storage.log('main')
    for (let i = 1; i <= 10; i++) await log.write({ ...append(i, 1, i), state: Buffer.from(`${i}`) })
    const { size: before } = await stat(await levelLog())
    for (let i = 11; i <= 13; i++) await log.write({ ...append(i, 1, i), state: Buffer.from(`${i}`) })
    await storage.close()
    const { size } = await stat(await levelLog())
    const template = join(root, 'torn')
    await cp(directory, template, { recursive: true })

    // The mark as a crash may leave it: it is written after a flush, never before.
    const markOf = async (writes: number): Promise<Uint8Array> => {
      const target = join(root, 'mark-only')
      await rm(target, { recursive: true, force: true })
      const storage = levelStorage(target)
      const log = await storage.log('main')
      for (let i = 1; i <= writes; i++) await log.write(append(i, 1))
      await storage.close()
      return readFile(join(target, 'mark'))
    }
    const early = await markOf(10)
    const lasts = new Set<number>()
    for (let length = before; length <= size; length++) {
      for (const acknowledged of length % 5 === 0 || length === size - 1 ? [false, true] : [false]) {
        await rm(directory, { recursive: true, force: true })
        await cp(template, directory, { recursive: true })
        await truncate(await levelLog(), length)
        if (!acknowledged) await writeFile(join(directory, 'mark'), early)
        const storage = levelStorage(directory)
        if (acknowledged && length < size) {
          await expect(storage.log('main'), `cut to ${length}`).rejects.toMatchObject({ code: 'DAMAGED' })
        } else {
          const log = await storage.log('main')
          const { first, last, state } = log.found
          expect([first, Buffer.from(state!).toString()]).toEqual([1, `${last}`])
          expect(last).toBeGreaterThanOrEqual(10)
          expect(await contents(log, 1, last)).toHaveLength(last)
          lasts.add(last)
        }
        await storage.close()
      }
    }
    expect([...lasts].sort()).toEqual([10, 11, 12, 13])
  }, 120_000)
})

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
