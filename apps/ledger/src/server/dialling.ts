import type { Peer, Transport } from '@raftkit/contract'
import { addressIn } from '../genesis.ts'

/** Configurations say in one text where members and where clients reach a member: this one dials the first of the two. */
export function dialling(transport: Transport): Transport {
  const near = ({ id, address }: Peer): Peer => ({ id, ...(address !== undefined && { address: addressIn(address) }) })
  return {
    contract: transport.contract,
    maxFrameBytes: transport.maxFrameBytes,
    start: (self, receiver) => transport.start(near(self), receiver),
    send: (to, frame, lane) => transport.send(to, frame, lane),
    setPeers: (peers) => transport.setPeers(peers.map(near)),
    close: () => transport.close(),
  }
}
