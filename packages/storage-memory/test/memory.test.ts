import type { Index, LogWrite } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { describe, expect, it } from 'vitest'

// What is particular to memory. The promises of the port are in compliance.test.ts.

/** One record of eight bytes: its length, and a mark. */
const record = (mark: number): Uint8Array => new Uint8Array([8, 0, 0, 0, mark, mark, mark, mark])

const append = (at: Index, mark: number): LogWrite => ({ tail: { at, run: { count: 1, bytes: record(mark) } } })

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
    await first.write({ ...append(1, 7), state: new Uint8Array([1]) })
    const snapshots = await storage.snapshots('main')
    const writer = await snapshots.create('s')
    await storage.close()

    const second = await storage.log('main')
    expect(second.found).toEqual({ first: 1, last: 1, state: new Uint8Array([1]) })
    await expect(first.write(append(2, 8))).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(writer.write(new Uint8Array(1))).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(snapshots.open('s')).rejects.toMatchObject({ code: 'CLOSED' })
    await first.close()
    await writer.close()
    await second.write(append(2, 9))
    expect(await second.read(1, 2, 100)).toEqual({ count: 2, bytes: new Uint8Array([...record(7), ...record(9)]) })
    const again = await (await storage.snapshots('main')).create('s')
    expect(again.bytes).toBe(0)
  })

  it('has one owner per log, and is two storages when made twice', async () => {
    const storage = memoryStorage()
    const log = await storage.log('main')
    await expect(storage.log('main')).rejects.toMatchObject({ code: 'LOCKED' })
    await log.write(append(1, 1))
    expect((await memoryStorage().log('main')).found).toEqual({ first: 1, last: 0 })
  })

  it('does not keep a large buffer alive for a small part of it, nor see it change', async () => {
    const storage = memoryStorage()
    const log = await storage.log('main')
    const large = Buffer.alloc(1_000_000)
    large.set(record(5), 500_000)
    await log.write({ tail: { at: 1, run: { count: 1, bytes: large.subarray(500_000, 500_008) } } })
    large.fill(0)
    const { bytes } = await log.read(1, 1, 100)
    expect(bytes).toEqual(record(5))
    expect(bytes.buffer.byteLength).toBeLessThan(1000)
  })
})
