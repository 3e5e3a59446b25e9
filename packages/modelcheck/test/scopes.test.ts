import { expect, test, vi } from 'vitest'
import { run } from '../src/campaign.ts'
import { scopes } from '../src/scopes/index.ts'
import { exploreBlobs } from '../src/storage/blobs.ts'
import { Disk } from '../src/storage/disk.ts'
import { exploreLog } from '../src/storage/log.ts'

// Much to compute, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 })

test.each(scopes)(
  'nothing is wrong in the first states of “$name”: $about',
  async ({ name }) => {
    const { violation, distinctStates } = await run(name, { states: 1000, symmetry: true, reduce: true })
    expect(violation, violation?.steps.join('\n')).toBeUndefined()
    expect(distinctStates).toBeGreaterThan(500)
  },
  60_000,
)

test('the snapshot files survive a power cut after any file operation of any four calls', async () => {
  expect(await exploreBlobs(4)).toMatchObject({ exhausted: true, depth: 4 })
})

test.each(['files', 'folders'] as const)('flushes of %s that do nothing are noticed', async (lies) => {
  const { violation } = await exploreBlobs(4, {}, new Disk(lies))
  expect(violation?.steps.join('; ')).toContain('commit')
})

test('the write-ahead log survives a power cut after any file operation of any two calls', async () => {
  const { violation, exhausted } = await exploreLog(2)
  expect(violation, violation?.what).toBeUndefined()
  expect(exhausted).toBe(true)
}, 60_000)

test.each(['files', 'folders'] as const)(
  'flushes of %s that do nothing under the write-ahead log are noticed',
  async (lies) => {
    const { violation } = await exploreLog(2, {}, new Disk(lies))
    expect(violation?.invariant).toBe('a prefix is found')
  },
  60_000,
)
