import { setImmediate as nextTurn } from 'node:timers/promises'
import { storageCompliance } from '@raftkit/compliance'
import { replicate } from 'raftkit'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { World } from '../src/index.ts'
import { Process } from '../src/world/process.ts'
import { counters } from './cluster.ts'

vi.setConfig({ testTimeout: 60_000 })

/** Without faults, a virtual disk is a storage like any other: what the port promises, it keeps. A server for each directory, a process for each open. */
for (const storage of ['virtual', 'wal'] as const)
  describe(storage === 'wal' ? 'write-ahead log on virtual files' : 'virtual disk', () => {
    const world = new World({ seed: 1, storage, machine: () => replicate(counters) })
    let over = false
    let running: Promise<void>
    beforeAll(() => {
      // Time passes whenever something is due.
      running = (async () => {
        while (!over) {
          await world.run({})
          await nextTurn()
        }
      })()
    })
    afterAll(() => {
      over = true
      return running
    })
    storageCompliance(
      { describe, test },
      {
        open: (directory) => {
          const server = world.server(directory)
          return server.disk.storage(new Process(server, ++server.boots))
        },
        damage: false,
      },
    )
  })
