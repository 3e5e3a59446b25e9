import { memoryStorage } from '@raftkit/storage-memory'
import { agree } from '@raftkit/testing/agreement'
import { addresses } from '@raftkit/testing/ports'
import { wsTransport } from '@raftkit/transport-ws'
import { createNode, defineMachine } from 'raftkit'
import { test } from 'vitest'

const sums = defineMachine({
  initial: () => ({ sum: 0 }),
  commands: { add: (state, by: number) => (state.sum += by) },
  queries: { sum: (state) => state.sum },
})

test('three nodes agree over WebSocket, and two go on when their leader leaves', async () => {
  const members = await addresses('n1', 'n2', 'n3')
  const nodes = await Promise.all(
    Object.keys(members).map((id) =>
      createNode({ id, cluster: 'sums', machine: sums, members, storage: memoryStorage(), transport: wsTransport() }),
    ),
  )
  await agree(nodes)
}, 60_000)
