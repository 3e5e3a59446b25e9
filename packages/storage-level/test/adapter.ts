import type { Storage } from '@raftkit/contract'
import { levelStorage } from '@raftkit/storage-level'

// Loaded by the child processes of the compliance suite. The query of its address is the size of the write buffer.

const writeBufferBytes = Number(new URL(import.meta.url).search.slice(1)) || 4_194_304

export const open = (directory: string): Storage => levelStorage(directory, { writeBufferBytes })
