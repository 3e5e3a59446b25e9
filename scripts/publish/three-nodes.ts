// The program of apps/counters with three nodes in one process, on memory. Prints three sums, then what each node reads.
import { jointConsensus } from '@raftkit/membership'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { createNode, defineMachine } from 'raftkit'

const counters = defineMachine({
  initial: () => new Map<string, number>(),
  commands: {
    add: (counts, { key, by = 1 }: { key: string; by?: number }) => {
      const sum = (counts.get(key) ?? 0) + by
      counts.set(key, sum)
      return sum
    },
  },
  queries: { get: (counts, key: string) => counts.get(key) ?? 0 },
})

const network = memoryNetwork()
const members = { n1: 'memory:1', n2: 'memory:2', n3: 'memory:3' }
const nodes = await Promise.all(
  Object.keys(members).map((id) =>
    createNode({
      id,
      cluster: 'counters',
      machine: counters,
      members,
      storage: memoryStorage(),
      transport: network.transport(),
      membership: jointConsensus(),
    }),
  ),
)
for (const node of nodes) await node.ready()
for (const node of nodes) console.log(await node.commands.add({ key: 'visits' }))
for (const node of nodes) console.log(await node.queries.get('visits'))
for (const node of nodes) await node.close()
