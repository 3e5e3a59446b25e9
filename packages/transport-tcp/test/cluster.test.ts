import { createAuthority, issue } from '@raftkit/certificates'
import { memoryStorage } from '@raftkit/storage-memory'
import { agree } from '@raftkit/testing/agreement'
import { addresses } from '@raftkit/testing/ports'
import { type TcpTransportOptions, tcpTransport } from '@raftkit/transport-tcp'
import { createNode, defineMachine } from 'raftkit'
import { expect, test } from 'vitest'

const sums = defineMachine({
  initial: () => ({ sum: 0 }),
  commands: { add: (state, by: number) => (state.sum += by) },
  queries: { sum: (state) => state.sum },
})

const authority = await createAuthority({ cluster: 'sums' })
const withSecret: TcpTransportOptions = { secret: 'whoever knows this belongs to us, as it were' }
const withTls = async (node: string): Promise<TcpTransportOptions> => {
  const { ca, cert, key } = await issue(authority, { node })
  return { tls: { ca, cert, key } }
}

test.each<[string, (id: string) => Promise<TcpTransportOptions> | TcpTransportOptions]>([
  ['TCP', () => ({})],
  ['TLS', withTls],
  ['TCP with a secret', () => withSecret],
])(
  'three nodes agree over %s, and two go on when their leader leaves',
  async (_, security) => {
    const members = await addresses('n1', 'n2', 'n3')
    const nodes = await Promise.all(
      Object.keys(members).map(async (id) => {
        const transport = tcpTransport(await security(id))
        return createNode({ id, cluster: 'sums', machine: sums, members, storage: memoryStorage(), transport })
      }),
    )
    await agree(nodes)
  },
  60_000,
)

test('a node with the certificate of another, or of a client, is told so and changes no term', async () => {
  const members = await addresses('n1', 'n2', 'n3')
  const node = async (id: string, certified: TcpTransportOptions, told: string[] = []) => {
    const transport = tcpTransport({ ...certified, onReport: ({ reason }) => told.push(reason) })
    // Long enough that no busy machine makes the two elect anew by themselves.
    const timing = { electionTimeout: 3000 }
    return createNode({ id, cluster: 'sums', machine: sums, members, storage: memoryStorage(), transport, timing })
  }
  const all = await Promise.all(Object.keys(members).map(async (id) => node(id, await withTls(id))))
  await Promise.all(all.map((each) => each.ready()))
  const nodes = all.slice(0, 2)
  try {
    await all[2]!.close()
    await nodes[0]!.commands.add(1)
    const { term } = nodes[0]!.status()
    const { ca, cert, key } = await issue(authority, { client: 'n3' })
    const cases: [TcpTransportOptions, string][] = [
      [await withTls('n2'), 'its certificate does not name raft://sums/n3, but raft://sums/n2'],
      [{ tls: { ca, cert, key } }, 'its certificate is not for a peer: it does not name urn:raftkit:role:peer'],
    ]
    for (const [certified, why] of cases) {
      const told: string[] = []
      const impostor = await node('n3', certified, told)
      while (!told.some((reason) => reason.startsWith('this node was turned down: ') && reason.includes(why)))
        await new Promise((resolve) => setTimeout(resolve, 5))
      expect(impostor.status().role).not.toBe('leader')
      await impostor.close()
    }
    await nodes[0]!.commands.add(1)
    expect(nodes.map((each) => each.status().term)).toEqual([term, term])
  } finally {
    await Promise.all(nodes.map((each) => each.close()))
  }
}, 60_000)
