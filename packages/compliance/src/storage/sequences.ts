import assert from 'node:assert/strict'
import { type Index, isRaftkitError, type LogStore, type Run } from '@raftkit/contract'
import { random } from '../check.ts'
import { Model } from './model.ts'
import type { Place, Promises } from './place.ts'
import { contents, names, text } from './records.ts'
import type { StorageSubject } from './subject.ts'

/** Random writes, reads and restarts, against a naive model. */
export function sequencePromises(it: Promises, { seed = 1 }: StorageSubject): void {
  for (let i = 0; i < 5; i++)
    it(`a log equals its model after many random writes, reads and restarts (seed ${seed + i})`, (place) =>
      walk(place, seed + i))
  for (let i = 0; i < 2; i++)
    it(`reads beside random writes answer with what the log was at some moment since they were called (seed ${seed + i})`, (place) =>
      race(place, seed + i))
}

async function walk(place: Place, seed: number): Promise<void> {
  const below = random(seed)
  const model = new Model()
  let log = await place.log()
  let writes: Promise<void>[] = []
  for (let step = 1; step <= 250; step++) {
    writes.push(log.write(model.next(below, step)))
    if (below(3) === 0) await writes.at(-1)
    if (below(10) === 0 && model.last >= model.first) {
      const from = model.first + below(model.last - model.first + 1)
      assert.deepEqual(await contents(log, from, model.last, 1 + below(5000)), model.lines(from), `step ${step}`)
    }
    if (below(40) > 0) continue
    if (below(2) === 0) await log.close()
    else await place.again()
    await Promise.all(writes)
    writes = []
    log = await place.log()
    equals(log, model, `restart after step ${step}`)
    assert.deepEqual(
      await contents(log, log.found.first, model.last),
      model.lines(log.found.first),
      `restart after step ${step}`,
    )
  }
  await Promise.all(writes)
  assert.deepEqual(await contents(log, model.first, model.last), model.lines(model.first))
}

/** What was found is what the model holds; compacted records may be there or not. */
function equals({ found }: LogStore, model: Model, when: string): void {
  assert.equal(found.last, model.last, `last, ${when}`)
  assert.ok(
    found.first >= model.floor && found.first <= model.first,
    `first is ${found.first}, not from ${model.floor} to ${model.first}, ${when}`,
  )
  assert.equal(text(found.state), model.state, `state, ${when}`)
}

/** Neither reads nor writes are waited for. Every record of an answer is one that its place has held between the call and the answer. */
async function race(place: Place, seed: number): Promise<void> {
  const below = random(seed)
  const model = new Model()
  const log = await place.log()
  const history = [model.copy()]
  const reads: Promise<void>[] = []
  let last: Promise<void> | undefined
  for (let step = 1; step <= 300; step++) {
    last = log.write(model.next(below, step))
    history.push(model.copy())
    if (model.last >= model.first) {
      const from = model.first + below(model.last - model.first + 1)
      const to = Math.min(model.last, from + below(30))
      reads.push(check(log.read(from, to, 1 + below(20_000)), from, to, step))
    }
    if (below(12) === 0) await last
    else if (below(3) === 0) await new Promise((turn) => setImmediate(turn))
  }
  await Promise.all(reads)
  await last

  async function check(read: Promise<Run>, from: Index, to: Index, called: number): Promise<void> {
    const answer = await read.then(names, (error: unknown) => error)
    const since = history.slice(called)
    if (!Array.isArray(answer)) {
      const gone = since.some(({ first, last }) => from < first || to > last)
      const expected = isRaftkitError(answer, 'COMPACTED') || isRaftkitError(answer, 'MISSING')
      assert.ok(gone && expected, `a read from ${from} to ${to} after write ${called} rejected: ${String(answer)}`)
      return
    }
    assert.ok(
      answer.length > 0 && answer.length <= to - from + 1,
      `a read from ${from} to ${to} gave ${answer.length} records`,
    )
    for (const [i, line] of answer.entries())
      assert.ok(
        since.some(({ floor, versions }) => `${from + i}.${versions[from + i - floor]}` === line),
        `a read from ${from} to ${to} after write ${called} gave ${line}`,
      )
  }
}
