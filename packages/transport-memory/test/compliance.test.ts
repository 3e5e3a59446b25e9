import { transportCompliance, type Wire } from '@raftkit/compliance'
import { memoryNetwork } from '@raftkit/transport-memory'
import { describe, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })
const network = memoryNetwork()
let used = 0

/** All that is on its way is held; a cut breaks every link. */
async function wire(address: string): Promise<Wire> {
  const unblock = () => {
    network.filter()
    network.release()
  }
  return {
    address,
    block: () => network.filter(() => 'hold'),
    unblock,
    cut: () => {
      for (const id of ['a', 'b']) network.isolate(id)
      network.heal()
    },
    close: unblock,
  }
}

describe('the memory network', () => {
  const subject = { create: () => network.transport(), address: () => `place ${used++}`, wire, orderly: true }
  transportCompliance({ describe, test }, subject)
})
