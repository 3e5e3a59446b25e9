import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { levelStorage } from '@raftkit/storage-level'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Model, random } from './model.ts'
import { bundle, type Child, type Program, start } from './program.ts'
import { contents } from './suite.ts'

let program: Program
let directory: string
const children: Child[] = []
beforeAll(async () => {
  program = await bundle()
}, 60_000)
afterAll(() => program.remove())
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-crash-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.process.kill('SIGKILL')
    await child.ended
  }
  await rm(directory, { recursive: true, force: true })
})

function child(...args: string[]): Child {
  const started = start([process.execPath, program.path, ...args])
  children.push(started)
  return started
}

/** A group after each number of writes, as far as they were issued. */
function history(
  seed: number,
  upTo: number,
): { first: number; last: number; state: string | undefined; lines: string[] }[] {
  const below = random(seed)
  const model = new Model()
  const states = []
  for (let step = 0; step <= upTo; step++) {
    if (step > 0) model.next(below, step)
    states.push({ first: model.first, last: model.last, state: model.state, lines: model.lines() })
  }
  return states
}

describe('a process killed at any moment', () => {
  // A small write buffer moves records to LevelDB's tables all the time, so that kills fall into that too.
  it.each([4_194_304, 65_536])(
    'leaves a prefix of its writes, with every acknowledged one (write buffer %i)',
    async (buffer) => {
      const groups = 3
      const seed = 1000
      const done = Array.from({ length: groups }, () => 0)
      const below = random(buffer)
      for (let round = 0; round < 8; round++) {
        const writer = child('crash', directory, String(buffer), String(seed), ...done.map(String))
        await writer.said((line) => line.startsWith('done'))
        await wait(below(250))
        writer.process.kill('SIGKILL')
        await writer.ended
        const acknowledged = [...done]
        for (const line of writer.lines) {
          const [, group, step] = line.split(' ').map(Number) as [number, number, number]
          expect(step).toBe(acknowledged[group]! + 1)
          acknowledged[group] = step
        }

        const storage = levelStorage(directory)
        for (let g = 0; g < groups; g++) {
          const log = await storage.log(`g${g}`)
          const state = log.found.state && Buffer.from(log.found.state).toString()
          const { first, last } = log.found
          const held = await contents(log, first, last)
          // At most five were under way beyond those acknowledged, or said to be while it was killed.
          const found = history(seed + g, acknowledged[g]! + 10).findIndex(
            (then, writes) =>
              writes >= acknowledged[g]! &&
              then.last === last &&
              then.state === state &&
              then.first >= first &&
              held.slice(then.first - first).join() === then.lines.join(),
          )
          expect(found, `group ${g}: ${first} to ${last}, ${state}`).toBeGreaterThanOrEqual(acknowledged[g]!)
          done[g] = found
        }
        await storage.close()
      }
      // Each round was let go on until something was acknowledged.
      expect(done.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(8)
    },
    60_000,
  )
})

describe('two owners of one directory (D11)', () => {
  it('the second process is refused with the id of the first, and served once that is killed', async () => {
    const holder = child('hold', directory, '65536')
    await holder.said((line) => line === 'held')
    const storage = levelStorage(directory)
    await expect(storage.log('main')).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringContaining(`process ${holder.process.pid}`),
    })
    holder.process.kill('SIGKILL')
    await holder.ended
    await (await storage.log('main')).close()
    await storage.close()
  })

  it('a second storage of the same process is refused, until the first is closed', async () => {
    const first = levelStorage(directory)
    await first.groups()
    const second = levelStorage(directory)
    for (const call of [() => second.log('main'), () => second.groups(), () => second.snapshots('main')])
      await expect(call()).rejects.toMatchObject({ code: 'LOCKED' })
    await first.close()
    expect(await second.groups()).toEqual([])
    await second.close()
  })
})
