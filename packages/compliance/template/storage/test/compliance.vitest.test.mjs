import { storageCompliance } from '@raftkit/compliance'
import { describe, test, vi } from 'vitest'
import { subject } from '../compliance.js'

vi.setConfig({ testTimeout: 60_000 })
describe('template storage', () => storageCompliance({ describe, test }, subject))
