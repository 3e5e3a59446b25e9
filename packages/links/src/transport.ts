import type { Lane, NodeId, Peer, Receiver, Transport } from '@raftkit/contract'
import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { type Address, formatAddress, isLoopback, parseAddress } from './address.ts'
import type { Carrier, Limits, Listener } from './carrier.ts'
import type { Connection } from './connection.ts'
import { Handshake, Refusal, reasonOf } from './handshake.ts'
import type { Surroundings } from './lane.ts'
import { Link } from './link.ts'
import { Reports, type TransportReport } from './reports.ts'

/** What every transport of connections can be told. */
export interface LinkOptions {
  /** Where to listen, `host:port`; port 0 takes a free one. Default: the node's own address. A node without either only dials. */
  readonly listen?: string
  /**
   * Allows addresses that are not loopback. There is no TLS yet: whoever reaches the port can read and forge frames,
   * so only on a network that you trust as you trust the machine. Default false.
   */
  readonly insecure?: boolean
  /** Bytes; the same on all nodes, or they refuse each other. Default 4 MiB; 65,536 to 256 MiB. */
  readonly maxFrameBytes?: number
  /** Bytes that may wait per peer and lane; beyond, bulk frames are dropped, and the oldest control frames. Default four frames, at least two. */
  readonly queueBytes?: number
  /** TCP connections that are accepted at a time; a peer needs two. Default 1,024. */
  readonly maxConnections?: number
  /** What went wrong on the network, for a log. Called once for each cause until that peer is connected again. */
  readonly onReport?: (report: TransportReport) => void
}

export interface LinkTransport extends Transport {
  /** Where it listens, `host:port`, with the port that was given to it. Undefined before `start`, and if it only dials. */
  readonly address: string | undefined
}

/** A transport whose connections come from `carrier`: one per lane and peer. Throws `INVALID_OPTION`. */
export function linkTransport(options: LinkOptions, carrier: (limits: Limits) => Carrier): LinkTransport {
  return new Links(options, carrier)
}

/** How long `close` waits for what was sent before it cuts the connections. */
const farewellMs = 500

class Links implements LinkTransport {
  readonly contract = 1
  readonly maxFrameBytes: number
  readonly #queueBytes: number
  readonly #carrier: Carrier
  readonly #insecure: boolean
  readonly #listenAt: Address | undefined
  readonly #reports: Reports
  readonly #links = new Map<NodeId, Link>()
  #peers: ReadonlyMap<NodeId, Address> = new Map()
  #around: Surroundings | undefined
  #receiver: Receiver | undefined
  #listener: Listener | undefined
  #address: string | undefined
  #emptied: (() => void) | undefined
  #started = false
  #closing: Promise<void> | undefined

  constructor(options: LinkOptions, carrier: (limits: Limits) => Carrier) {
    this.maxFrameBytes = bounded('maxFrameBytes', options.maxFrameBytes ?? 4 * 1024 * 1024, 65_536, 256 * 1024 * 1024)
    this.#queueBytes = bounded('queueBytes', options.queueBytes ?? 4 * this.maxFrameBytes, 2 * this.maxFrameBytes)
    const maxConnections = bounded('maxConnections', options.maxConnections ?? 1024, 1)
    this.#insecure = options.insecure ?? false
    this.#listenAt = options.listen === undefined ? undefined : parseAddress(options.listen, 0)
    this.#reports = new Reports(options.onReport)
    this.#carrier = carrier({ maxFrameBytes: this.maxFrameBytes, maxConnections })
  }

  get address(): string | undefined {
    return this.#address
  }

