import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspectWal, walStorage } from '@raftkit/storage-wal'
import { bundle, type Program } from '@raftkit/testing/program'
import { append } from '@raftkit/testing/records'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })
let program: Program
let directory: string
beforeAll(async () => {
  program = await bundle(new URL('../src/cli.ts', import.meta.url))
}, 60_000)
afterAll(() => program.remove())
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-wal-cli-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

const run = (...args: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, [program.path, ...args], (_, out, error) =>
      resolve({ code: child.exitCode ?? -1, out, error }),
    )
  })

async function member(): Promise<void> {
  const storage = walStorage(directory)
  const log = await storage.log('main')
  await log.write({ ...append(1, 3, 1), state: Buffer.from('vote') })
  await log.write({ ...append(3, 2, 2), compactTo: 1 })
  const other = await storage.log('other')
  await other.write(append(1, 1))
  await other.close()
  await storage.destroy('other')
  await storage.close()
}

/** Every file with its size and time of change. */
async function traces(): Promise<string[]> {
  const names = await readdir(directory, { recursive: true })
  return Promise.all(
    names.sort().map(async (name) => {
      const { size, mtimeMs } = await stat(join(directory, name))
      return `${name} ${size} ${mtimeMs}`
    }),
  )
}

async function alter(at: number): Promise<void> {
  const path = join(directory, 'log', '000000000001.wal')
  const bytes = await readFile(path)
  bytes[at]! ^= 1
  await writeFile(path, bytes)
}

describe('raftkit-wal', () => {
  it('lists, shows and verifies a whole log, and changes nothing', async () => {
    await member()
    const before = await traces()
    const ls = await run('ls', directory)
    expect(ls).toMatchObject({ code: 0, error: '' })
    expect(ls.out).toMatch(/^000000000001\.wal {2}needed, \d+ of \d+ B, from flush 1$/m)
    expect(ls.out).toMatch(/^group main {2}2 to 4, state 4 B$/m)
    const show = await run('show', directory)
    expect(show.code).toBe(0)
    expect(show.out.split('\n').map((line) => line.replace(/^(\d+) .* B: /, '$1 '))).toEqual([
      '1 main +1..3 = 1..3 state 4 B',
      '2 main +3..4 = 2..4',
      '3 other +1 = 1..1',
      '4 other destroyed',
      '',
    ])
    const verify = await run('verify', directory)
    expect(verify).toMatchObject({ code: 0 })
    expect(verify.out).toContain('4 flushes (the mark knows 4), 1 groups')
    expect(await traces()).toEqual(before)
  })

  it('speaks JSON, a line per object', async () => {
    await member()
    const show = (await run('show', directory, '--json')).out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(show[1]).toMatchObject({
      number: 2,
      sound: true,
      groups: [{ group: 'main', first: 2, last: 4, pieces: [{ at: 3, count: 2, moved: false }] }],
    })
    expect(show.at(-1)).toMatchObject({ flushes: 4, groups: [{ group: 'main', first: 2, last: 4, state: 4 }] })
    expect(JSON.parse((await run('verify', directory, '--json')).out)).toMatchObject({ whole: true, damagedGroups: [] })
  })

  it('tells whom damage concerns, and exits with 1', async () => {
    await member()
    // The first flush: a header of 64 bytes, a head of 98, and then records, of which the second is needed.
    await alter(64 + 40 + 30 + 8 + 20 + 24 + 10)
    const group = await run('verify', directory)
    expect(group).toMatchObject({ code: 1 })
    expect(group.out).toContain('DAMAGED group main: the records from 1 on are altered')
    expect((await run('show', directory)).out).toContain('ALTERED')
    await alter(64 + 45)
    const all = await run('verify', directory)
    expect(all).toMatchObject({ code: 1 })
    expect(all.out).toMatch(/^DAMAGED .*; the data of this member is not to be trusted/)
    expect(JSON.parse((await run('verify', directory, '--json')).out)).toMatchObject({ whole: false })
  })

  it('exits with 2 while a process holds the directory, and names it', async () => {
    const storage = walStorage(directory)
    await storage.log('main')
    expect(await run('verify', directory)).toMatchObject({
      code: 2,
      error: expect.stringContaining(`process ${process.pid} holds`),
    })
    await expect(inspectWal(directory)).rejects.toMatchObject({ code: 'LOCKED' })
    await storage.close()
    expect(await run('verify', directory)).toMatchObject({ code: 0 })
  })

  it('exits with 3 where there is no log, or a wrong argument', async () => {
    expect(await run('verify', directory)).toMatchObject({ code: 3, error: expect.stringContaining('MISSING') })
    expect(await run('verify', join(directory, 'none'))).toMatchObject({
      code: 3,
      error: expect.stringContaining('MISSING'),
    })
    expect(await readdir(directory)).toEqual([])
    for (const args of [
      [],
      ['verify'],
      ['repair', directory],
      ['ls', directory, directory],
      ['ls', directory, '--yaml'],
    ])
      expect((await run(...args)).code).toBe(3)
    expect(await run('--help')).toMatchObject({ code: 0, out: expect.stringContaining('Usage: raftkit-wal') })
  })
})
