import { storageCompliance } from '@raftkit/compliance'
import type { Storage } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { describe, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })

describe('memory storage', () => {
  storageCompliance({ describe, test }, { open: () => memoryStorage(), durable: false, reopens: true, damage: false })
})

describe('memory storage that tests restart a node on', () => {
  const kept = new Map<string, Storage>()
  const open = (directory: string): Storage => {
    const storage = kept.get(directory) ?? memoryStorage({ durable: true })
    kept.set(directory, storage)
    return storage
  }
  storageCompliance({ describe, test }, { open, reopens: true, damage: false })
})
