import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { levelStorage } from '@raftkit/storage-level'
import { append, run } from '@raftkit/testing/records'
import { ClassicLevel } from 'classic-level'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

// What nobody needs any more leaves LevelDB, in small steps beside the writes.

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-sweep-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

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

const keys = (): Promise<number> => behind(async (level) => (await level.keys().all()).length)

/** Each flush is followed by one step of the sweep, so a few writes see it through. */
async function settle(write: (i: number) => Promise<void>): Promise<void> {
  for (let i = 1; i <= 8; i++) await write(i)
}

describe('sweeping', () => {
  it('removes what was compacted, time after time', async () => {
    const storage = levelStorage(directory)
    const log = await storage.log('main')
    for (let round = 0; round < 3; round++) {
      for (let i = 1; i <= 700; i++) void log.write(append(round * 700 + i, 1))
      await log.write({ compactTo: round * 700 + 650 })
    }
    await settle((i) => log.write({ state: new Uint8Array(i) }))
    await storage.close()
    // 50 records, the totals, the head, the state; no more than a few beyond them.
    expect(await keys()).toBe(53)
  })

  it('removes what stood before a reset', async () => {
    const storage = levelStorage(directory)
    const log = await storage.log('main')
    for (let i = 1; i <= 600; i++) void log.write(append(i, 1))
    await log.write({ tail: { at: 300, run: run(300, 1), reset: true } })
    await settle((i) => log.write({ state: new Uint8Array(i) }))
    await storage.close()
    expect(await keys()).toBe(4)
  })

  it('removes what a crash left of compacted records and of destroyed groups', async () => {
    let storage = levelStorage(directory)
    for (const name of ['main', 'other']) {
      const log = await storage.log(name)
      for (let i = 1; i <= 600; i++) void log.write(append(i, 1))
      await log.close()
    }
    await storage.close()
    const pieces = await behind((level) => level.iterator({ gte: Buffer.from('r'), lt: Buffer.from('s') }).all())
    expect(pieces).toHaveLength(1200)

    storage = levelStorage(directory)
    await storage.destroy('other')
    await (await storage.log('main')).write({ compactTo: 600 })
    await storage.close()
    // As if nothing had been swept yet.
    await behind((level) => level.batch(pieces.map(([key, value]) => ({ type: 'put', key, value }))))

    storage = levelStorage(directory)
    expect(await storage.groups()).toEqual(['main'])
    const log = await storage.log('main')
    expect(log.found).toEqual({ first: 601, last: 600 })
    await settle((i) => log.write({ state: new Uint8Array(i) }))
    expect((await storage.log('other')).found).toEqual({ first: 1, last: 0 })
    await storage.close()
    expect(await keys()).toBe(3)
  })

  it('takes no record of another group, or of the same group made anew', async () => {
    const storage = levelStorage(directory)
    for (const name of ['a', 'aa', 'b']) {
      const log = await storage.log(name)
      for (let i = 1; i <= 300; i++) void log.write(append(i, 1, 1))
      await log.close()
    }
    await storage.destroy('a')
    const anew = await storage.log('a')
    await anew.write(append(1, 1, 2))
    await settle((i) => anew.write({ state: new Uint8Array(i) }))
    await storage.close()
    const again = levelStorage(directory)
    const lasts = []
    for (const name of ['a', 'aa', 'b']) lasts.push((await again.log(name)).found.last)
    expect(lasts).toEqual([1, 300, 300])
    await again.close()
  })
})
