import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { levelStorage } from '@raftkit/storage-level'
import { bundle, type Program } from '@raftkit/testing/program'
import { contents } from '@raftkit/testing/records'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Child, start } from './child.ts'

// A disk of eight megabytes that is really full. Mounting one takes root.

const folder = mkdtempSync(join(tmpdir(), 'raftkit-full-'))

function mount(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const unmount = (): unknown => execFileSync('umount', ['-l', folder], { stdio: 'ignore' })

const possible = mount()
if (possible) unmount()
const title = possible ? '' : ' (skipped: a small tmpfs cannot be mounted: not root, or not Linux)'

describe.skipIf(!possible)(`D7: a full disk${title}`, () => {
  const store = join(folder, 'store')
  const filler = join(folder, 'filler')
  let program: Program
  const children: Child[] = []
  beforeAll(async () => {
    mount()
    program = await bundle(new URL('writer.ts', import.meta.url), { external: ['classic-level'] })
  }, 60_000)
  afterEach(async () => {
    for (const child of children.splice(0)) {
      child.process.kill('SIGKILL')
      await child.ended
    }
    await rm(store, { recursive: true, force: true })
    await rm(filler, { force: true })
  })
  afterAll(async () => {
    await program.remove()
    unmount()
    rmSync(folder, { recursive: true })
  })

  function writer(buffer: number): Child {
    const child = start([process.execPath, program.path, 'full', store, String(buffer), '100', '20000'])
    children.push(child)
    return child
  }

  it.each([4_194_304, 65_536])(
    'the write stays pending, reads go on, and all goes on once there is room (write buffer %i)',
    async (buffer) => {
      await writeFile(filler, new Uint8Array(6_600_000))
      const child = writer(buffer)
      const [, held, , found, , pending] = (await child.said((line) => line.startsWith('full'))).split(' ')
      expect(Number(held)).toBeGreaterThan(5)
      expect(Number(found)).toBeGreaterThan(5)
      expect(Number(pending)).toBe(1)
      expect(child.lines.some((line) => line.startsWith('failed'))).toBe(false)
      await rm(filler)
      await child.said((line) => line === 'end 100')
      await child.ended
      expect(child.lines.filter((line) => line.startsWith('done'))).toHaveLength(100)

      const storage = levelStorage(store)
      const log = await storage.log('main')
      expect(await contents(log, 1, 100)).toEqual(Array.from({ length: 100 }, (_, i) => `${i + 1}.${i + 1}`))
      await storage.close()
    },
    60_000,
  )

  it('a process that is killed while it waits for room has lost nothing that it acknowledged', async () => {
    await writeFile(filler, new Uint8Array(6_600_000))
    const child = writer(65_536)
    const held = Number((await child.said((line) => line.startsWith('full'))).split(' ')[1])
    child.process.kill('SIGKILL')
    await child.ended
    const full = levelStorage(store)
    await full.log('main').then(
      (log) => expect(log.found.last).toBeGreaterThanOrEqual(held),
      (error) => expect(error).toMatchObject({ code: 'STORAGE_FAILED', retryable: true }),
    )
    await full.close()
    await rm(filler)
    const storage = levelStorage(store)
    const log = await storage.log('main')
    expect(log.found.last).toBeGreaterThanOrEqual(held)
    expect(log.found.last).toBeLessThanOrEqual(held + 1)
    expect(await contents(log, 1, held)).toHaveLength(held)
    await storage.close()
  }, 60_000)

  it('close rejects what still waits for room, and ends', async () => {
    await writeFile(filler, new Uint8Array(6_600_000))
    const child = writer(4_194_304)
    const held = Number((await child.said((line) => line.startsWith('full'))).split(' ')[1])
    child.process.stdin!.write('close\n')
    await child.said((line) => line === `failed ${held + 1} STORAGE_FAILED`)
    await child.ended
    await rm(filler)
    const storage = levelStorage(store)
    const { found } = await storage.log('main')
    expect(found.last).toBeGreaterThanOrEqual(held)
    await storage.close()
  }, 60_000)
})
