import assert from 'node:assert/strict'
import { rejects, sameBytes, Watched } from '../check.ts'
import type { Promises } from '../storage/place.ts'
import { bytesOf, keep, readAll } from './blobs.ts'

/** open, read and close of a reader. */
export function readingPromises(it: Promises): void {
  it('a read gives up to maxBytes from any offset, nothing only at the end', async (place) => {
    const store = await place.snapshots()
    const bytes = bytesOf(200_001)
    await keep(store, 's', bytes)
    const reader = await store.open('s')
    for (const offset of [0, 1, 4096, 65_535, 65_536, 65_537, 131_072, 200_000]) {
      for (const maxBytes of [1, 3, 70_000]) {
        const part = await reader.read(offset, maxBytes)
        assert.ok(
          part.length > 0 && part.length <= maxBytes,
          `a read of ${maxBytes} bytes at ${offset} gave ${part.length}`,
        )
        sameBytes(part, bytes.subarray(offset, offset + part.length), `a read of ${maxBytes} bytes at ${offset}`)
      }
    }
    assert.equal((await reader.read(200_001, 10)).length, 0, 'a read at the end')
    sameBytes(await readAll(reader, Number.MAX_SAFE_INTEGER), bytes, 'the snapshot in as few parts as it comes')
    await reader.close()
  })

  it('several readers of one snapshot do not disturb each other', async (place) => {
    const store = await place.snapshots()
    const bytes = bytesOf(300_000)
    await keep(store, 's', bytes)
    const readers = await Promise.all([1, 2, 3, 4].map(() => store.open('s')))
    const all = await Promise.all(readers.map((reader, i) => readAll(reader, 10_000 + i * 7001)))
    for (const found of all) sameBytes(found, bytes, 'the snapshot')
    await readers[0]!.close()
    sameBytes(await readAll(readers[1]!), bytes, 'the snapshot after another reader was closed')
    const same = readers[2]!
    const [left, right] = await Promise.all([readAll(same, 5000), readAll(same, 9000)])
    sameBytes(left, bytes, 'the snapshot, read twice at once')
    sameBytes(right, bytes, 'the snapshot, read twice at once')
    await Promise.all(readers.map((reader) => reader.close()))
  })

  it('bytes that a reader gave stay as they are', async (place) => {
    const store = await place.snapshots()
    await keep(store, 's', bytesOf(200_000))
    const reader = await store.open('s')
    const watched: Watched[] = []
    for (let i = 0; i < 20; i++)
      watched.push(Watched.received(await reader.read(i * 9000, 1 + i * 3000), `the answer of read ${i}`))
    await readAll(reader)
    await reader.close()
    await keep(store, 't', bytesOf(200_000, 2))
    await store.retain(['t'])
    for (const bytes of watched) bytes.unchanged()
  })

  it('a closed reader rejects CLOSED, and closes again without harm', async (place) => {
    const store = await place.snapshots()
    await keep(store, 's', bytesOf(100))
    const reader = await store.open('s')
    await Promise.all([reader.close(), reader.close()])
    await rejects(reader.read(0, 10), 'CLOSED', 'read() of a closed reader')
    await reader.close()
    await (await store.open('s')).close()
  })

  it('snapshots of one group are not those of another', async (place) => {
    await keep(await place.snapshots('a'), 's', bytesOf(10, 1))
    await keep(await place.snapshots('b'), 's', bytesOf(20, 2))
    await (await place.snapshots('b')).retain([])
    await place.again()
    assert.equal((await (await place.snapshots('a')).open('s')).bytes, 10)
    await rejects((await place.snapshots('b')).open('s'), 'MISSING', 'open() of what was removed')
  })
}
