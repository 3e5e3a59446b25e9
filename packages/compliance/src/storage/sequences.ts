import assert from 'node:assert/strict'
import type { LogStore } from '@raftkit/contract'
import { random } from '../check.ts'
import { Model } from './model.ts'
import type { Place, Promises } from './place.ts'
import { contents, text } from './records.ts'
import type { StorageSubject } from './subject.ts'

/** Random writes, reads and restarts, against a naive model. */
export function sequencePromises(it: Promises, { seed = 1 }: StorageSubject): void {
  for (let i = 0; i < 5; i++)
    it(`a log equals its model after many random writes, reads and restarts (seed ${seed + i})`, (place) =>
      walk(place, seed + i))
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
