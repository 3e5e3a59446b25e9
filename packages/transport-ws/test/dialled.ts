import { strangers } from '@raftkit/testing/strangers'
import { type ClientOptions, WebSocket } from 'ws'

/** The bytes that ask for an upgrade. */
export function upgrade(path = '/raftkit/control', more: readonly string[] = []): string {
  const headers = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  const rest = ['Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol: raftkit1', ...more]
  return `GET ${path} HTTP/1.1\r\n${[...headers, ...rest].join('\r\n')}\r\n\r\n`
}

/** A WebSocket, which need not be one of ours. */
export function webSocket(address: string, path = '/raftkit/control', options: ClientOptions = {}): WebSocket {
  const socket = new WebSocket(`ws://${address}${path}`, 'raftkit1', { perMessageDeflate: false, ...options })
  socket.on('error', () => {})
  strangers.add({ destroy: () => socket.terminate() })
  return socket
}

export const opened = (socket: WebSocket) => new Promise<void>((resolve) => void socket.once('open', () => resolve()))
export const closed = (socket: WebSocket) => new Promise<number>((resolve) => void socket.once('close', resolve))
export const message = (socket: WebSocket) =>
  new Promise<Uint8Array>((resolve) => void socket.once('message', (data) => resolve(data as Buffer)))
