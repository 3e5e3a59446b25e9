import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { levelStorage } from '@raftkit/storage-level'
import { storagePromises } from '../../storage-memory/test/suite.ts'

storagePromises('LevelDB storage keeps the promises of the port', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'raftkit-level-'))
  return {
    open: () => levelStorage(directory),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
})
