import { createServer } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { strangers } from '../strangers.ts'

/** A stranger that speaks TLS, somehow. */
export function tls(address: string, options: object): TLSSocket {
  const [host, port] = address.split(':')
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ...options }).on('error', () => {})
  strangers.add(socket)
  return socket
}

/** What a client says first in TLS. */
export async function firstBytes(options: object): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect({ ...options, host: '127.0.0.1', port: (server.address() as { port: number }).port })
  const said = await new Promise<Buffer>((resolve) => server.on('connection', (socket) => socket.once('data', resolve)))
  client.on('error', () => {}).destroy()
  server.close()
  return said
}
