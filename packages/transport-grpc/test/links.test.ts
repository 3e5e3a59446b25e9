import { holdTwoConnections, leaveNothingBehind } from '@raftkit/testing/links'
import { closeAll, TestNode, up } from '@raftkit/testing/node'
import { until } from '@raftkit/testing/until'
import { grpcTransport } from '@raftkit/transport-grpc'
import { afterEach, describe, expect, test } from 'vitest'

const world = { transport: () => grpcTransport() }

describe('links', { timeout: 60_000 }, () => {
  afterEach(closeAll)

  test('two nodes hold two TCP connections, whoever dialled, and none once closed', () => holdTwoConnections(world))

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

  test('attempts that fail leave nothing behind', () => leaveNothingBehind(world))
})
