import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { memoryStorage } from '@raftkit/storage-memory'
import { wsTransport } from '@raftkit/transport-ws'
import { createNode, defineMachine } from 'raftkit'
import { expect, test } from 'vitest'

const sums = defineMachine({
  initial: () => ({ sum: 0 }),
  commands: { add: (state, by: number) => (state.sum += by) },
  queries: { sum: (state) => state.sum },
})

/** Addresses where nobody listens. */
async function addresses<Id extends string>(...ids: Id[]): Promise<Record<Id, string>> {
  const servers = ids.map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const found = ids.map((id, n) => [id, `127.0.0.1:${(servers[n]!.address() as AddressInfo).port}`])
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return Object.fromEntries(found) as Record<Id, string>
}

test('three nodes agree over WebSocket, and two go on when their leader leaves', async () => {
  const members = await addresses('n1', 'n2', 'n3')
  const nodes = await Promise.all(
    Object.keys(members).map((id) =>
      createNode({ id, cluster: 'sums', machine: sums, members, storage: memoryStorage(), transport: wsTransport() }),
    ),
  )
  try {
    await Promise.all(nodes.map((node) => node.ready()))
    await Promise.all(nodes.flatMap((node) => Array.from({ length: 100 }, () => node.commands.add(1))))
    expect(await Promise.all(nodes.map((node) => node.queries.sum(undefined)))).toEqual([300, 300, 300])
    const leader = nodes.find((node) => node.status().role === 'leader')!
    await leader.close()
    const rest = nodes.filter((node) => node !== leader)
    await Promise.all(rest.map((node) => node.commands.add(50)))
    expect(await Promise.all(rest.map((node) => node.queries.sum(undefined)))).toEqual([400, 400])
  } finally {
    await Promise.all(nodes.map((node) => node.close()))
  }
}, 60_000)
