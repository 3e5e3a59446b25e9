import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Without a certificate and its key, it shows none. */
export interface BareTls {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

/** What is beneath our transports, without them: somebody who cannot even begin as they do. */
export interface Bare {
  /** Gives what it is told. */
  beginsRightly(address: string, tls: BareTls | undefined): Promise<string>
  /** As a version of the transport would that does not exist. */
  beginsAsAnotherVersion(address: string, tls: BareTls | undefined): Promise<string>
}

function socketTo(address: string, tls: BareTls | undefined, alpn: string): Socket {
  const { hostname: host, port } = new URL(`tcp://${address}`)
  const to = { host, port: Number(port) }
  return tls === undefined ? connect(to) : connectTls({ ...to, ...tls, minVersion: 'TLSv1.3', ALPNProtocols: [alpn] })
}

/** Says `words`, and gives all that is said until the other side ends. */
async function hear(socket: Socket, words: string): Promise<string> {
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  socket.on('error', (error) => {
    heard += error.message
  })
  socket.end(words)
  await once(socket, 'close')
  return heard
}

const tcp: Bare = {
  beginsRightly: (address, tls) => hear(socketTo(address, tls, 'raftkit'), 'raftkit1'),
  beginsAsAnotherVersion: (address, tls) => hear(socketTo(address, tls, 'raftkit'), 'raftkit9'),
}

const ws: Bare = {
  beginsRightly: (address, tls) => hear(socketTo(address, tls, 'http/1.1'), upgrade('raftkit1')),
  beginsAsAnotherVersion: (address, tls) => hear(socketTo(address, tls, 'http/1.1'), upgrade('raftkit9')),
}

const upgrade = (protocol: string): string =>
  [
    'GET /raftkit/control HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    `Sec-WebSocket-Protocol: ${protocol}`,
    '\r\n',
  ].join('\r\n')

const grpc: Bare = {
  beginsRightly: (address, tls) => call(address, tls, '/raftkit.transport.v1.Transport/Control'),
  beginsAsAnotherVersion: (address, tls) => call(address, tls, '/raftkit.transport.v9.Transport/Control'),
}

async function call(address: string, tls: BareTls | undefined, path: string): Promise<string> {
  const session =
    tls === undefined
      ? connectHttp2(`http://${address}`)
      : connectHttp2(`https://${address}`.replace('127.0.0.1', 'localhost'), { ...tls, minVersion: 'TLSv1.3' })
  session.on('error', () => {})
  const stream = session.request({
    ':path': path,
    ':method': 'POST',
    te: 'trailers',
    'content-type': 'application/grpc',
  })
  const said: string[] = []
  const hear = (headers: Readonly<Record<string, unknown>>) => {
    const { 'grpc-message': message } = headers
    if (typeof message === 'string') said.push(decodeURIComponent(message))
  }
  stream
    .on('response', hear)
    .on('trailers', hear)
    .on('error', (error) => said.push(error.message))
    .resume()
  await once(stream, 'close')
  session.destroy()
  return said.join('\n')
}

export const bare: Readonly<Record<string, Bare>> = { tcp, grpc, ws }
