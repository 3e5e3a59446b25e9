import { createAuthority, issue } from '@raftkit/certificates'
import { tcpWire, transportCompliance } from '@raftkit/compliance'
import { bundle } from '@raftkit/testing/program'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import * as subject from './subject.ts'

vi.setConfig({ testTimeout: 60_000 })
const program = await bundle(new URL('subject.ts', import.meta.url))
afterAll(() => program.remove())
const { ca, cert, key } = await issue(await createAuthority({ cluster: 'c' }), { node: 'n1' })

const security = { tls: { ca, cert, key }, secret: 'nobody but us knows these words of mine' }

// Each by itself: trust.test.ts.
describe('TCP with TLS and a secret', () => {
  beforeAll(() => {
    process.env.RAFTKIT_TEST_SECURITY = JSON.stringify(security)
  })
  // A queue of four frames, and what is on its way.
  const heldBytes = 24 * 1024 * 1024
  transportCompliance(
    { describe, test },
    { ...subject, program: program.path, wire: tcpWire, orderly: true, heldBytes },
  )
})
