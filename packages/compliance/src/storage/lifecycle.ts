import assert from 'node:assert/strict'
import { isRaftkitError } from '@raftkit/contract'
import { rejects } from '../check.ts'
import type { Suite } from '../runner.ts'
import { foundIs, type Place, type Promises } from './place.ts'
import { append, blob, contents, lines } from './records.ts'
import type { StorageSubject } from './subject.ts'

/** Open, busy, closing, closed: what each call does in each. */
export function lifecyclePromises(suite: Suite, it: Promises, subject: StorageSubject): void {
  it('a storage says which contract it follows and whether it is durable', async (place) => {
    const storage = await place.storage()
    assert.equal(storage.contract, 1)
    assert.equal(storage.durable, subject.durable !== false)
  })

  it('closing a log waits for its writes, and is idempotent', async (place) => {
    const log = await place.log()
    let settled = 0
    for (let i = 1; i <= 20; i++) void log.write(append(i, 1, 1, 5000)).then(() => settled++)
    await Promise.all([log.close(), log.close()])
    assert.equal(settled, 20, 'writes settled before close resolved')
    await log.close()
    const next = await place.log()
    foundIs(next, 1, 20)
    assert.deepEqual(await contents(next, 1, 20), lines(1, 20, 1))
  })

  it('a closed log rejects CLOSED', async (place) => {
    const log = await place.log()
    await log.write(append(1, 1))
    const closing = log.close()
    await rejects(log.write(append(2, 1)), 'CLOSED', 'write() after close() was called')
    await rejects(log.read(1, 1, 1), 'CLOSED', 'read() after close() was called')
    await closing
    await rejects(log.write(append(2, 1)), 'CLOSED', 'write() of a closed log')
    await rejects(log.read(1, 1, 1), 'CLOSED', 'read() of a closed log')
    foundIs(await place.log(), 1, 1)
  })

  it('closing a log while it is read ends both', async (place) => {
    const log = await place.log()
    await log.write(append(1, 100, 1, 1000))
    const reads = Array.from({ length: 10 }, (_, i) =>
      contents(log, 1 + i, 100, 4000).then(
        (found) => assert.deepEqual(found, lines(1 + i, 100, 1)),
        (error: unknown) => {
          if (!isRaftkitError(error, 'CLOSED')) throw error
        },
      ),
    )
    await log.close()
    await Promise.all(reads)
  })

  it('closing the storage waits for the writes of every group, and is idempotent', async (place) => {
    let settled = 0
    for (const group of ['a', 'b', 'c']) {
      const log = await place.log(group)
      for (let i = 1; i <= 10; i++) void log.write(append(i, 1, 1, 5000)).then(() => settled++)
    }
    const storage = await place.storage()
    await Promise.all([storage.close(), storage.close()])
    assert.equal(settled, 30, 'writes settled before close resolved')
    await storage.close()
    if (subject.durable === false) return
    await place.again()
    for (const group of ['a', 'b', 'c']) foundIs(await place.log(group), 1, 10)
  })

  it('closing the storage closes what was opened from it', async (place) => {
    const log = await place.log()
    const snapshots = await place.snapshots()
    await log.write(append(1, 1))
    const whole = await snapshots.create('whole')
    await whole.write(blob('x'))
    await whole.commit()
    const reader = await snapshots.open('whole')
    const writer = await snapshots.create('part')
    const storage = await place.storage()
    await storage.close()
    await rejects(log.write(append(2, 1)), 'CLOSED', 'write() of a log')
    await rejects(log.read(1, 1, 1), 'CLOSED', 'read() of a log')
    await rejects(snapshots.open('whole'), 'CLOSED', 'open() of a snapshot')
    await rejects(snapshots.create('more'), 'CLOSED', 'create() of a snapshot')
    await rejects(snapshots.retain([]), 'CLOSED', 'retain()')
    await rejects(reader.read(0, 1), 'CLOSED', 'read() of a snapshot')
    await rejects(writer.write(blob('y')), 'CLOSED', 'write() of a snapshot')
    await rejects(writer.commit(), 'CLOSED', 'commit() of a snapshot')
    for (const opened of [log, reader, writer]) await opened.close()
  })

  if (subject.reopens) suite.skip('a closed storage rejects CLOSED', 'the subject says that it opens again')
  else
    it('a closed storage rejects CLOSED', async (place) => {
      const storage = await place.storage()
      await storage.groups()
      await storage.close()
      await rejects(storage.groups(), 'CLOSED', 'groups()')
      await rejects(storage.log('main'), 'CLOSED', 'log()')
      await rejects(storage.snapshots('main'), 'CLOSED', 'snapshots()')
      await rejects(storage.destroy('main'), 'CLOSED', 'destroy()')
      await storage.close()
    })

  it('a storage that was never used closes, and so does one that is just being opened', async (place) => {
    await (await place.storage()).close()
    await place.again()
    const storage = await place.storage()
    const opening = [storage.log('main'), storage.groups(), storage.snapshots('main'), storage.destroy('other')].map(
      (call) =>
        call.then(
          () => undefined,
          (error: unknown) => assert.ok(isRaftkitError(error, 'CLOSED'), String(error)),
        ),
    )
    await storage.close()
    await Promise.all(opening)
    // Whatever had begun has ended: the next owner is served.
    await place.again()
    foundIs(await place.log(), 1, 0)
  })

  it('a restart, again and again, finds what the one before left', async (place) => {
    for (let life = 1; life <= 6; life++) {
      const log = await place.log()
      assert.equal(log.found.last, life - 1)
      await log.write({ ...append(life, 1, life), state: blob(`life ${life}`) })
      await place.again()
    }
    const log = await place.log()
    foundIs(log, 1, 6, 'life 6')
    assert.deepEqual(
      await contents(log, 1, 6),
      [1, 2, 3, 4, 5, 6].map((life) => `${life}.${life}`),
    )
  })

  if (subject.durable === false)
    it('where nothing is durable, a restart is a wipe', async (place: Place) => {
      await (await place.log()).write({ ...append(1, 3), state: blob('gone') })
      const writer = await (await place.snapshots()).create('s')
      await writer.commit()
      await place.close()
      assert.deepEqual(await (await place.storage()).groups(), [])
      foundIs(await place.log(), 1, 0)
      await rejects((await place.snapshots()).open('s'), 'MISSING', 'open() of a snapshot of an earlier life')
    })
}
