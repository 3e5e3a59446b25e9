import assert from 'node:assert/strict'
import { isRaftkitError } from '@raftkit/contract'
import { rejects } from '../check.ts'
import type { Suite } from '../runner.ts'
import { foundIs, Place, type Promises } from './place.ts'
import { append, contents } from './records.ts'
import type { StorageSubject } from './subject.ts'

/** A log has one owner. Another process is tried in crash.ts. */
export function ownerPromises(suite: Suite, it: Promises, subject: StorageSubject): void {
  it('a log has one owner: LOCKED until it is closed', async (place) => {
    const log = await place.log()
    await rejects(place.log(), 'LOCKED', 'log() of an open log')
    await (await place.log('other')).close()
    await log.write(append(1, 1))
    await log.close()
    await (await place.log()).close()
  })

  it('of two that open a log at once, one gets it', async (place) => {
    const outcomes = await Promise.allSettled([place.log(), place.log(), place.log()])
    const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    assert.equal(errors.length, 2, 'two of three are refused')
    for (const error of errors) assert.ok(isRaftkitError(error, 'LOCKED'), String(error))
  })

  it('a log that is being closed is not given to another owner before it is closed', async (place) => {
    const log = await place.log()
    let settled = 0
    for (let i = 1; i <= 10; i++) void log.write(append(i, 1, 1, 20_000)).then(() => settled++)
    const closing = log.close()
    const next = place.log().then(
      (owner) => {
        assert.equal(settled, 10, 'the writes of the owner before had settled')
        foundIs(owner, 1, 10)
      },
      (error: unknown) => assert.ok(isRaftkitError(error, 'LOCKED'), String(error)),
    )
    await Promise.all([closing, next])
  })

  const second = 'a second storage of the same directory is refused with LOCKED, until the first is closed'
  if (subject.durable === false || subject.reopens) suite.skip(second, 'two storages share nothing, or are one')
  else
    it(second, async (place) => {
      const log = await place.log()
      await log.write(append(1, 2, 1))
      const other = new Place(subject, place.directory)
      try {
        await rejects(other.log(), 'LOCKED', 'log() of the second storage')
        await log.write(append(3, 1, 1))
        await place.close()
        const next = await other.log()
        assert.deepEqual(await contents(next, 1, 3), ['1.1', '2.1', '3.1'])
      } finally {
        await other.close()
      }
    })
}
