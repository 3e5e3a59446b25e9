import { storageCompliance } from '@raftkit/compliance'
import { levelStorage } from '@raftkit/storage-level'
import { describe, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })

describe('LevelDB storage', () => {
  storageCompliance({ describe, test }, { open: (directory) => levelStorage(directory) })
})
