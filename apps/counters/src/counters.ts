// biome-ignore-all format: this is the program as the documentation prints it
// biome-ignore-all assist/source/organizeImports: as above
import { once } from 'node:events'
import { createNode, defineMachine } from 'raftkit'
import { jointConsensus } from '@raftkit/membership'
import { levelStorage } from '@raftkit/storage-level'
import { grpcTransport } from '@raftkit/transport-grpc'

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
const id = process.argv[2] ?? 'n1'
await using node = await createNode({
  id, cluster: 'counters', machine: counters,
  members: { n1: '127.0.0.1:7001', n2: '127.0.0.1:7002', n3: '127.0.0.1:7003' },
  storage: levelStorage(`./data/${id}`), transport: grpcTransport(), membership: jointConsensus(),
})
await node.ready()
console.log(await node.commands.add({ key: 'visits' }))  // on any node: forwarded to the leader, applied exactly once
console.log(await node.queries.get('visits'))            // linearizable unless { consistency: 'stale' } is asked for
await once(process, 'SIGINT')
