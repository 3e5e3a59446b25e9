import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { straceMissing } from '@raftkit/compliance'
import { levelStorage } from '@raftkit/storage-level'
import { bundle, type Program } from '@raftkit/testing/program'
import { contents } from '@raftkit/testing/records'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { start } from './child.ts'

// What reaches the kernel, seen from outside: strace watches a real process.

const missing = straceMissing()
let program: Program
let directory: string
beforeAll(async () => {
  program = await bundle(new URL('writer.ts', import.meta.url), { external: ['classic-level'] })
}, 60_000)
afterAll(() => program.remove())
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-flush-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** Runs the writer under strace to its end. */
async function traced(options: readonly string[], ...args: string[]): Promise<{ lines: string[]; trace: string }> {
  const output = join(directory, 'trace')
  const store = join(directory, 'store')
  const [mode, ...rest] = args as [string, ...string[]]
  const child = start(['strace', '-f', '-o', output, ...options, process.execPath, program.path, mode, store, ...rest])
  await child.ended
  return { lines: child.lines, trace: await readFile(output, 'utf8') }
}

/** Calls of fsync and fdatasync, by the summary of strace -c. */
function flushes(summary: string): number {
  const rows = summary.split('\n').filter((line) => /\b(fsync|fdatasync)$/.test(line.trim()))
  return rows.reduce((sum, row) => sum + Number(row.trim().split(/\s+/)[3]), 0)
}

describe.skipIf(missing)(`flushes${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it('D5: at least one per awaited write that waited alone', async () => {
    const count = ['-c', '-e', 'trace=fdatasync,fsync']
    const none = await traced(count, 'alone', '4194304', '0', '100')
    await rm(join(directory, 'store'), { recursive: true })
    const { lines, trace } = await traced(count, 'alone', '4194304', '50', '100')
    expect(lines.at(-1)).toBe('end')
    expect(flushes(none.trace)).toBeGreaterThan(0)
    expect(flushes(trace) - flushes(none.trace)).toBeGreaterThanOrEqual(50)
  }, 60_000)

  it('many waiting writes of many groups share one', async () => {
    const { lines, trace } = await traced(['-c', '-e', 'trace=fdatasync'], 'together', '4194304', '20')
    expect(lines.at(-1)).toBe('end')
    // 400 writes in 20 turns of the event loop; opening takes a few more.
    expect(flushes(trace)).toBeGreaterThanOrEqual(20)
    expect(flushes(trace)).toBeLessThan(36)
  }, 60_000)

  it('D5, D6: before a write is acknowledged, its bytes are flushed, and the name of the file that holds them', async () => {
    const writes = 150
    const { lines, trace } = await traced(
      ['-y', '-e', 'trace=fdatasync,fsync,openat,open,write'],
      'alone',
      '65536',
      String(writes),
      '3000',
    )
    expect(lines.filter((line) => line.startsWith('done'))).toHaveLength(writes)

    const unfinished = new Map<string, string>()
    /** Logs of LevelDB whose names were not flushed since they were made. */
    const nameless = new Set<string>()
    let logs = 0
    let flushed = 0
    let latest = ''
    for (const line of trace.split('\n')) {
      const pid = line.split(' ', 1)[0]!
      const resumed = /<\.\.\. (\w+) resumed>/.exec(line)
      if (line.includes('<unfinished')) unfinished.set(pid, line)
      const whole = resumed ? `${unfinished.get(pid)} ${line}` : line
      // A line of the writer counts when it begins, everything else when it ends.
      const said = /write\(1<[^>]*>, "done (\d+)/.exec(line)
      if (said) {
        expect(flushed, `before ${said[0]}`).toBeGreaterThanOrEqual(Number(said[1]))
        expect(nameless.has(latest), `${latest} has no durable name at ${said[0]}`).toBe(false)
      }
      if (line.includes('<unfinished')) continue
      const made = /open(?:at)?\(.*"([^"]*\/level\/\d+\.log)", [^)]*O_CREAT/.exec(whole)?.[1]
      if (made) {
        nameless.add(basename(made))
        logs++
      }
      if (/\bfsync\(\d+<[^>]*\/level>/.test(whole) && / = 0/.test(line)) nameless.clear()
      const log = /fdatasync\(\d+<[^>]*\/level\/(\d+\.log)>/.exec(whole)?.[1]
      if (log && / = 0/.test(line)) {
        flushed++
        latest = log
      }
    }
    expect(logs).toBeGreaterThan(3)
  }, 60_000)

  it('D4: after one that failed, nothing more is acknowledged or tried, and what was acknowledged is found', async () => {
    const log = join(directory, 'store', 'level', '000003.log')
    const { lines } = await traced(
      ['-P', log, '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=8', '-E', 'UV_THREADPOOL_SIZE=1'],
      'alone',
      '4194304',
      '12',
      '100',
    )
    expect(lines.slice(0, 7)).toEqual([1, 2, 3, 4, 5, 6, 7].map((i) => `done ${i}`))
    for (const i of [8, 9, 10, 11, 12])
      expect(lines[i - 1]).toMatch(new RegExp(`^failed ${i} STORAGE_FAILED .*[Ii]nput/output error`))
    expect(lines.at(-1)).toBe('end')

    const storage = levelStorage(join(directory, 'store'))
    const { found } = await storage.log('main')
    expect([7, 8]).toContain(found.last)
    await storage.close()
  }, 60_000)

  it('D7: a batch that the kernel half takes for want of space is written again, once', async () => {
    const log = join(directory, 'store', 'level', '000003.log')
    const { lines } = await traced(
      ['-P', log, '-e', 'trace=write', '-e', 'inject=write:error=ENOSPC:when=8', '-E', 'UV_THREADPOOL_SIZE=1'],
      'alone',
      '4194304',
      '12',
      '9000',
    )
    expect(lines).toEqual([...Array.from({ length: 12 }, (_, i) => `done ${i + 1}`), 'end'])
    const storage = levelStorage(join(directory, 'store'))
    const found = await storage.log('main')
    expect(await contents(found, 1, 12)).toEqual(Array.from({ length: 12 }, (_, i) => `${i + 1}.${i + 1}`))
    await storage.close()
  }, 60_000)
})
