import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { levelStorage } from '@raftkit/storage-level'
import { memoryStorage } from '@raftkit/storage-memory'
import { storagePromises } from './suite.ts'

storagePromises('LevelDB storage keeps the promises of the port', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'raftkit-level-'))
  return {
    open: () => levelStorage(directory),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
})

// The same suite over the other adapter: what one does, the other does.
storagePromises('memory storage keeps the promises of the port', async () => {
  const storage = memoryStorage({ durable: true })
  return { open: () => storage, remove: () => storage.close() }
})
