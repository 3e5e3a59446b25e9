import assert from 'node:assert/strict'
import { rejects, sameBytes } from '../check.ts'
import type { Promises } from '../storage/place.ts'
import { bytesOf, keep, readAll } from './blobs.ts'

/** retain, and what is open meanwhile. */
export function retainingPromises(it: Promises): void {
  it('retain removes all others, unfinished ones too, for ever', async (place) => {
    const store = await place.snapshots()
    for (const name of ['a', 'B', 'c']) await keep(store, name, bytesOf(1000))
    for (const name of ['d', 'e']) {
      const writer = await store.create(name)
      await writer.write(bytesOf(500))
      await writer.close()
    }
    await store.retain(['c', 'e', 'unknown'])
    for (const life of [1, 2]) {
      const then = await place.snapshots()
      for (const name of ['a', 'B', 'unknown'])
        await rejects(then.open(name), 'MISSING', `open(${name}) in life ${life}`)
      const reader = await then.open('c')
      sameBytes(await readAll(reader), bytesOf(1000), 'the retained snapshot')
      await reader.close()
      if (life === 1) await place.again()
    }
    const last = await place.snapshots()
    assert.equal((await last.create('d')).bytes, 0, 'bytes of an unfinished one that was not retained')
    assert.equal((await last.create('e')).bytes, 500, 'bytes of the unfinished one that was retained')
  })

  it('retain leaves a snapshot to its readers until the last of them closes', async (place) => {
    const store = await place.snapshots()
    const bytes = bytesOf(300_000)
    await keep(store, 'a', bytes)
    await keep(store, 'b', bytesOf(10))
    const [one, two] = [await store.open('a'), await store.open('a')]
    await one.read(0, 1000)
    await store.retain(['b'])
    sameBytes(await readAll(one), bytes, 'the pinned snapshot')
    await one.close()
    sameBytes(await readAll(two), bytes, 'the snapshot that a second reader pins')
    await two.close()
    // Gone as soon as it is closed, so at once for whoever asks after that.
    await rejects(store.open('a'), 'MISSING', 'open() after the last reader closed')
    await place.again()
    await rejects((await place.snapshots()).open('a'), 'MISSING', 'open() in the next life')
  })

  it('retain leaves an open writer alone: unfinished it goes when it closes, committed it stays', async (place) => {
    const store = await place.snapshots()
    const left = await store.create('left')
    const finished = await store.create('finished')
    await left.write(bytesOf(10))
    await store.retain([])
    await left.write(bytesOf(10))
    await left.close()
    await finished.write(bytesOf(30))
    await finished.commit()
    const reader = await store.open('finished')
    sameBytes(await readAll(reader), bytesOf(30), 'the one that was committed after retain')
    await reader.close()
    assert.equal((await store.create('left')).bytes, 0, 'bytes of the one that was not')
  })

  it('retain judges by the moment it is called: what is committed at the same time stands', async (place) => {
    const store = await place.snapshots()
    const writer = await store.create('new')
    await writer.write(bytesOf(10))
    await Promise.all([store.retain(['old']), writer.commit()])
    const reader = await store.open('new')
    assert.equal(reader.bytes, 10)
    await reader.close()
  })

  it('a name that was not retained can be used anew', async (place) => {
    const store = await place.snapshots()
    await keep(store, 's', bytesOf(100, 1))
    await store.retain([])
    await keep(store, 's', bytesOf(50, 2))
    await place.again()
    const reader = await (await place.snapshots()).open('s')
    sameBytes(await readAll(reader), bytesOf(50, 2), 'the second one of that name')
    await reader.close()
  })
}