  async start(self: Peer, receiver: Receiver): Promise<void> {
    if (this.#closing) throw new RaftkitError('CLOSED', 'this transport was closed: make another one')
    if (this.#started)
      throw new RaftkitError('TRANSPORT_FAILED', 'this transport was started before: make one per node')
    this.#started = true
    const at = this.#listenAt ?? (self.address === undefined ? undefined : parseAddress(self.address, 0))
    if (at && !this.#allowed(at))
      throw new RaftkitError('INVALID_OPTION', `${formatAddress(at)} is open to the network, ${inTheClear}`)
    const handshake = new Handshake(self.id, receiver, newLife(), this.maxFrameBytes)
    const around = this.#surroundings(self.id, handshake)
    if (at) {
      if (!this.#carrier.listener)
        throw new RaftkitError('INVALID_OPTION', 'this platform cannot listen: start the node without an address')
      this.#listener = this.#carrier.listener({
        hello: () => handshake.hello(),
        check: (hello, lane, proven) => {
          const caller = handshake.check(hello, proven)
          if (this.#links.get(caller.peer)?.lanes[lane].holdsAgainst(caller.life))
            throw new Refusal('connected', 'we are connected already')
          return caller
        },
        opened: (connection) => this.#accept(connection),
        refused: (remote, error) => {
          if (!(error instanceof Refusal && error.kind === 'connected'))
            this.#reports.report('refused', remote, reasonOf(error))
        },
      })
      const bound = await this.#listener.listen(at)
      if (this.#closing) throw new RaftkitError('CLOSED', 'this transport was closed while it started')
      this.#address = formatAddress(bound)
      if (!isLoopback(at))
        this.#reports.report('insecure', this.#address, 'whoever reaches this port can read and forge frames')
    }
    this.#receiver = receiver
    this.#around = around
    this.#dialPeers()
  }

  #surroundings(self: NodeId, handshake: Handshake): Surroundings {
    return {
      self,
      carrier: this.#carrier,
      handshake,
      queueBytes: this.#queueBytes,
      connections: new Set(),
      frame: (from, frame) => this.#receiver?.frame(from, frame),
      report: (kind, remote, reason, peer) => this.#reports.report(kind, remote, reason, peer),
      ended: () => {
        this.#sweep()
        this.#emptied?.()
      },
    }
  }

  send(to: NodeId, frame: readonly Uint8Array[], lane: Lane): void {
    const link = this.#links.get(to)
    if (!link || this.#closing) return
    let bytes = 0
    for (const part of frame) bytes += part.length
    if (bytes <= this.maxFrameBytes) link.lanes[lane].send(frame, bytes)
  }

  setPeers(peers: readonly Peer[]): void {
    const wanted = new Map<NodeId, Address>()
    for (const { id, address } of peers) {
      if (address === undefined) continue
      try {
        const parsed = parseAddress(address, 1)
        if (this.#allowed(parsed)) wanted.set(id, parsed)
        else this.#reports.report('refused', address, `not dialled: it is on the network, ${inTheClear}`, id)
      } catch (error) {
        this.#reports.report('unreachable', address, isRaftkitError(error) ? error.message : String(error), id)
      }
    }
    this.#peers = wanted
    this.#dialPeers()
  }

  #dialPeers(): void {
    if (!this.#around || this.#closing) return
    for (const [id, link] of [...this.#links]) if (!this.#peers.has(id)) link.dial(undefined)
    for (const [id, address] of this.#peers) if (id !== this.#around.self) this.#link(id, this.#around).dial(address)
    this.#sweep()
  }

  /** Forgets those that are neither dialled nor connected. */
  #sweep(): void {
    for (const [id, link] of [...this.#links]) if (!this.#peers.has(id) && link.idle) this.#links.delete(id)
  }

  #accept(connection: Connection): void {
    if (!this.#around || this.#closing) connection.destroy()
    else this.#link(connection.caller.peer, this.#around).lanes[connection.lane].adopt(connection)
  }

  #link(id: NodeId, around: Surroundings): Link {
    const known = this.#links.get(id)
    if (known) return known
    const link = new Link(around, id, (state) => {
      if (state === 'up') this.#reports.forget(id)
      this.#receiver?.link(id, state)
    })
    this.#links.set(id, link)
    return link
  }

  #allowed(address: Address): boolean {
    return this.#insecure || isLoopback(address)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#receiver = undefined
    this.#reports.stop()
    const connections = this.#around?.connections ?? new Set()
    for (const link of this.#links.values()) link.finish()
    const silent = this.#listener?.stop()
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = () => {
        if (connections.size === 0) resolve()
      }
      this.#emptied()
    })
    let timer: NodeJS.Timeout | undefined
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, farewellMs)
    })
    await Promise.race([Promise.all([emptied, silent]), enough])
    clearTimeout(timer)
    for (const connection of [...connections]) connection.destroy()
    this.#listener?.destroy()
    await silent
  }
}

const inTheClear =
  'and frames would go in the clear: keep to loopback, or pass `insecure: true` if you trust that network'

function newLife(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function bounded(name: string, value: number, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new RaftkitError('INVALID_OPTION', `${name} is a whole number from ${least} to ${most}, not ${String(value)}`)
}
