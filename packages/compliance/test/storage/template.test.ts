import { storageCompliance } from '@raftkit/compliance'
import { afterAll, describe, test, vi } from 'vitest'
import { open } from '../../template/storage/compliance.js'
import { bundle } from '../bundle.ts'

vi.setConfig({ testTimeout: 60_000 })
const program = await bundle('storage/compliance.js')
afterAll(() => program.remove())

describe('the template of a storage', () => {
  storageCompliance({ describe, test }, { open, program: program.path })
})
