import assert from 'node:assert/strict'
import { isRaftkitError } from '@raftkit/contract'
import { rejects } from '../check.ts'
import type { Promises } from './place.ts'
import { append, contents, lines, names } from './records.ts'

/** What a read of a log answers. */
export function readPromises(it: Promises): void {
  it('a read begins at `from` and ends at `to` or before, with whole records', async (place) => {
    const log = await place.log()
    for (let at = 1; at <= 91; at += 10) await log.write(append(at, 10, 1, 30 + at))
    for (const [from, to] of [
      [1, 1],
      [1, 100],
      [10, 11],
      [55, 60],
      [100, 100],
    ] as const) {
      assert.deepEqual(names(await log.read(from, to, 1_000_000)), lines(from, to, 1))
      assert.deepEqual(await contents(log, from, to, 64), lines(from, to, 1))
    }
  })

  it('a read answers with about maxBytes, and never with nothing', async (place) => {
    const log = await place.log()
    await log.write(append(1, 1000, 1, 100))
    await log.write(append(1001, 1, 1, 300_000))
    for (const reopened of [false, true]) {
      if (reopened) await place.again()
      const reader = reopened ? await place.log() : log
      const part = await reader.read(1, 1000, 5000)
      assert.ok(part.count >= 1 && part.bytes.length <= 10_000, `5,000 bytes asked for, ${part.bytes.length} given`)
      assert.deepEqual(names(await reader.read(500, 1000, 1)), ['500.1'])
      assert.deepEqual(names(await reader.read(1001, 1001, 10)), ['1001.1'])
      assert.deepEqual(await contents(reader, 1, 1001, 777), lines(1, 1001, 1))
    }
  })

  it('a read sees every write that was issued before it, resolved or not', async (place) => {
    const log = await place.log()
    await log.write(append(1, 5, 1))
    const writes: Promise<void>[] = []
    for (let i = 0; i < 20; i++) {
      writes.push(log.write(append(6 + i, 1, 1)))
      assert.deepEqual(await contents(log, 1, 6 + i), lines(1, 6 + i, 1))
    }
    const cut = log.write(append(3, 1, 2))
    assert.deepEqual(await contents(log, 1, 3), ['1.1', '2.1', '3.2'])
    await rejects(log.read(4, 4, 100), 'MISSING', 'a read of a record that a write under way cuts')
    await Promise.all([...writes, cut])
  })

  it('reads that run beside writes and beside each other answer right', async (place) => {
    const log = await place.log()
    await log.write(append(1, 200, 1, 300))
    const work: Promise<unknown>[] = []
    for (let i = 0; i < 60; i++) {
      work.push(log.write(append(201 + i, 1, 1, 300)))
      const from = 1 + ((i * 37) % 200)
      work.push(contents(log, from, 200, 1 + i * 100).then((found) => assert.deepEqual(found, lines(from, 200, 1))))
    }
    await Promise.all(work)
  })

  it('a read that is overtaken by a cut answers with records of before or after it, each whole', async (place) => {
    const log = await place.log()
    for (let round = 0; round < 10; round++) {
      const before = log.write(append(1, 30, 2 * round + 1, 2000))
      if (round % 2 === 0) await before
      const read = log.read(1, 30, 60_000).then(names, (error: unknown) => {
        assert.ok(isRaftkitError(error, 'MISSING') || isRaftkitError(error, 'COMPACTED'), String(error))
        return []
      })
      await Promise.all([before, log.write(append(1 + round, 20, 2 * round + 2, 2000)), read])
      for (const [i, name] of (await read).entries())
        assert.ok([`${i + 1}.${2 * round + 1}`, `${i + 1}.${2 * round + 2}`].includes(name) || i + 1 < 1 + round, name)
    }
  })

  it('COMPACTED below the first record, MISSING above the last', async (place) => {
    const log = await place.log()
    await rejects(log.read(1, 1, 10), 'MISSING', 'a read of an empty log')
    await log.write(append(1, 3))
    await rejects(log.read(0, 1, 10), 'COMPACTED', 'a read of record 0')
    await rejects(log.read(3, 4, 10), 'MISSING', 'a read to one beyond the end')
    await rejects(log.read(4, 4, 10), 'MISSING', 'a read of one beyond the end')
    assert.deepEqual(await contents(log, 3, 3), ['3.0'])
  })

  it('a read that makes no sense is refused, and harms nothing', async (place) => {
    const log = await place.log()
    await log.write(append(1, 3))
    for (const [from, to, maxBytes] of [
      [2, 1, 10],
      [1.5, 2, 10],
      [1, 3, 0],
      [1, 3, Number.NaN],
    ] as const)
      await rejects(
        Promise.resolve().then(() => log.read(from, to, maxBytes)),
        'INVALID_OPTION',
        `a read of ${maxBytes} bytes from ${from} to ${to}`,
      )
    assert.deepEqual(await contents(log, 1, 3), lines(1, 3, 0))
  })
}
