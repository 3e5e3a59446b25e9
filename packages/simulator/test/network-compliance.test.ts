import { setImmediate as nextTurn } from 'node:timers/promises'
import { transportCompliance } from '@raftkit/compliance'
import { replicate } from 'raftkit'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { World } from '../src/index.ts'
import { Process } from '../src/world/process.ts'
import { counters } from './cluster.ts'

vi.setConfig({ testTimeout: 60_000 })

/** In fair weather, the virtual network is a transport like any other. */
describe('virtual network', () => {
  const world = new World({ seed: 1, machine: () => replicate(counters) })
  let over = false
  let running: Promise<void>
  let made = 0
  beforeAll(() => {
    running = (async () => {
      while (!over) {
        await world.run({ until: world.now + 5 })
        await nextTurn()
      }
    })()
  })
  afterAll(() => {
    over = true
    return running
  })
  transportCompliance(
    { describe, test },
    {
      create: () => world.network.transport(new Process(world.server(`server${++made}`), 1)),
      address: () => `place ${++made}`,
      orderly: true,
    },
  )
})
