import type { NodeId, Transport } from '@raftkit/contract'

/** The same transport, but it dials peers where `routes` says: the configuration has their real addresses, the same on all members. */
export function routed(transport: Transport, routes: Readonly<Record<NodeId, string>>): Transport {
  return {
    contract: 1,
    maxFrameBytes: transport.maxFrameBytes,
    start: (self, receiver) => transport.start(self, receiver),
    send: (to, frame, lane) => transport.send(to, frame, lane),
    setPeers: (peers) =>
      transport.setPeers(
        peers.map((peer) => {
          const address = Object.hasOwn(routes, peer.id) ? routes[peer.id] : undefined
          return address === undefined ? peer : { ...peer, address }
        }),
      ),
    close: () => transport.close(),
  }
}
