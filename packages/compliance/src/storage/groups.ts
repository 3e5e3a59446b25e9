import assert from 'node:assert/strict'
import { rejects } from '../check.ts'
import { foundIs, type Promises } from './place.ts'
import { append, blob, contents, lines } from './records.ts'

/** Many groups in one storage. */
export function groupPromises(it: Promises): void {
  it('groups are apart from each other, whatever their names', async (place) => {
    const names = ['a', 'A', 'ab', 'a.b', 'a-b', 'a_b', 'con', '0', 'x.', `${'x'.repeat(63)}Y`]
    for (const [i, group] of names.entries())
      await (await place.log(group)).write({ ...append(1, i + 1, i), state: blob(group) })
    await place.again()
    assert.deepEqual([...(await (await place.storage()).groups())].sort(), [...names].sort())
    for (const [i, group] of names.entries()) {
      const log = await place.log(group)
      foundIs(log, 1, i + 1, group)
      assert.deepEqual(await contents(log, 1, i + 1), lines(1, i + 1, i))
    }
  })

  it('groups() lists a group that holds a state, a log or a snapshot alone', async (place) => {
    await (await place.log('stated')).write({ state: blob('s') })
    await (await place.log('logged')).write(append(1, 1))
    const writer = await (await place.snapshots('Snapped')).create('s')
    await writer.write(blob('x'))
    await writer.commit()
    const expected = ['Snapped', 'logged', 'stated']
    assert.deepEqual([...(await (await place.storage()).groups())].sort(), expected)
    await place.again()
    assert.deepEqual([...(await (await place.storage()).groups())].sort(), expected)
  })

  it('a destroyed group is gone, log and snapshots, and the others are not', async (place) => {
    const storage = await place.storage()
    for (const group of ['gone', 'kept']) {
      const log = await place.log(group)
      await log.write({ ...append(1, 10, 1), state: blob('s') })
      const snapshots = await place.snapshots(group)
      await (await snapshots.create('whole')).commit()
      const part = await snapshots.create('part')
      await part.write(blob('part'))
      await part.close()
      await log.close()
    }
    await storage.destroy('gone')
    await storage.destroy('never-was')
    for (const life of [1, 2]) {
      assert.deepEqual(await (await place.storage()).groups(), ['kept'], `groups() in life ${life}`)
      await rejects((await place.snapshots('gone')).open('whole'), 'MISSING', 'open() of a destroyed snapshot')
      const log = await place.log('kept')
      foundIs(log, 1, 10, 's')
      assert.deepEqual(await contents(log, 1, 10), lines(1, 10, 1))
      const reader = await (await place.snapshots('kept')).open('whole')
      await reader.close()
      if (life === 1) await place.again()
    }
    assert.equal(
      (await (await place.snapshots('gone')).create('part')).bytes,
      0,
      'bytes of a destroyed unfinished snapshot',
    )
  })

  it('a destroyed group begins anew', async (place) => {
    const log = await place.log('again')
    await log.write({ ...append(1, 10, 1), state: blob('old') })
    await log.close()
    await (await place.storage()).destroy('again')
    const anew = await place.log('again')
    foundIs(anew, 1, 0)
    await anew.write(append(1, 2, 2))
    await place.again()
    const found = await place.log('again')
    foundIs(found, 1, 2)
    assert.deepEqual(await contents(found, 1, 2), lines(1, 2, 2))
  })

  it('a group whose log is open is not destroyed: LOCKED', async (place) => {
    const log = await place.log()
    await log.write(append(1, 3, 1))
    await rejects((await place.storage()).destroy('main'), 'LOCKED', 'destroy() of an open log')
    assert.deepEqual(await contents(log, 1, 3), lines(1, 3, 1))
    await log.write(append(4, 1, 1))
    await place.again()
    foundIs(await place.log(), 1, 4)
  })

  it('what is no name is refused, and is never a path', async (place) => {
    const storage = await place.storage()
    for (const group of [
      '',
      '.',
      '..',
      '../x',
      'a/b',
      'a\\b',
      '.a',
      '-a',
      'a\0',
      'ä',
      'x'.repeat(65),
      7 as never,
      undefined as never,
    ])
      for (const call of ['log', 'snapshots', 'destroy'] as const)
        await rejects(
          Promise.resolve().then<unknown>(() => storage[call](group)),
          'INVALID_OPTION',
          `${call}(${JSON.stringify(group)})`,
        )
  })

  it('a hundred groups are written side by side', async (place) => {
    const names = Array.from({ length: 100 }, (_, i) => `g${i}`)
    const logs = await Promise.all(names.map((group) => place.log(group)))
    for (let round = 0; round < 5; round++)
      await Promise.all(
        logs.map((log, i) => log.write({ ...append(1 + round * 2, 2, i), state: blob(`${i}.${round}`) })),
      )
    await place.again()
    assert.equal((await (await place.storage()).groups()).length, 100)
    for (const [i, group] of names.entries()) {
      const log = await place.log(group)
      foundIs(log, 1, 10, `${i}.4`)
      assert.deepEqual(await contents(log, 1, 10), lines(1, 10, i))
    }
  })
}
