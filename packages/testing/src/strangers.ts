import { connect, createServer, type Socket } from 'node:net'

/** What strangers have opened; `closeStrangers` closes it. */
export const strangers: Set<{ destroy(): void }> = new Set()

export function closeStrangers(): void {
  for (const each of strangers) each.destroy()
  strangers.clear()
}

/** Bytes, of whatever kind. */
export function tcp(address: string): Socket {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host).on('error', () => {})
  strangers.add(socket)
  return socket
}

/** Reads nothing but the end. */
export const ended = (socket: Socket): Promise<void> =>
  new Promise((resolve) => void socket.on('close', () => resolve()).resume())

/** Once the other side has closed it: what it said, as text. */
export function said(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  return new Promise((resolve) => socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1'))))
}

/** A server that is no node of ours. Gives where it listens. */
export async function impostor(answer: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    strangers.add(socket.on('error', () => {}))
    answer(socket)
  })
  strangers.add({ destroy: () => server.close() })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}
