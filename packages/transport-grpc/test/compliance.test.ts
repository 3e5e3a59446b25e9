import { tcpWire, transportCompliance } from '@raftkit/compliance'
import { describe, test, vi } from 'vitest'
import * as subject from './subject.ts'

vi.setConfig({ testTimeout: 60_000 })
const program = new URL('child/program.mjs', import.meta.url)

describe('gRPC', () => {
  transportCompliance({ describe, test }, { ...subject, program, wire: tcpWire, orderly: true })
})
