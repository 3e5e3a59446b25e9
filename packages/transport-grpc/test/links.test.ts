import { type GrpcTransport, grpcTransport } from '@raftkit/transport-grpc'
import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, connect, TestNode, until, up, type World } from './node.ts'

const world: World = {
  transport: () => grpcTransport(),
  address: () => '127.0.0.1:0',
  reached: (transport) => (transport as GrpcTransport).address!,
}

/** Ends of TCP connections in this process; each connection has both of them here. */
const ends = () => process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length
/** Control and bulk apart. */
const endsPerPair = 4

describe('links', { timeout: 60_000 }, () => {
  afterEach(closeAll)

  test('two nodes hold two TCP connections, whoever dialled, and none once closed', async () => {
    await until(() => ends() === 0)
    for (let round = 0; round < 20; round++) {
      const nodes = await Promise.all(['a', 'b', 'c'].map((id) => TestNode.start(world, id)))
      await connect(...nodes)
      await until(
        () => ends() === 3 * endsPerPair,
        () => `${ends()} ends`,
      )
      // No flapping while two dials are settled.
      for (const { id, links } of nodes) expect(links.length, `${id}: ${links.join(', ')}`).toBe(2)
      await closeAll()
      await until(
        () => ends() === 0,
        () => `${ends()} ends`,
      )
    }
  })

  test('a new life of a peer replaces the old one, of whose end nobody has heard', async () => {
    const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
    a.transport.setPeers([b.peer])
    b.transport.setPeers([a.peer])
    await up(a, b)
    const again = await TestNode.start(world, 'b')
    again.transport.setPeers([a.peer])
    await up(again, a)
    b.transport.setPeers([])
    // While the one takes over from the other, frames may be lost, or still reach the old one.
    const reach = (text: string) =>
      until(() => {
        a.send(again, text, 'bulk')
        return again.texts.includes(text)
      })
    await reach('who is there')
    await reach('to the new one')
    expect(b.texts).not.toContain('to the new one')
  })

  test('attempts that fail leave nothing behind', async () => {
    const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
    b.admitting = false
    a.transport.setPeers([b.peer, { id: 'c', address: '127.0.0.1:1' }])
    await until(() => b.refusals >= 10)
    a.transport.setPeers([])
    await until(
      () => ends() === 0,
      () => `${ends()} ends`,
    )
  })
})
