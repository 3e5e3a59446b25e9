import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { straceMissing } from '@raftkit/compliance'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../dist/chaos.js', import.meta.url))
let place: string
let child: ChildProcess | undefined

beforeEach(async () => {
  if (!existsSync(program)) throw new Error('this test runs the built programs: npm run build')
  place = await mkdtemp(join(tmpdir(), 'raftkit-chaos-'))
})
afterEach(async () => {
  child?.kill('SIGKILL')
  await rm(place, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

interface Running {
  output: string
  talk: string
  readonly ended: Promise<number | null>
}

function chaos(...args: string[]): Running {
  child = spawn(process.execPath, [program, ...args], { cwd: place, stdio: ['ignore', 'pipe', 'pipe'] })
  const running = { output: '', talk: '', ended: once(child, 'close').then(([code]) => code as number | null) }
  child.stdout!.on('data', (text) => {
    running.output += text
  })
  child.stderr!.on('data', (text) => {
    running.talk += text
  })
  return running
}

/** Processes that work in a directory of this run. */
const members = (seed: string): string[] =>
  execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(join('.tmp', 'chaos', seed)))

const kept = async (): Promise<string[]> => readdir(join(place, '.tmp', 'chaos')).catch(() => [])

test.each([
  ['--seconds', '0'],
  ['--power-cuts', 'many'],
  ['--power-cuts', '5', '--seconds', '9'],
  ['--storage', 'paper'],
  ['--transport', 'pigeon'],
  ['--members', '4'],
])('%s %s is a wrong call', async (...args) => {
  const running = chaos(...args)
  expect(await running.ended).toBe(2)
  expect(running.talk).toContain('usage: chaos')
})

describe.skipIf(straceMissing() !== undefined)('a run', () => {
  test.each([
    [{ transport: 'tcp', tls: false }, []],
    [{ transport: 'ws', tls: true }, ['--transport', 'ws', '--tls']],
  ])(
    'that found nothing leaves a line of figures, and no process and no file: %o',
    async (adapters, flags) => {
      const seed = `clean-${process.pid}`
      const running = chaos('--power-cuts', '1', '--seed', seed, ...flags)
      expect(await running.ended, running.talk).toBe(0)
      expect(JSON.parse(running.output)).toMatchObject({
        powerCuts: 1,
        storage: 'wal',
        ...adapters,
        lost: 0,
        illegal: 0,
        crashes: 0,
      })
      expect(await kept()).toEqual([])
      expect(members(seed)).toEqual([])
    },
    120_000,
  )

  test('that is interrupted, twice, leaves no process and no file', async () => {
    const seed = `interrupted-${process.pid}`
    const running = chaos('--seconds', '600', '--seed', seed)
    const history = join(place, '.tmp', 'chaos', seed, 'history.ndjson')
    while (!existsSync(history) || statSync(history).size === 0) await pause(20)
    expect(members(seed).length).toBeGreaterThanOrEqual(3)
    child!.kill('SIGINT')
    child!.kill('SIGINT')
    expect(await running.ended, running.talk).toBe(130)
    expect(running.output).toBe('')
    expect(await kept()).toEqual([])
    expect(members(seed)).toEqual([])
  }, 120_000)
})
