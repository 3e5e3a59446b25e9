import assert from 'node:assert/strict'
import { Watched } from '../check.ts'
import { foundIs, type Promises } from './place.ts'
import { append, blob, contents, lines, run } from './records.ts'

/** Bytes handed over are never changed, detached or pooled again, by either side. */
export function handoverPromises(it: Promises): void {
  it('bytes that were given to a write stay as they are, for ever', async (place) => {
    const log = await place.log()
    const watched: Watched[] = []
    for (let i = 0; i < 20; i++) {
      const given = run(1 + i * 3, 3, i, 200)
      const state = blob(`state ${i}`)
      watched.push(Watched.given(given.bytes, `the run of write ${i}`), Watched.given(state, `the state of write ${i}`))
      const done = log.write({ tail: { at: 1 + i * 3, run: given }, state })
      if (i % 3 === 0) await done
    }
    await contents(log, 1, 60)
    await log.write(append(1, 60, 99, 200))
    await place.again()
    await contents(await place.log(), 1, 60)
    for (const bytes of watched) bytes.unchanged()
  })

  it('bytes that a read gave stay as they are, whatever is written or read afterwards', async (place) => {
    const log = await place.log()
    await log.write({ ...append(1, 40, 1, 500), state: blob('one') })
    await place.again()
    const next = await place.log()
    const watched: Watched[] = [Watched.received(next.found.state ?? new Uint8Array(0), 'the state that was found')]
    for (let i = 0; i < 20; i++) {
      const held = await next.read(1 + i, 40, 1 + i * 500)
      watched.push(Watched.received(held.bytes, `the answer of read ${i}`))
    }
    const pending = next.write({ ...append(41, 10, 2, 500), state: blob('two') })
    watched.push(Watched.received((await next.read(41, 50, 5000)).bytes, 'the answer of a read of a write under way'))
    await pending
    for (let version = 3; version < 10; version++) await next.write(append(1, 50, version, 500))
    await contents(next, 1, 50, 700)
    await place.again()
    await contents(await place.log(), 1, 50)
    for (const bytes of watched) bytes.unchanged()
  })

  it('a view into a larger buffer gives its own bytes and no others', async (place) => {
    const log = await place.log()
    const large = new Uint8Array(100_000).fill(0xee)
    const given = run(1, 5, 1, 100)
    large.set(given.bytes, 40_001)
    large.set(blob('state'), 90_003)
    const watched = Watched.given(large, 'a run and a state that are views')
    const bytes = large.subarray(40_001, 40_001 + given.bytes.length)
    const state = Buffer.from(large.buffer, 90_003, 5)
    await log.write({ tail: { at: 1, run: { count: 5, bytes } }, state })
    assert.deepEqual(await contents(log, 1, 5), lines(1, 5, 1))
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 5, 'state')
    assert.deepEqual(await contents(next, 1, 5), lines(1, 5, 1))
    watched.unchanged()
  })
}
