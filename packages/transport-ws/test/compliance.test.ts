import { tcpWire, transportCompliance } from '@raftkit/compliance'
import { afterAll, describe, test, vi } from 'vitest'
import { bundle } from './bundle.ts'
import * as subject from './subject.ts'

vi.setConfig({ testTimeout: 60_000 })
const program = await bundle('subject.ts')
afterAll(() => program.remove())

describe('WebSocket', () => {
  // A queue of four frames, and what is on its way.
  const heldBytes = 24 * 1024 * 1024
  transportCompliance({ describe, test }, { ...subject, program: program.url, wire: tcpWire, orderly: true, heldBytes })
})
