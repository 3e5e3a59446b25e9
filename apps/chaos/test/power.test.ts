import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { straceMissing } from '@raftkit/compliance'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Power } from '../src/power/power.ts'
import { Random } from '../src/random.ts'

/** Appends a line to a file without end, flushed as `how` says, and says each number once it thinks that it is there for good. */
const program = (how: string): string => `
import { fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs'
const [directory] = process.argv.slice(2)
const file = openSync(directory + '/lines', ${how === 'written through' ? "'as'" : "'a'"})
fsyncSync(openSync(directory, 'r'))
for (let n = 1; ; n++) {
  writeSync(file, String(n).padStart(1023) + '\\n')
  ${how === 'flushed' ? 'fdatasyncSync(file)' : ''}
  writeSync(1, n + '\\n')
}
`

let root: string
let child: ChildProcess | undefined
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'raftkit-power-')))
})
afterEach(async () => {
  child?.kill('SIGKILL')
  await rm(root, { recursive: true, force: true })
})

/** Runs it until it has said so many lines, kills it, cuts the power: what it said last, and what is on the disk. */
async function life(power: Power, directory: string): Promise<{ said: number; held: number[]; lost: number }> {
  const [command = '', ...under] = power.under()
  child = spawn(command, [...under, process.execPath, join(root, 'program.mjs'), directory], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  let said = 0
  for await (const line of createInterface({ input: child.stdout! })) {
    said = Number(line)
    if (said === 20) child.kill('SIGKILL')
  }
  child.stderr!.resume()
  await ended
  const { lost } = await power.cut()
  const path = join(directory, 'lines')
  const lines = existsSync(path) ? (await readFile(path, 'utf8')).split('\n').slice(0, -1) : []
  return { said, held: lines.map(Number), lost }
}

const missing = straceMissing()

describe.skipIf(missing !== undefined)(`a power cut${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  test.each(['flushed', 'written through'])(
    'leaves what was %s before it was told, and takes of the rest what the draws say',
    async (how) => {
      await writeFile(join(root, 'program.mjs'), program(how))
      const directory = join(root, 'store')
      const power = new Power(directory, join(root, 'trace'), new Random(how))
      let before = 0
      for (let lives = 0; lives < 5; lives++) {
        const { said, held } = await life(power, directory)
        // Each life goes on behind what the one before left, its last line perhaps torn.
        const own = held.slice(before)
        expect(own.filter((n) => n >= 1 && n <= said).length).toBeGreaterThanOrEqual(said)
        before = held.length
      }
    },
    60_000,
  )

  test('takes what was never flushed, in some lives all of it', async () => {
    await writeFile(join(root, 'program.mjs'), program('not flushed'))
    let took = 0
    for (let seed = 0; seed < 5; seed++) {
      const directory = join(root, `store-${seed}`)
      const { said, held, lost } = await life(new Power(directory, join(root, 'trace'), new Random(seed)), directory)
      const whole = held.filter((n, at) => n === at + 1).length
      if (whole < said) took++
      expect(whole < said ? lost : 1).toBeGreaterThan(0)
    }
    expect(took).toBeGreaterThan(0)
  }, 60_000)
})
