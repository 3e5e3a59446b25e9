import { connect, createServer, type Socket } from 'node:net'
import type { Wire } from './subject.ts'

/** A wire for adapters that dial `host:port` over TCP. */
export async function tcpWire(target: string): Promise<Wire> {
  const at = target.lastIndexOf(':')
  const [host, port] = [target.slice(0, at).replace(/^\[|\]$/g, ''), Number(target.slice(at + 1))]
  const sockets = new Set<Socket>()
  let blocked = false
  const server = createServer((near) => {
    const far = connect(port, host)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (data) => {
        if (!to.write(data)) from.pause()
      })
      to.on('drain', () => blocked || from.resume())
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      if (blocked) from.pause()
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    address,
    block() {
      blocked = true
      for (const socket of sockets) socket.pause()
    },
    unblock() {
      blocked = false
      for (const socket of sockets) socket.resume()
    },
    cut,
    close() {
      server.close()
      cut()
    },
  }
}
