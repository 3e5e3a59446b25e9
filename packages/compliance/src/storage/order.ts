import assert from 'node:assert/strict'
import { isRaftkitError, type LogWrite } from '@raftkit/contract'
import { rejects } from '../check.ts'
import { foundIs, type Promises } from './place.ts'
import { append, blob, contents, lines, run } from './records.ts'

/** In which order writes happen and resolve. */
export function orderPromises(it: Promises): void {
  it('writes resolve in the order of the calls', async (place) => {
    const log = await place.log()
    const order: number[] = []
    const writes: Promise<unknown>[] = []
    for (let i = 0; i < 50; i++) {
      writes.push(log.write(append(i + 1, 1, i, i % 7 === 0 ? 100_000 : 20)).then(() => order.push(i)))
      if (i % 10 === 9) await writes[i - 5]
    }
    await Promise.all(writes)
    assert.deepEqual(order, [...Array(50).keys()])
  })

  it('of two writes under way, the later one holds', async (place) => {
    const log = await place.log()
    const writes = [log.write(append(1, 3, 1)), log.write(append(2, 3, 2)), log.write(append(2, 1, 3))]
    assert.deepEqual(await contents(log, 1, 2), ['1.1', '2.3'])
    await Promise.all(writes)
    assert.deepEqual(await contents(log, 1, 2), ['1.1', '2.3'])
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 2)
    assert.deepEqual(await contents(next, 1, 2), ['1.1', '2.3'])
  })

  it('a write that was cut while it was being flushed does not come back', async (place) => {
    const log = await place.log()
    for (let round = 1; round <= 20; round++) {
      const early = log.write(append(1, 1, 2 * round))
      for (let i = 0; i < round % 6; i++) await null
      const late = log.write(append(1, 1, 2 * round + 1))
      assert.deepEqual(await contents(log, 1, 1), [`1.${2 * round + 1}`])
      await early
      assert.deepEqual(await contents(log, 1, 1), [`1.${2 * round + 1}`])
      await late
      assert.deepEqual(await contents(log, 1, 1), [`1.${2 * round + 1}`])
    }
  })

  it('two thousand writes at once are two thousand writes', async (place) => {
    const log = await place.log()
    let resolved = 0
    const writes = Array.from({ length: 2000 }, (_, i) =>
      log.write({ ...append(i + 1, 1, i), state: blob(`${i}`) }).then(() => {
        assert.equal(resolved++, i, 'resolved in call order')
      }),
    )
    await Promise.all(writes)
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 2000, '1999')
    assert.deepEqual(
      await contents(next, 1, 2000),
      Array.from({ length: 2000 }, (_, i) => `${i + 1}.${i}`),
    )
  })

  const senseless: [string, LogWrite][] = [
    ['that leaves a gap', append(5, 1)],
    ['below the first record', append(2, 1)],
    ['at a place that is no index', { tail: { at: 3.5, run: run(3, 1) } }],
    ['with another count than the run’s', { tail: { at: 4, run: { ...run(4, 2), count: 3 } } }],
    [
      'with a cut record',
      { tail: { at: 4, run: { count: 2, bytes: run(4, 2).bytes.subarray(0, 30) } }, state: blob('no') },
    ],
    ['with a record of no length', { tail: { at: 4, run: { count: 1, bytes: new Uint8Array(24) } } }],
    ['that compacts beyond the end', { compactTo: 9 }],
  ]
  for (const [which, change] of senseless)
    it(`a write ${which} is refused, changes nothing, and every later one is rejected`, async (place) => {
      const log = await place.log()
      await log.write({ tail: { at: 3, run: run(3, 1, 1), reset: true }, state: blob('before') })
      const before = log.write({ state: blob('last') })
      const wrong = rejects(
        Promise.resolve().then(() => log.write(change)),
        'INVALID_OPTION',
        'the write',
      )
      await before
      await wrong
      await log.write(append(4, 1, 2)).then(
        () => assert.fail('a write after a rejected one must reject: it was made on top of what is not there'),
        (error: unknown) => {
          if (error instanceof assert.AssertionError) throw error
          assert.ok(isRaftkitError(error), `rejected with ${String(error)}`)
        },
      )
      await log.close()
      const next = await place.log()
      foundIs(next, 3, 3, 'last')
      assert.deepEqual(await contents(next, 3, 3), lines(3, 3, 1))
    })
}
