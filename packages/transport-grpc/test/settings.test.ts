import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { closeAll, TestNode, up, type World } from '@raftkit/testing/node'
import { until } from '@raftkit/testing/until'
import { type GrpcTransportOptions, grpcTransport, type TransportReport } from '@raftkit/transport-grpc'
import { afterEach, describe, expect, test } from 'vitest'

const world = (options: GrpcTransportOptions = {}): World => ({ transport: () => grpcTransport(options) })

describe('where it listens', { timeout: 60_000 }, () => {
  afterEach(closeAll)

  test('at its own address, and says which port it was given', async () => {
    const transport = grpcTransport()
    expect(transport.address).toBeUndefined()
    const node = await TestNode.start({ ...world(), transport: () => transport }, 'a', { address: '127.0.0.1:0' })
    expect(transport.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
    expect(node.peer.address).toBe(transport.address)
  })

  test('at the option `listen`, while others know it by its own address', async () => {
    const a = await TestNode.start(world({ listen: '127.0.0.1:0' }), 'a', { address: 'public.example:7001' })
    expect(a.peer.address).toMatch(/^127\.0\.0\.1:/)
  })

  const ipv6 = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address === '::1'),
  )
  test.for(ipv6 ? ['localhost', '[::1]'] : ['localhost'])('at %s', async (host) => {
    const [a, b] = [
      await TestNode.start(world(), 'a', { address: `${host}:0` }),
      await TestNode.start(world(), 'b', { address: null }),
    ]
    expect(a.peer.address).toContain(host)
    b.transport.setPeers([a.peer])
    await up(a, b)
  })

  test('nowhere, without an address: it only dials', async () => {
    const transport = grpcTransport()
    await TestNode.start({ ...world(), transport: () => transport }, 'a', { address: null })
    expect(transport.address).toBeUndefined()
  })

  test.each(['0.0.0.0:0', '10.1.2.3:7001', 'node-1.internal:7001', '127.0.0.1.evil.test:7001', '[::]:0'])(
    'not at %s, open to the network, unless told that this network is trusted',
    async (address) => {
      await expect(TestNode.start(world(), 'a', { address })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
      await expect(TestNode.start(world(), 'a', { address })).rejects.toThrow('`insecure: true`')
    },
  )

  test('with `insecure`, everywhere; and it is told each time', async () => {
    const kinds: string[] = []
    const open = world({ insecure: true, onReport: ({ kind }) => kinds.push(kind) })
    const a = await TestNode.start(open, 'a', { address: '0.0.0.0:0' })
    expect(a.peer.address).toMatch(/^0\.0\.0\.0:/)
    expect(kinds).toEqual(['insecure'])
  })

  test('a taken port: which, and what to do; closing afterwards is harmless', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const address = `127.0.0.1:${(other.address() as { port: number }).port}`
    const transport = grpcTransport()
    const starting = TestNode.start({ ...world(), transport: () => transport }, 'a', { address })
    await expect(starting).rejects.toMatchObject({ code: 'TRANSPORT_FAILED', cause: { code: 'EADDRINUSE' } })
    await expect(starting).rejects.toThrow(`cannot listen at ${address}: another process listens there`)
    await transport.close()
    other.close()
  })

  test('an address that this machine does not have', async () => {
    const starting = TestNode.start(world({ insecure: true }), 'a', { address: '192.0.2.1:7001' })
    await expect(starting).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
    await expect(starting).rejects.toThrow('192.0.2.1:7001')
  })
})

describe('whom it dials', { timeout: 60_000 }, () => {
  afterEach(closeAll)

  test('nobody on the network in the clear, nor at what is no address: it says so, once, and goes on', async () => {
    const reports: TransportReport[] = []
    const [a, b] = [
      await TestNode.start(world({ onReport: (report) => reports.push(report) }), 'a'),
      await TestNode.start(world(), 'b'),
    ]
    const peers = [
      { id: 'c', address: '10.1.2.3:7001' },
      { id: 'd', address: 'unix:/tmp/x' },
      { id: 'e', address: 'host:0' },
      { id: 'f', address: 'x y:80' },
      { id: 'g', address: '127.0.0.1:99999' },
      b.peer,
    ]
    for (let n = 0; n < 3; n++) a.transport.setPeers(peers)
    await up(a, b)
    expect(reports.map(({ peer, kind }) => `${peer} ${kind}`)).toEqual([
      'c refused',
      'd unreachable',
      'e unreachable',
      'f unreachable',
      'g unreachable',
    ])
  })

  test('a name that does not resolve, and a host that no URL allows, are told of and tried again', async () => {
    const reports: TransportReport[] = []
    const a = await TestNode.start(world({ insecure: true, onReport: (report) => reports.push(report) }), 'a')
    a.transport.setPeers([
      { id: 'b', address: 'no-such-host.invalid:7001' },
      { id: 'c', address: '999.999.999.999:7001' },
    ])
    await until(() => reports.some(({ peer }) => peer === 'b') && reports.some(({ peer }) => peer === 'c'))
    expect(new Set(reports.map(({ kind }) => kind))).toEqual(new Set(['unreachable']))
  })

  test('a report that throws is no harm', async () => {
    const a = await TestNode.start(
      world({
        onReport: () => {
          throw new Error('no log today')
        },
      }),
      'a',
    )
    const b = await TestNode.start(world(), 'b')
    b.admitting = false
    a.transport.setPeers([b.peer])
    await until(() => b.refusals > 1)
    b.admitting = true
    await up(a, b)
  })
})

test.each<[string, GrpcTransportOptions]>([
  ['maxFrameBytes', { maxFrameBytes: 1000 }],
  ['maxFrameBytes', { maxFrameBytes: 2 ** 32 }],
  ['maxFrameBytes', { maxFrameBytes: 65_536.5 }],
  ['queueBytes', { queueBytes: 4 * 1024 * 1024 }],
  ['maxConnections', { maxConnections: 0 }],
  ['no address', { listen: 'localhost' }],
  ['no address', { listen: 'unix:/tmp/socket' }],
])('an option out of range is refused at once: %s %j', (name, options) => {
  expect(() => grpcTransport(options)).toThrow('INVALID_OPTION')
  expect(() => grpcTransport(options)).toThrow(name)
})
