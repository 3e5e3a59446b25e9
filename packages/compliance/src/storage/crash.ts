import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { LogStore, LogWrite, RaftkitError } from '@raftkit/contract'
import { random, rejects, sameBytes } from '../check.ts'
import type { Suite } from '../runner.ts'
import { bytesOf, readAll } from '../snapshots/blobs.ts'
import { Child } from './child.ts'
import { Model } from './model.ts'
import type { Place, Promises } from './place.ts'
import { append, blob, contents, text } from './records.ts'
import type { StorageSubject } from './subject.ts'

const seeds = [11, 12]
const rounds = 6
const groups = 3

const names = {
  killed: 'a process killed at any moment leaves a prefix of its writes, with every resolved one',
  step: 'a process killed at any moment leaves no write half done',
  committed: 'a snapshot whose commit resolved survives a kill, whole',
  unfinished: 'a snapshot that was being written goes on after a kill, with an intact beginning',
  destroyed: 'a destroyed group stays gone after a kill',
  owner: 'a second process is refused with LOCKED, and served once the first is killed',
}

/** What real processes leave behind that are killed with SIGKILL. The page cache survives that, so unflushed bytes are looked for in flush.ts. */
export function crashPromises(suite: Suite, it: Promises, subject: StorageSubject): void {
  const { program, seed = 1 } = subject
  if (program === undefined || subject.durable === false) {
    const why = subject.durable === false ? 'nothing outlives the process' : 'the subject has no `program`'
    for (const name of Object.values(names)) suite.skip(name, why)
    return
  }
  for (const own of seeds.map((own) => own * seed))
    it(`${names.killed} (seed ${own})`, (place) => killedAtRandom(place, program, own))

  it(names.step, async (place) => {
    const below = random(seed)
    let last = 0
    for (let round = 0; round < 4; round++) {
      // Three things per write, which name each other.
      const changes = Array.from({ length: 400 }, (_, i): LogWrite => {
        const at = last + i + 1
        return { ...append(at, 1, at, 3000), compactTo: Math.max(0, at - 20), state: blob(`${at}`.padEnd(2000)) }
      })
      const child = await Child.start(program, place.directory, { writes: [{ group: 'main', changes }], ahead: 4 })
      const acknowledged = await killAfter(child, below(120))
      const log = await place.log()
      assert.ok(
        log.found.last >= last + (acknowledged[0] ?? 0),
        `record ${last + (acknowledged[0] ?? 0)} is durable and gone`,
      )
      last = log.found.last
      assert.equal(
        text(log.found.state)?.trimEnd(),
        `${last}`,
        `the state belongs to another write than the last record, ${last}`,
      )
      assert.ok(
        log.found.first <= Math.max(1, last - 19),
        `first is ${log.found.first} where the last compaction was to ${last - 20}`,
      )
      const from = Math.max(1, last - 19)
      assert.deepEqual(
        await contents(log, from, last),
        Array.from({ length: last + 1 - from }, (_, i) => `${from + i}.${from + i}`),
      )
      await place.close()
    }
  })

  it(names.committed, async (place) => {
    const chunks = [bytesOf(70_000, 1), bytesOf(70_000, 2)]
    const child = await Child.start(program, place.directory, { snapshot: { name: 's', chunks }, hold: true })
    await child.said((line) => line === 'committed')
    await child.kill()
    const reader = await (await place.snapshots()).open('s')
    sameBytes(await readAll(reader), Buffer.concat(chunks), 'the snapshot')
    await reader.close()
  })

  it(names.unfinished, async (place) => {
    const whole = bytesOf(600_000, 3)
    const chunks = Array.from({ length: 60 }, (_, i) => whole.subarray(i * 10_000, (i + 1) * 10_000).slice())
    const below = random(seed)
    for (let round = 0; round < 3; round++) {
      const child = await Child.start(program, place.directory, { snapshot: { name: `s${round}`, chunks }, hold: true })
      const until = below(chunks.length)
      await child.said((line) => line === `chunk ${until}`)
      await child.kill()
      const store = await place.snapshots()
      const reader = await store.open(`s${round}`).catch((error: RaftkitError) => {
        if (error.code !== 'MISSING') throw error
      })
      if (!reader) {
        const writer = await store.create(`s${round}`)
        assert.ok(writer.bytes <= whole.length, `it holds ${writer.bytes} bytes of ${whole.length}`)
        await writer.write(whole.slice(writer.bytes))
        await writer.commit()
      }
      await reader?.close()
      const again = await store.open(`s${round}`)
      sameBytes(await readAll(again), whole, 'the snapshot that went on')
      await again.close()
      await place.close()
    }
  })

  it(names.destroyed, async (place) => {
    for (const group of ['gone', 'kept']) {
      await (await place.log(group)).write({ ...append(1, 5, 1), state: blob('s') })
      await (await (await place.snapshots(group)).create('s')).commit()
    }
    await place.close()
    const child = await Child.start(program, place.directory, { destroy: 'gone', hold: true })
    await child.said((line) => line === 'destroyed')
    await child.kill()
    assert.deepEqual(await (await place.storage()).groups(), ['kept'])
    assert.deepEqual(await contents(await place.log('kept'), 1, 5), ['1.1', '2.1', '3.1', '4.1', '5.1'])
    await rejects((await place.snapshots('gone')).open('s'), 'MISSING', 'open() of a destroyed snapshot')
  })

  it(names.owner, async (place) => {
    const child = await Child.start(program, place.directory, { hold: true })
    await child.said((line) => line === 'held')
    const attempt = async (): Promise<LogStore> => place.log()
    await rejects(attempt(), 'LOCKED', 'log() while another process holds it')
    await child.kill()
    const log = await place.log()
    await log.write(append(1, 1))
  })
}

