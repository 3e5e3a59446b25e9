import { tcpWire, transportCompliance } from '@raftkit/compliance'
import { bundle } from '@raftkit/testing/program'
import { afterAll, describe, test, vi } from 'vitest'
import * as subject from './subject.ts'

vi.setConfig({ testTimeout: 60_000 })
const program = await bundle(new URL('subject.ts', import.meta.url))
afterAll(() => program.remove())

describe('TCP', () => {
  // A queue of four frames, and what is on its way.
  const heldBytes = 24 * 1024 * 1024
  transportCompliance(
    { describe, test },
    { ...subject, program: program.path, wire: tcpWire, orderly: true, heldBytes },
  )
})
