import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { addresses } from '@raftkit/testing/ports'
import { afterEach, beforeEach, expect, test } from 'vitest'

const built = fileURLToPath(new URL('../dist/counters.js', import.meta.url))
/** Here it finds its packages. */
const parent = fileURLToPath(new URL('../node_modules/.tests', import.meta.url))
const children = new Set<ChildProcess>()
let directory: string
let program: string

beforeEach(async () => {
  if (!existsSync(built)) throw new Error('this test runs the built program: npm run build')
  await mkdir(parent, { recursive: true })
  directory = await mkdtemp(join(parent, 'counters-'))
  program = join(directory, 'counters.mjs')
  // The ports that it prints may be taken on this machine: free ones stand in their place.
  let text = await readFile(built, 'utf8')
  for (const [n, free] of Object.values(await addresses('n1', 'n2', 'n3')).entries()) {
    const printed = `127.0.0.1:${7001 + n}`
    expect(text).toContain(printed)
    text = text.replace(printed, free)
  }
  await writeFile(program, text)
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  await rm(directory, { recursive: true, force: true })
})

/**
 * The program waits for its interrupt right after its last line, and says so to nobody: an interrupt between the two
 * ends it by the signal. Node catches the signal for itself from the start, so the system cannot tell either.
 */
const tellWhenListening = `data:text/javascript,${encodeURIComponent(
  `process.on('newListener', (event) => event === 'SIGINT' && setImmediate(() => process.send('listening')))`,
)}`

interface Counter {
  readonly child: ChildProcess
  /** Resolves once it waits for its interrupt. */
  readonly listening: Promise<unknown>
  /** The next line it prints; rejects with what it complained of if it ends instead. */
  line(): Promise<string>
}

function start(id: string): Counter {
  const child = spawn(process.execPath, ['--import', tellWhenListening, program, id], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  children.add(child)
  const listening = once(child, 'message')
  let complaints = ''
  child.stderr!.on('data', (chunk: Buffer) => {
    complaints += chunk.toString()
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const line = async () => {
    const next = await lines.next()
    if (next.done) throw new Error(`${id} ended: ${complaints}`)
    return next.value
  }
  return { child, listening, line }
}

async function interrupt({ child, listening }: Counter): Promise<number | null> {
  await listening
  child.kill('SIGINT')
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

/** Starts the three and gives what each printed: its own sum, then what it read. */
async function round(): Promise<{ counters: Counter[]; sums: number[]; reads: number[] }> {
  const counters = ['n1', 'n2', 'n3'].map(start)
  const sums = await Promise.all(counters.map(async (counter) => Number(await counter.line())))
  const reads = await Promise.all(counters.map(async (counter) => Number(await counter.line())))
  return { counters, sums, reads }
}

test('run as three processes, the printed program counts every visit once, and goes on counting after a restart', async () => {
  const first = await round()
  // A read is linearizable: it sees at least what its own process had added before.
  for (const [at, read] of first.reads.entries()) expect(read).toBeGreaterThanOrEqual(first.sums[at]!)
  expect(first.sums.sort()).toEqual([1, 2, 3])
  expect(await Promise.all(first.counters.map(interrupt))).toEqual([0, 0, 0])

  const second = await round()
  expect(second.sums.sort()).toEqual([4, 5, 6])
  expect(await Promise.all(second.counters.map(interrupt))).toEqual([0, 0, 0])
}, 60_000)

test('the README prints the program that runs', async () => {
  const [readme, source] = await Promise.all(
    ['../README.md', '../src/counters.ts'].map((path) => readFile(new URL(path, import.meta.url), 'utf8')),
  )
  expect(source!.replace(/^\/\/ biome-ignore.*\n/gm, '')).toBe(/```ts\n([\s\S]*?)```/.exec(readme!)![1])
})
