import { tcpWire, transportCompliance } from '@raftkit/compliance'
import { describe, test, vi } from 'vitest'
import * as subject from '../compliance.js'

vi.setConfig({ testTimeout: 60_000 })
const program = new URL('../compliance.js', import.meta.url)
describe('template transport', () => transportCompliance({ describe, test }, { ...subject, program, wire: tcpWire }))
