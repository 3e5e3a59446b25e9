import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What all sockets are read into: a stream and a buffer for each answer would cost more than to read it. */
const arrived = Buffer.allocUnsafeSlow(65_536)

/** A socket to the server. Who is called with what has arrived copies what is needed after the call. */
export async function dial(port: number, read: (chunk: Buffer) => void): Promise<Socket> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: arrived,
      callback(bytes) {
        read(arrived.subarray(0, bytes))
        return true
      },
    },
  })
  await once(socket, 'connect')
  return socket
}
