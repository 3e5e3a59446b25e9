import type { Transport } from '@raftkit/contract'
import { type WsTransport, wsTransport } from '@raftkit/transport-ws'

// What the compliance suite is told of this adapter. Real child processes load this file, too.

export const create = (): Transport => wsTransport()
export const address = (): string => '127.0.0.1:0'
export const reached = (transport: Transport): string => (transport as WsTransport).address!
