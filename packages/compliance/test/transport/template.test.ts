import { tcpWire, transportCompliance } from '@raftkit/compliance'
import { afterAll, describe, test, vi } from 'vitest'
import * as subject from '../../template/transport/compliance.js'
import { bundle } from '../bundle.ts'

vi.setConfig({ testTimeout: 60_000 })
const program = await bundle('transport/compliance.js')
afterAll(() => program.remove())

describe('the template of a transport', () => {
  transportCompliance({ describe, test }, { ...subject, program: program.path, wire: tcpWire })
})
