import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { levelStorage } from '@raftkit/storage-level'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Disk } from '../src/storage/disk.ts'
import { faulty } from '../src/storage/faulty.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-chaos-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const state = (text: string) => ({ state: new TextEncoder().encode(text) })

test('a stuck disk holds writes, and lets them go in order', async () => {
  const disk = new Disk()
  const storage = faulty(levelStorage(directory), disk)
  const log = await storage.log('main')
  disk.fault = { kind: 'stuck' }
  const order: string[] = []
  const writes = ['a', 'b'].map((text) => log.write(state(text)).then(() => order.push(text)))
  expect(order).toEqual([])
  disk.fault = { kind: 'none' }
  await Promise.all(writes)
  expect(order).toEqual(['a', 'b'])
  await storage.close()
})

test.each(['before', 'after'] as const)(
  'a flush that fails %s it wrote rejects that write and all behind it',
  async (when) => {
    const disk = new Disk()
    const storage = faulty(levelStorage(directory), disk)
    const log = await storage.log('main')
    await log.write(state('old'))
    disk.fault = { kind: 'failing', when }
    await expect(log.write(state('new'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    disk.fault = { kind: 'none' }
    await expect(log.write(state('newer'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await storage.close()
    const again = levelStorage(directory)
    const { found } = await again.log('main')
    expect(new TextDecoder().decode(found.state)).toBe(when === 'before' ? 'old' : 'new')
    await again.close()
  },
)
