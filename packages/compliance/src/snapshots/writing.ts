import assert from 'node:assert/strict'
import { rejects, sameBytes, Watched } from '../check.ts'
import type { Promises } from '../storage/place.ts'
import { bytesOf, keep, readAll } from './blobs.ts'

/** create, write, commit, close of a writer, and going on. */
export function writingPromises(it: Promises): void {
  it('a snapshot is found once it is committed, and not before', async (place) => {
    const store = await place.snapshots()
    await rejects(store.open('s'), 'MISSING', 'open() of what never was')
    const writer = await store.create('s')
    await rejects(store.open('s'), 'MISSING', 'open() of one just begun')
    await writer.write(bytesOf(100))
    await rejects(store.open('s'), 'MISSING', 'open() of an unfinished one')
    await writer.commit()
    await (await store.open('s')).close()
  })

  for (const size of [0, 1, 4095, 65_536, 65_537, 300_001])
    it(`a snapshot of ${size} bytes comes back as it was, in the next life too`, async (place) => {
      const bytes = bytesOf(size, size)
      await keep(await place.snapshots(), 's', bytes)
      for (const life of [1, 2]) {
        const reader = await (await place.snapshots()).open('s')
        assert.equal(reader.bytes, size)
        sameBytes(await readAll(reader), bytes, `the snapshot in life ${life}`)
        await reader.close()
        if (life === 1) await place.again()
      }
    })

  it('`bytes` of a writer rises with every resolved write', async (place) => {
    const writer = await (await place.snapshots()).create('s')
    assert.equal(writer.bytes, 0)
    for (let i = 1; i <= 10; i++) {
      await writer.write(bytesOf(7777))
      assert.equal(writer.bytes, i * 7777)
    }
    await writer.close()
  })

  it('chunks that are not awaited are appended in the order of the calls', async (place) => {
    const store = await place.snapshots()
    const bytes = bytesOf(500_000)
    const writer = await store.create('s')
    const writes: Promise<void>[] = []
    for (let at = 0; at < bytes.length; at += 7777) writes.push(writer.write(bytes.slice(at, at + 7777)))
    await writer.commit()
    await Promise.all(writes)
    const reader = await store.open('s')
    sameBytes(await readAll(reader), bytes, 'the snapshot')
    await reader.close()
  })

  it('a name has one writer, and a complete snapshot none', async (place) => {
    const store = await place.snapshots()
    const writer = await store.create('s')
    await rejects(store.create('s'), 'LOCKED', 'create() while a writer is open')
    await rejects((await place.snapshots()).create('s'), 'LOCKED', 'create() in the same group, while a writer is open')
    await (await store.create('other')).close()
    await writer.write(bytesOf(10))
    await writer.close()
    const next = await store.create('s')
    await next.commit()
    await rejects(store.create('s'), 'REFUSED', 'create() of a complete one')
    await place.again()
    await rejects(
      (await place.snapshots()).create('s'),
      'REFUSED',
      'create() of one that is complete since the life before',
    )
  })

  it('an unfinished snapshot goes on where it stopped', async (place) => {
    const bytes = bytesOf(200_000)
    let held = 0
    for (const end of [1, 65_536, 65_540, 131_071, 150_000]) {
      const writer = await (await place.snapshots()).create('s')
      assert.equal(writer.bytes, held, 'bytes that an unfinished snapshot holds')
      await writer.write(bytes.slice(held, end))
      assert.equal(writer.bytes, end)
      await writer.close()
      held = end
      // In the same store at times, at times in the next life.
      if (end % 2 === 0) await place.again()
    }
    const store = await place.snapshots()
    const writer = await store.create('s')
    assert.equal(writer.bytes, held, 'bytes that an unfinished snapshot holds')
    await writer.write(bytes.slice(held))
    await writer.commit()
    const reader = await store.open('s')
    sameBytes(await readAll(reader), bytes, 'the snapshot')
    await reader.close()
  })

  it('a writer that has ended rejects CLOSED, and closes again without harm', async (place) => {
    const store = await place.snapshots()
    const left = await store.create('left')
    await left.write(bytesOf(10))
    await Promise.all([left.close(), left.close()])
    await rejects(left.write(bytesOf(1)), 'CLOSED', 'write() after close()')
    await rejects(left.commit(), 'CLOSED', 'commit() after close()')
    const done = await store.create('done')
    await done.commit()
    await rejects(done.write(bytesOf(1)), 'CLOSED', 'write() after commit()')
    await rejects(done.commit(), 'CLOSED', 'commit() after commit()')
    await done.close()
    await left.close()
    assert.equal((await store.open('done')).bytes, 0)
    assert.equal((await store.create('left')).bytes, 10, 'bytes of the unfinished one')
  })

  it('bytes that were given to a writer stay as they are', async (place) => {
    const store = await place.snapshots()
    const writer = await store.create('s')
    const watched: Watched[] = []
    const given: Uint8Array[] = []
    for (let i = 0; i < 20; i++) {
      const large = bytesOf(30_000, i)
      const chunk = large.subarray(1000, 1000 + i * 900)
      watched.push(Watched.given(chunk, `chunk ${i}`))
      given.push(chunk)
      const done = writer.write(chunk)
      if (i % 3 === 0) await done
    }
    await writer.commit()
    const reader = await store.open('s')
    sameBytes(await readAll(reader), Buffer.concat(given), 'the snapshot')
    await reader.close()
    for (const bytes of watched) bytes.unchanged()
  })

  it('what is no name of a snapshot is refused, and is never a path', async (place) => {
    const store = await place.snapshots()
    for (const name of ['', '.', '..', '../a', 'a/b', 'a\\b', '-a', '.a', 'a\0', 'ä', 'a'.repeat(129), 7 as never]) {
      const shown = JSON.stringify(name)
      await rejects(
        Promise.resolve().then(() => store.open(name)),
        'INVALID_OPTION',
        `open(${shown})`,
      )
      await rejects(
        Promise.resolve().then(() => store.create(name)),
        'INVALID_OPTION',
        `create(${shown})`,
      )
    }
    const longest = `${'a'.repeat(127)}Z`
    await keep(store, longest, bytesOf(3))
    await place.again()
    assert.equal((await (await place.snapshots()).open(longest)).bytes, 3)
  })
}
