import type { Storage } from '@raftkit/contract'
import { walStorage } from '@raftkit/storage-wal'

// Loaded by the child processes of the compliance suite. The query of its address is the size of a segment.

const segmentBytes = Number(new URL(import.meta.url).search.slice(1)) || 8_388_608

export const open = (directory: string): Storage => walStorage(directory, { segmentBytes })
