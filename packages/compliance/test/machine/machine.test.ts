import { machineCompliance } from '@raftkit/compliance'
import { describe, expect, test } from 'vitest'
import { testsOf } from '../recorder.ts'
import { brokenMachines } from './broken.ts'
import { Tally, tally } from './tally.ts'

describe('a machine by hand', () => {
  machineCompliance(
    { describe, test },
    tally(() => new Tally()),
  )
})

describe('a broken machine fails where it is broken', () => {
  test.each(brokenMachines)('$mistake', async ({ create, promise, says }) => {
    const run = testsOf((runner) => machineCompliance(runner, tally(create))).get(promise)
    expect(run, promise).toBeDefined()
    await expect(run?.()).rejects.toThrow(says)
  })

  test('a subject with too few commands, or with indexes that do not rise, is refused', async () => {
    const subject = tally(() => new Tally())
    const commands = await subject.commands()
    for (const wrong of [commands.slice(0, 5), [...commands].reverse()]) {
      const tests = testsOf((runner) => machineCompliance(runner, { ...subject, commands: () => wrong }))
      for (const run of tests.values()) await expect(run?.()).rejects.toThrow('INVALID_OPTION')
    }
  })
})
