import assert from 'node:assert/strict'
import { random, sameBytes } from '../check.ts'
import type { Suite } from '../runner.ts'
import { batches } from './applying.ts'
import { Replica, sameResults, streamed } from './replica.ts'
import type { MachineSubject } from './subject.ts'
import type { Promises } from './suite.ts'

/** A snapshot is frozen when it is taken, and restore replaces everything with it. */
export function restoringPromises(suite: Suite, it: Promises, subject: MachineSubject): void {
  it('snapshot, restore and apply give what apply alone gives, wherever the snapshot was taken', async ({
    commands,
  }) => {
    const whole = new Replica(subject)
    await whole.apply(commands)
    for (const part of [0, 0.01, 0.3, 0.5, 0.9, 1]) {
      const cut = Math.floor(commands.length * part)
      const first = new Replica(subject)
      await first.apply(commands.slice(0, cut))
      const restored = new Replica(subject)
      await restored.restore(await first.snapshot())
      await restored.equals(first, `restored after ${cut} commands`)
      await restored.apply(commands.slice(cut))
      sameResults(restored.results, whole.results.slice(cut), `restored after ${cut} commands, and on`)
      await restored.equals(whole, `restored after ${cut} commands, and on to the end`)
      restored.unchanged()
    }
  })

  it('a snapshot is frozen on return: what is applied while it is read does not show', async ({ commands }) => {
    const half = Math.floor(commands.length / 2)
    const [busy, quiet] = [new Replica(subject), new Replica(subject)]
    await busy.apply(commands.slice(0, half))
    await quiet.apply(commands.slice(0, half))
    const snapshot = busy.machine.snapshot()
    const rest = [...batches(commands.slice(half), () => 11)]
    await busy.apply(rest.shift() ?? [])
    const chunks: Uint8Array[] = []
    for await (const chunk of snapshot) {
      chunks.push(chunk)
      await busy.apply(rest.shift() ?? [])
    }
    for (const batch of rest) await busy.apply(batch)
    const restored = new Replica(subject)
    await restored.restore(chunks)
    await restored.equals(quiet, 'a snapshot that was read while commands were applied')
    const whole = new Replica(subject)
    await whole.apply(commands)
    sameResults(busy.results, whole.results, 'the replica that was read')
    await busy.equals(whole, 'the replica that was read')
  })

  it('two snapshots at once, and one that is given up, do not disturb each other', async ({ commands }) => {
    const third = Math.floor(commands.length / 3)
    const replica = new Replica(subject)
    await replica.apply(commands.slice(0, third))
    const early = replica.machine.snapshot()
    const givenUp = replica.machine.snapshot()[Symbol.asyncIterator]()
    await givenUp.next()
    await replica.apply(commands.slice(third, 2 * third))
    const late = replica.machine.snapshot()
    await givenUp.return?.()
    await replica.apply(commands.slice(2 * third))
    for (const [snapshot, end, name] of [
      [late, 2 * third, 'late'],
      [early, third, 'early'],
    ] as const) {
      const [restored, wanted] = [new Replica(subject), new Replica(subject)]
      await restored.restore(await replica.gather(snapshot))
      await wanted.apply(commands.slice(0, end))
      await restored.equals(wanted, `the ${name} snapshot`)
    }
    replica.unchanged()
  })

  it('restore replaces everything', async ({ commands }) => {
    const half = Math.floor(commands.length / 2)
    const source = new Replica(subject)
    await source.apply(commands.slice(0, half))
    const snapshot = await source.snapshot()
    const empty = await new Replica(subject).snapshot()
    const used = new Replica(subject)
    await used.apply(commands)
    await used.restore(snapshot)
    await used.equals(source, 'a machine that held more')
    await used.restore(snapshot)
    await used.equals(source, 'a machine that is restored twice')
    await used.restore(empty)
    await used.equals(new Replica(subject), 'a machine that is restored to the beginning')
    const whole = new Replica(subject)
    await whole.apply(commands)
    await used.apply(commands)
    sameResults(used.results.slice(-commands.length), whole.results, 'a machine that was used before')
    await used.equals(whole, 'a machine that was used before')
  })

  it('how a snapshot is cut into chunks does not show', async ({ commands, seed }) => {
    const source = new Replica(subject)
    await source.apply(commands)
    const chunks = await source.snapshot()
    const image = Buffer.concat(chunks)
    const below = random(seed)
    const most = Math.ceil(image.length / 200)
    const pieces = (size: () => number) => {
      const cut: Uint8Array[] = []
      for (let at = 0; at < image.length; ) {
        const end = at + size()
        cut.push(new Uint8Array(image.subarray(at, end)))
        at = end
      }
      return cut
    }
    for (const [how, cut] of [
      ['one chunk', [new Uint8Array(image)]],
      ['chunks of random sizes', pieces(() => 1 + below(2 * most))],
      ['first bytes one by one', [...pieces(() => 1).slice(0, 50), new Uint8Array(image.subarray(50))]],
    ] as const) {
      const restored = new Replica(subject)
      await restored.restore(cut)
      await restored.equals(source, how)
    }
    assert.ok(image.length > 0, 'a snapshot has bytes')
  })

  const canonical = 'equal states have equal snapshots: taken twice, and after a restore'
  if (subject.canonical === false) suite.skip(canonical, 'the subject says that they have not')
  else
    it(canonical, async ({ commands }) => {
      const source = new Replica(subject)
      await source.apply(commands)
      const image = Buffer.concat(await source.snapshot())
      const restored = new Replica(subject)
      await restored.restore([image])
      sameBytes(Buffer.concat(await source.snapshot()), image, 'the snapshot, taken again')
      sameBytes(
        Buffer.concat(await restored.snapshot()),
        image,
        'the snapshot of the machine that was restored from it',
      )
    })

  it('restore rejects when its chunks do', async ({ commands }) => {
    const source = new Replica(subject)
    await source.apply(commands)
    const chunks = await source.snapshot()
    const failing = async function* () {
      yield* streamed(chunks)
      throw new Error('the disk failed')
    }
    await assert.rejects(
      new Replica(subject).machine.restore(failing()),
      'restore took a snapshot whose chunks ended with an error',
    )
  })
}
