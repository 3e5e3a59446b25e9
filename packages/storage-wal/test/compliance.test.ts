import { storageCompliance } from '@raftkit/compliance'
import { walStorage } from '@raftkit/storage-wal'
import { bundle } from '@raftkit/testing/program'
import { afterAll, describe, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })
const program = await bundle(new URL('adapter.ts', import.meta.url))
afterAll(() => program.remove())

describe('a write-ahead log', () => {
  storageCompliance({ describe, test }, { open: (directory) => walStorage(directory), program: program.path })
})

describe('a write-ahead log of many small segments', () => {
  const segmentBytes = 65_536
  storageCompliance(
    { describe, test },
    {
      open: (directory) => walStorage(directory, { segmentBytes }),
      program: `file://${program.path}?${segmentBytes}`,
    },
  )
})
