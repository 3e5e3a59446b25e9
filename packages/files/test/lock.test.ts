import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDirectory, folderHolder, lockFolder, replaceFile, syncDirectory } from '@raftkit/files'
import { bundle, type Program } from '@raftkit/testing/program'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'

// It starts many processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let program: Program
let directory: string
const children: ChildProcess[] = []

beforeAll(async () => {
  program = await bundle(new URL('locker.ts', import.meta.url))
})
afterAll(() => program.remove())

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-lock-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await rm(directory, { recursive: true, force: true })
})

/** Starts a process that tries to take the lock, and waits for what it says: HELD, LOCKED … */
async function contender(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [program.path, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  const [said] = await once(child.stdout!, 'data')
  return { child, said: String(said).trim() }
}

describe('a folder lock', () => {
  it('is refused to the same process a second time, until it is released', async () => {
    const lock = await lockFolder(directory)
    await expect(lockFolder(directory)).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringContaining('this very process'),
    })
    await lock.release()
    await lock.release()
    await (await lockFolder(directory)).release()
  })

  it('tells who holds it, and changes nothing', async () => {
    expect(await folderHolder(directory)).toBeUndefined()
    const { child } = await contender()
    expect(await folderHolder(directory)).toBe(String(child.pid))
    child.kill('SIGKILL')
    await once(child, 'exit')
    const left = await readdir(directory)
    expect(await folderHolder(directory)).toBeUndefined()
    expect(await readdir(directory)).toEqual(left)
    const lock = await lockFolder(directory)
    expect(await folderHolder(directory)).toBe(String(process.pid))
    await lock.release()
    await expect(folderHolder(join(directory, 'none'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })

  it('is refused by another way to the same folder', async () => {
    const real = join(directory, 'real')
    await mkdir(real)
    await symlink(real, join(directory, 'link'), 'junction')
    const lock = await lockFolder(real)
    await expect(lockFolder(join(directory, 'link'))).rejects.toMatchObject({ code: 'LOCKED' })
    await lock.release()
  })

  it('D11: is refused to a second process, with the id of the first and what to do', async () => {
    const first = await contender()
    expect(first.said).toBe('HELD')
    const second = await contender()
    expect(second.said).toMatch(/^LOCKED/)
    expect(second.said).toContain(`process ${first.child.pid}`)
    expect(second.said).toContain('a folder of its own')
    await expect(lockFolder(directory)).rejects.toMatchObject({ code: 'LOCKED' })
  })

  it('is free at once when its process was killed, again and again', async () => {
    for (let round = 0; round < 5; round++) {
      const { child, said } = await contender()
      expect(said).toBe('HELD')
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    const lock = await lockFolder(directory)
    await lock.release()
  })

  it('stays held while its process is stopped', async () => {
    const { child, said } = await contender()
    expect(said).toBe('HELD')
    child.kill('SIGSTOP')
    await expect(lockFolder(directory)).rejects.toMatchObject({ code: 'LOCKED' })
    child.kill('SIGCONT')
  })

  it('has one holder when many processes start at once', async () => {
    for (let round = 0; round < 3; round++) {
      const all = await Promise.all(Array.from({ length: 6 }, contender))
      expect(all.filter(({ said }) => said === 'HELD').length).toBeLessThanOrEqual(1)
      for (const { child } of all) {
        if (child.exitCode !== null) continue
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
  })

  it('has one holder at a time when many in one process contend', async () => {
    let holders = 0
    let most = 0
    const work = async () => {
      for (let i = 0; i < 5; i++) {
        try {
          const lock = await lockFolder(directory)
          most = Math.max(most, ++holders)
          await new Promise((wait) => setTimeout(wait, 2))
          holders--
          await lock.release()
        } catch (error) {
          expect(error).toMatchObject({ code: 'LOCKED' })
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, work))
    expect(most).toBe(1)
  })

  it('works in a folder whose path is longer than a socket address, and makes the folder', async () => {
    const long = join(directory, 'x'.repeat(120), 'y'.repeat(120))
    const lock = await lockFolder(long)
    await expect(lockFolder(long)).rejects.toMatchObject({ code: 'LOCKED' })
    await lock.release()
  })

  it('takes no notice of other files, and leaves none but its own', async () => {
    await writeFile(join(directory, 'lock-notes.txt'), 'mine')
    const lock = await lockFolder(directory)
    await lock.release()
    expect((await readdir(directory)).filter((name) => !/^lock(\.pid)?$/.test(name))).toEqual(['lock-notes.txt'])
  })
})

describe('durable files', () => {
  it('are replaced as a whole', async () => {
    const path = join(directory, 'file')
    await replaceFile(path, new Uint8Array([1, 2, 3]))
    await replaceFile(path, new Uint8Array([4]))
    expect([...(await readFile(path))]).toEqual([4])
    expect(await readdir(directory)).toEqual(['file'])
  })

  it('are not touched by a leftover of a replacement that a crash cut short', async () => {
    const path = join(directory, 'file')
    await replaceFile(path, new Uint8Array([1]))
    await writeFile(`${path}.new`, 'half')
    expect([...(await readFile(path))]).toEqual([1])
    await replaceFile(path, new Uint8Array([2]))
    expect([...(await readFile(path))]).toEqual([2])
    expect(await readdir(directory)).toEqual(['file'])
  })

  it('stand in folders that are made with those above', async () => {
    const deep = join(directory, 'a', 'b', 'c')
    await createDirectory(deep)
    await createDirectory(deep)
    await syncDirectory(deep)
    expect(await readdir(join(directory, 'a', 'b'))).toEqual(['c'])
  })

  it('say what failed, with the cause', async () => {
    await expect(replaceFile(join(directory, 'missing', 'file'), new Uint8Array())).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      cause: { code: 'ENOENT' },
    })
    await writeFile(join(directory, 'file'), '')
    await expect(createDirectory(join(directory, 'file', 'below'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })
})
