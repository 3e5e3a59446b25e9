import { describe, test } from 'node:test'
import { tcpWire, transportCompliance } from '@raftkit/compliance'
import * as subject from '../compliance.js'

const program = new URL('../compliance.js', import.meta.url)
describe('template transport', () => transportCompliance({ describe, test }, { ...subject, program, wire: tcpWire }))
