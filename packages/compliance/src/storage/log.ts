import assert from 'node:assert/strict'
import { rejects, sameBytes } from '../check.ts'
import { foundIs, type Promises } from './place.ts'
import { append, blob, contents, lines, run, runOf } from './records.ts'

/** What a log holds after writes, in this life and in the next. */
export function logPromises(it: Promises): void {
  it('a log that was never written is empty: first 1, last 0, no state, and its group is not listed', async (place) => {
    const log = await place.log()
    foundIs(log, 1, 0)
    await log.close()
    assert.deepEqual(await (await place.storage()).groups(), [])
  })

  it('a log is found as the resolved writes left it', async (place) => {
    const log = await place.log()
    await log.write({ ...append(1, 3, 1), state: blob('one') })
    await log.write(append(4, 2, 2))
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 5, 'one')
    assert.deepEqual(await contents(next, 1, 5), [...lines(1, 3, 1), ...lines(4, 5, 2)])
  })

  it('`found` is never updated', async (place) => {
    const log = await place.log()
    await log.write({ ...append(1, 3), state: blob('one') })
    foundIs(log, 1, 0)
    await place.again()
    const next = await place.log()
    await next.write({ tail: { at: 50, run: run(50, 1), reset: true }, state: blob('two') })
    foundIs(next, 1, 3, 'one')
  })

  it('a write without state keeps the state; an empty state is not none', async (place) => {
    const log = await place.log()
    await log.write({ state: new Uint8Array(0) })
    await log.write(append(1, 1))
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 1, '')
    await next.write({ state: blob('second') })
    await next.write({ state: blob('third') })
    await place.again()
    foundIs(await place.log(), 1, 1, 'third')
  })

  it('a run that begins inside the log cuts what was there from its place on', async (place) => {
    const log = await place.log()
    await log.write(append(1, 10, 1))
    await log.write(append(6, 2, 2))
    const expected = [...lines(1, 5, 1), ...lines(6, 7, 2)]
    assert.deepEqual(await contents(log, 1, 7), expected)
    await rejects(log.read(8, 8, 100), 'MISSING', 'a read of a record that was cut')
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 7)
    assert.deepEqual(await contents(next, 1, 7), expected)
  })

  it('an empty run cuts the log, as far as to nothing', async (place) => {
    const log = await place.log()
    await log.write(append(1, 10, 1))
    await log.write(append(4, 0))
    await rejects(log.read(4, 4, 100), 'MISSING', 'a read of a record that was cut')
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 3)
    assert.deepEqual(await contents(next, 1, 3), lines(1, 3, 1))
    await next.write(append(1, 0))
    await place.again()
    foundIs(await place.log(), 1, 0)
  })

  it('what was cut and written anew is the new one, however often', async (place) => {
    const log = await place.log()
    await log.write(append(1, 20, 1))
    for (let version = 2; version <= 9; version++) await log.write(append(20 - version, 3, version))
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 13)
    assert.deepEqual(await contents(next, 1, 13), [...lines(1, 10, 1), ...lines(11, 13, 9)])
  })

  it('reset begins the log anew at any place, with nothing before it', async (place) => {
    const log = await place.log()
    await log.write(append(1, 10, 1))
    await log.write({ tail: { at: 100, run: run(100, 2, 2), reset: true }, state: blob('s') })
    for (const from of [5, 10, 99])
      await rejects(log.read(from, from, 100), 'COMPACTED', `a read of record ${from} below the reset`)
    assert.deepEqual(await contents(log, 100, 101), lines(100, 101, 2))
    await place.again()
    foundIs(await place.log(), 100, 101, 's')
  })

  it('reset to a lower place, with an empty run, leaves an empty log there that goes on', async (place) => {
    const log = await place.log()
    await log.write(append(1, 100, 1))
    await log.write({ tail: { at: 50, run: run(50, 0), reset: true } })
    await rejects(log.read(50, 50, 100), 'MISSING', 'a read of an emptied log')
    await place.again()
    const next = await place.log()
    foundIs(next, 50, 49)
    await next.write(append(50, 2, 3))
    await place.again()
    const third = await place.log()
    foundIs(third, 50, 51)
    assert.deepEqual(await contents(third, 50, 51), lines(50, 51, 3))
  })

  it('compaction takes at most what it was told: every record above compactTo stays', async (place) => {
    const log = await place.log()
    await log.write(append(1, 100, 1))
    await log.write({ compactTo: 60 })
    assert.deepEqual(await contents(log, 61, 100), lines(61, 100, 1))
    await log.write({ compactTo: 20 })
    await log.write(append(101, 1, 2))
    await place.again()
    const next = await place.log()
    assert.ok(next.found.first <= 61, `first is ${next.found.first} after compactTo 60`)
    assert.equal(next.found.last, 101)
    assert.deepEqual(await contents(next, 61, 101), [...lines(61, 100, 1), '101.2'])
  })

  it('a record below compactTo is what it was, or COMPACTED', async (place) => {
    const log = await place.log()
    await log.write(append(1, 50, 1))
    await log.write({ compactTo: 30 })
    for (const from of [1, 15, 30]) {
      const read = log.read(from, 40, 24).then(
        () => contents(log, from, from),
        () => undefined,
      )
      const held = await read
      if (held) assert.deepEqual(held, [`${from}.1`])
      else await rejects(log.read(from, from, 24), 'COMPACTED', `a read of the compacted record ${from}`)
    }
  })

  it('a log compacted as a whole goes on where it was', async (place) => {
    const log = await place.log()
    await log.write(append(1, 5, 1))
    await log.write({ compactTo: 5 })
    await place.again()
    const next = await place.log()
    assert.equal(next.found.last, 5)
    assert.ok(next.found.first <= 6)
    await next.write(append(6, 1, 2))
    await place.again()
    const third = await place.log()
    assert.equal(third.found.last, 6)
    assert.deepEqual(await contents(third, 6, 6), ['6.2'])
  })

  it('a write is one step: run, compaction and state together', async (place) => {
    const log = await place.log()
    await log.write(append(1, 4, 1))
    await log.write({ ...append(3, 4, 2), compactTo: 5, state: blob('two') })
    await log.write({ tail: { at: 200, run: run(200, 3, 3), reset: true }, compactTo: 201, state: blob('three') })
    await place.again()
    const next = await place.log()
    assert.ok(next.found.first >= 200 && next.found.first <= 202, `first is ${next.found.first}`)
    assert.deepEqual([next.found.last, Buffer.from(next.found.state ?? []).toString()], [202, 'three'])
    assert.deepEqual(await contents(next, 202, 202), ['202.3'])
  })

  it('indexes go up to 2^53-1', async (place) => {
    const log = await place.log()
    const at = Number.MAX_SAFE_INTEGER - 2
    await log.write({ tail: { at, run: run(at, 2, 5), reset: true } })
    await place.again()
    const next = await place.log()
    foundIs(next, at, at + 1)
    assert.deepEqual(await contents(next, at, at + 1), lines(at, at + 1, 5))
  })

  it('records of many sizes, from the smallest to megabytes, come back as they were', async (place) => {
    const log = await place.log()
    const sizes = Array.from({ length: 300 }, (_, i) => (i === 150 ? 1_500_000 : 20 + ((i * 7919) % 3000)))
    await log.write({ tail: { at: 1, run: runOf(1, 9, sizes) }, state: new Uint8Array(300_000).fill(7) })
    // The smallest record there is: its length and nothing else.
    await log.write({ tail: { at: 301, run: { count: 2, bytes: new Uint8Array([4, 0, 0, 0, 4, 0, 0, 0]) } } })
    await place.again()
    const next = await place.log()
    assert.deepEqual(await contents(next, 1, 300), lines(1, 300, 9))
    for (const from of [1, 2, 77, 150, 151, 152, 299, 300])
      assert.deepEqual(await contents(next, from, from), [`${from}.9`])
    sameBytes((await next.read(302, 302, 100)).bytes, new Uint8Array([4, 0, 0, 0]), 'a record of four bytes')
    sameBytes(next.found.state ?? new Uint8Array(0), new Uint8Array(300_000).fill(7), 'a large state')
  })

  it('a run of twenty thousand records is one write', async (place) => {
    const log = await place.log()
    await log.write(append(1, 20_000, 1, 200))
    await place.again()
    const next = await place.log()
    foundIs(next, 1, 20_000)
    assert.deepEqual(await contents(next, 1, 20_000, 1_000_000), lines(1, 20_000, 1))
  })
}
