import { storageCompliance } from '@raftkit/compliance'
import { levelStorage } from '@raftkit/storage-level'
import { bundle } from '@raftkit/testing/program'
import { afterAll, describe, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })
const program = await bundle(new URL('adapter.ts', import.meta.url), { external: ['classic-level'] })
afterAll(() => program.remove())

describe('LevelDB storage', () => {
  storageCompliance({ describe, test }, { open: (directory) => levelStorage(directory), program: program.path })
})

describe('LevelDB storage that moves records to tables all the time', () => {
  const writeBufferBytes = 65_536
  storageCompliance(
    { describe, test },
    {
      open: (directory) => levelStorage(directory, { writeBufferBytes }),
      program: `file://${program.path}?${writeBufferBytes}`,
    },
  )
})
