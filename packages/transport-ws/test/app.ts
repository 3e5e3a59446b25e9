import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Lane, NodeId, Peer, Receiver } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import type { LinkTransport, TransportCounters } from '@raftkit/links'
import { type WsTransport, type WsTransportOptions, wsTransport } from '@raftkit/transport-ws'

/** An app with a server of its own, where it answers GET /, and beside which a node lives. It listens at the node's address. */
export class App implements LinkTransport {
  readonly contract = 1
  readonly server: Server
  readonly transport: WsTransport
  #closing: () => void = () => {}
  readonly #closed = new Promise<void>((resolve) => {
    this.#closing = resolve
  })

  constructor(options: WsTransportOptions = {}) {
    const { tls } = options
    const answer: Parameters<typeof createServer>[1] = (_, response) => response.end('the app')
    this.server =
      typeof tls === 'object'
        ? createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' }, answer)
        : createServer(answer)
    this.transport = wsTransport({ ...options, server: this.server })
  }

  get maxFrameBytes(): number {
    return this.transport.maxFrameBytes
  }

  get address(): string {
    const { address, port } = this.server.address() as { address: string; port: number }
    return `${address}:${port}`
  }

  get counters(): TransportCounters {
    return this.transport.counters
  }

  reload(): void {
    this.transport.reload()
  }

  async start(self: Peer, receiver: Receiver): Promise<void> {
    const [host, port] = self.address?.split(':') ?? []
    // Whoever was closed, or was started before, says so itself.
    if (host && !this.server.listening) {
      this.server.listen(Number(port), host)
      const listening = once(this.server, 'listening').catch((cause) => {
        throw new RaftkitError('TRANSPORT_FAILED', 'the app cannot listen', { cause })
      })
      await Promise.race([listening, this.#closed])
    }
    await this.transport.start(self, receiver)
  }

  send(to: NodeId, frame: readonly Uint8Array[], lane: Lane): void {
    this.transport.send(to, frame, lane)
  }

  setPeers(peers: readonly Peer[]): void {
    this.transport.setPeers(peers)
  }

  async close(): Promise<void> {
    this.#closing()
    await this.transport.close()
    this.server.closeAllConnections()
    this.server.close()
  }
}
