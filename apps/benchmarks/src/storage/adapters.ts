import type { Storage } from '@raftkit/contract'
import { levelStorage } from '@raftkit/storage-level'
import { memoryStorage } from '@raftkit/storage-memory'
import { walStorage } from '@raftkit/storage-wal'

/** The adapters under test, as a program would use them: with their defaults. */
export const adapters = {
  wal: (directory) => walStorage(directory),
  level: (directory) => levelStorage(directory),
  memory: () => memoryStorage(),
} satisfies Record<string, (directory: string) => Storage>

export type Adapter = keyof typeof adapters
