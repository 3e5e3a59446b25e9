import assert from 'node:assert/strict'
import type { Command } from '@raftkit/contract'
import { random, sameBytes } from '../check.ts'
import type { Suite } from '../runner.ts'
import { elsewhere } from './elsewhere.ts'
import { Replica, sameResults } from './replica.ts'
import type { MachineSubject } from './subject.ts'
import type { Promises } from './suite.ts'

/** Equal commands give equal states and equal results, wherever, whenever and in whatever batches they are applied. */
export function applyingPromises(suite: Suite, it: Promises, subject: MachineSubject): void {
  it('the version is a whole number from 0 on, the same in every instance, and stays', async ({ commands }) => {
    const [one, two] = [new Replica(subject), new Replica(subject)]
    const { version } = one.machine
    assert.ok(Number.isSafeInteger(version) && version >= 0, `version is ${version}`)
    await one.apply(commands)
    assert.equal(one.machine.version, version)
    assert.equal(two.machine.version, version)
  })

  it('a new machine is empty, whatever others have applied', async ({ commands }) => {
    const [before, answers] = [await new Replica(subject).snapshot(), structuredClone(new Replica(subject).answers())]
    const image = Buffer.concat(before)
    await new Replica(subject).apply(commands)
    const after = new Replica(subject)
    assert.deepEqual(after.answers(), answers, 'what an empty machine answers, beside one that has applied much')
    if (subject.canonical !== false)
      sameBytes(Buffer.concat(await after.snapshot()), image, 'the snapshot of an empty machine beside one that is not')
  })

  it('equal commands give equal results and equal states', async ({ commands }) => {
    const [one, two] = [new Replica(subject), new Replica(subject)]
    for (const command of commands) {
      await one.apply([command])
      await two.apply([command])
      sameResults(two.results.slice(-1), one.results.slice(-1), `command ${command.index}`)
    }
    await two.equals(one, 'two replicas')
    one.unchanged()
    two.unchanged()
  })

  it('neither clock nor dice of the machine that runs it show', async ({ commands }) => {
    const [here, there] = [new Replica(subject), new Replica(subject)]
    await here.steps(commands)
    await elsewhere(() => there.steps(commands))
    sameResults(there.results, here.results, 'a replica at another time')
    await there.equals(here, 'a replica at another time')
  })

  it('how commands are split into batches does not show', async ({ commands, seed }) => {
    const single = new Replica(subject)
    await single.steps(commands)
    const whole = new Replica(subject)
    await whole.apply(commands)
    sameResults(whole.results, single.results, 'all in one batch')
    await whole.equals(single, 'all in one batch')
    const below = random(seed)
    for (let round = 0; round < 10; round++) {
      const split = new Replica(subject)
      for (const batch of batches(commands, () => 1 + below(round < 5 ? 5 : 100))) await split.apply(batch)
      sameResults(split.results, single.results, `random batches, round ${round}`)
      await split.equals(single, `random batches, round ${round}`)
    }
  })

  it('bytes are left alone: data that came, results that were given', async ({ commands }) => {
    const replica = new Replica(subject)
    for (const batch of batches(commands, () => 7)) await replica.apply(batch)
    await replica.snapshot()
    replica.unchanged()
  })

  const unknown = 'a command that the machine does not know throws, on every replica'
  const { unknown: data } = subject
  if (data === undefined) suite.skip(unknown, 'the subject gives none')
  else
    it(unknown, async ({ commands }) => {
      const stranger: Command = { ...commands.at(-1)!, index: commands.at(-1)!.index + 1, data }
      for (let n = 0; n < 2; n++) {
        const replica = new Replica(subject)
        await replica.apply(commands)
        await assert.rejects(
          async () => replica.machine.apply([stranger]),
          'apply skipped a command that it does not know',
        )
      }
    })

  it('a query changes nothing', async ({ commands }) => {
    const [asked, quiet] = [new Replica(subject), new Replica(subject)]
    asked.answers()
    for (const batch of batches(commands, () => 9)) {
      await asked.apply(batch)
      await quiet.apply(batch)
      assert.deepEqual(asked.answers(), asked.answers(), 'the answers to the same questions, asked twice')
    }
    sameResults(asked.results, quiet.results, 'a replica that is asked')
    await quiet.equals(asked, 'a replica that was not asked')
  })

  it('an answer stays what it was, whatever is applied afterwards', async ({ commands }) => {
    const replica = new Replica(subject)
    const kept: { readonly answers: unknown[]; readonly copies: unknown }[] = []
    for (const batch of batches(commands, () => Math.ceil(commands.length / 10))) {
      const answers = replica.answers()
      kept.push({ answers, copies: structuredClone(answers) })
      await replica.apply(batch)
    }
    for (const { answers, copies } of kept)
      assert.deepEqual(answers, copies, 'an answer has changed since it was given')
  })
}

export function* batches(commands: readonly Command[], size: () => number): Generator<readonly Command[]> {
  for (let at = 0; at < commands.length; ) {
    const end = at + size()
    yield commands.slice(at, end)
    at = end
  }
}
