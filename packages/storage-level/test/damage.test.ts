import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRaftkitError } from '@raftkit/contract'
import { type LevelOptions, levelStorage } from '@raftkit/storage-level'
import { append, contents, run } from '@raftkit/testing/records'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { flip, zero } from './harm.ts'

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
