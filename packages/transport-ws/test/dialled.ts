import { connect, type Socket } from 'node:net'
import { type ClientOptions, WebSocket } from 'ws'

/** What strangers have opened; `closeStrangers` closes it. */
const open = new Set<{ destroy(): void }>()

export function closeStrangers(): void {
  for (const each of open) each.destroy()
  open.clear()
}

/** Bytes, of whatever kind. */
export function tcp(address: string): Socket {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host).on('error', () => {})
  open.add(socket)
  return socket
}

/** The bytes that ask for an upgrade. */
export function upgrade(path = '/raftkit/control', more: readonly string[] = []): string {
  const headers = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  const rest = ['Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol: raftkit1', ...more]
  return `GET ${path} HTTP/1.1\r\n${[...headers, ...rest].join('\r\n')}\r\n\r\n`
}

/** Once the other side has closed it: what it said, as text. */
export function said(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  return new Promise((resolve) => socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1'))))
}

/** A WebSocket, which need not be one of ours. */
export function webSocket(address: string, path = '/raftkit/control', options: ClientOptions = {}): WebSocket {
  const socket = new WebSocket(`ws://${address}${path}`, 'raftkit1', { perMessageDeflate: false, ...options })
  socket.on('error', () => {})
  open.add({ destroy: () => socket.terminate() })
  return socket
}

export const opened = (socket: WebSocket) => new Promise<void>((resolve) => void socket.once('open', () => resolve()))
export const closed = (socket: WebSocket) => new Promise<number>((resolve) => void socket.once('close', resolve))
export const message = (socket: WebSocket) =>
  new Promise<Uint8Array>((resolve) => void socket.once('message', (data) => resolve(data as Buffer)))
