import { bearNoise, trust } from '@raftkit/testing/trust'
import { tcpTransport } from '@raftkit/transport-tcp'
import { describe } from 'vitest'

trust({ create: tcpTransport, alpn: 'raftkit' })

describe('at a port with TLS', { timeout: 60_000 }, () => bearNoise(tcpTransport, 'raftkit'))
