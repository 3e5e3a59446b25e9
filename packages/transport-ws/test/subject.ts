import type { Transport } from '@raftkit/contract'
import { type WsTransport, wsTransport } from '@raftkit/transport-ws'
import { App } from './app.ts'

// What the compliance suite is told of this adapter. Real child processes load this file, too, and are what we are.

export const create = (): Transport => {
  const options = JSON.parse(process.env.RAFTKIT_TEST_SECURITY ?? '{}')
  return process.env.RAFTKIT_TEST_ATTACHED ? new App(options) : wsTransport(options)
}
export const address = (): string => '127.0.0.1:0'
export const reached = (transport: Transport): string => (transport as WsTransport | App).address!
