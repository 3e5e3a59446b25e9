import { memoryStorage } from '@raftkit/storage-memory'
import { describe, expect, it } from 'vitest'
import { append, contents, storagePromises } from './suite.ts'

storagePromises('memory storage keeps the promises of the port', async () => {
  const storage = memoryStorage({ durable: true })
  return { open: () => storage, remove: () => storage.close() }
})

describe('memory storage', () => {
  it('says that nothing outlives the process, unless a test tells it otherwise', () => {
    expect(memoryStorage().durable).toBe(false)
    expect(memoryStorage({ durable: true }).durable).toBe(true)
    expect(() => memoryStorage({ durable: 1 as never })).toThrowError(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
  })

  it('serves a second owner once the first has closed it, and leaves the first closed', async () => {
    const storage = memoryStorage()
    const first = await storage.log('main')
    await first.write(append(1, 3, 1))
    await storage.close()
    const second = await storage.log('main')
    expect(second.found).toEqual({ first: 1, last: 3 })
    expect(await contents(second, 1, 3)).toEqual(['1.1', '2.1', '3.1'])
    await expect(first.write(append(4, 1))).rejects.toMatchObject({ code: 'CLOSED' })
    await first.close()
    await second.write(append(4, 1, 2))
    expect(await contents(second, 4, 4)).toEqual(['4.2'])
  })

  it('does not keep a large buffer alive for a small part of it', async () => {
    const storage = memoryStorage()
    const log = await storage.log('main')
    const large = new Uint8Array(1_000_000)
    large.set(append(1, 1).tail!.run.bytes, 500_000)
    await log.write({ tail: { at: 1, run: { count: 1, bytes: large.subarray(500_000, 500_024) } } })
    const { bytes } = await log.read(1, 1, 100)
    expect(bytes.buffer.byteLength).toBeLessThan(1000)
  })
})