/** Kills the process; returns how many writes of each group had resolved, checking their order. */
async function killAfter(
  child: Child,
  ms: number,
  since: 'started' | 'first resolved' = 'first resolved',
): Promise<number[]> {
  if (since === 'first resolved') await child.said((line) => line.startsWith('done'))
  await wait(ms)
  await child.kill()
  const done = Array.from({ length: groups }, () => 0)
  for (const line of child.lines) {
    const [word, group = 0, n = 0] = line.split(' ').map((part, i) => (i === 0 ? part : Number(part))) as [
      string,
      number,
      number,
    ]
    if (word !== 'done') continue
    assert.equal(n, done[group], 'writes resolve in the order of the calls')
    done[group] = n + 1
  }
  return done
}

/** Several lives on one directory; each goes on behind the writes that were found done. */
async function killedAtRandom(place: Place, program: string | URL, seed: number): Promise<void> {
  const below = random(seed)
  const lives = Array.from({ length: groups }, (_, g) => ({
    model: new Model(),
    below: random(seed * 100 + g),
    step: 0,
  }))
  for (let round = 0; round < rounds; round++) {
    // What each group would be after each of the writes of this life.
    const histories = lives.map(({ model, below, step }) => {
      const then = [model]
      const changes: LogWrite[] = []
      for (let i = 1; i <= 300; i++) {
        const next = then.at(-1)!.copy()
        changes.push(next.next(below, step + i))
        then.push(next)
      }
      return { then, changes }
    })
    const writes = histories.map(({ changes }, g) => ({ group: `g${g}`, changes }))
    const child = await Child.start(program, place.directory, { writes, ahead: 5 })
    // Every second one falls into the start, too, which repairs what the kill before it left.
    const resolved = await (round % 2 ? killAfter(child, 40 + below(120), 'started') : killAfter(child, below(200)))
    for (const [g, { then }] of histories.entries()) {
      const log = await place.log(`g${g}`)
      const { found } = log
      const held = await contents(log, found.first, found.last)
      const state = text(found.state)
      const fits = then.map(
        (model) =>
          model.last === found.last &&
          model.state === state &&
          model.floor <= found.first &&
          found.first <= model.first &&
          model.lines(found.first).join() === held.join(),
      )
      const count = fits.lastIndexOf(true)
      const what = `seed ${seed}, life ${round}, group g${g}: ${found.first} to ${found.last}, state ${state}`
      assert.ok(count >= 0, `${what} is no prefix of the writes`)
      assert.ok(count >= resolved[g]!, `${what} holds ${count} writes of ${resolved[g]} that had resolved`)
      lives[g]!.model = then[count]!.copy()
      lives[g]!.step += 300
    }
    await place.close()
  }
}
