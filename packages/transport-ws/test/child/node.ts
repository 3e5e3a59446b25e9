/** A node in a process of its own: `node.ts <id> <address> <peer id> <peer address>`. Tells its parent where it is, and answers each frame. */
import { wsTransport } from '@raftkit/transport-ws'

const [id, address, peer, peerAddress] = process.argv.slice(2) as [string, string, string, string]
const transport = wsTransport(JSON.parse(process.env.RAFTKIT_TEST_SECURITY ?? '{}'))
await transport.start(
  { id, address },
  {
    hello: () => new TextEncoder().encode(`c/${id}`),
    admit: (hello) => new TextDecoder().decode(hello).slice(2),
    frame: (from, frame) => transport.send(from, [new TextEncoder().encode(`${process.pid} `), frame], 'bulk'),
    link: () => {},
  },
)
process.send?.(`at ${transport.address}`)
transport.setPeers([{ id: peer, address: peerAddress }])
