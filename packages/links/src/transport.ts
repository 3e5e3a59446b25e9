import type { Lane, NodeId, Peer, Receiver, Transport } from '@raftkit/contract'
import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { type Address, formatAddress, isLoopback, parseAddress } from './address.ts'
import type { Carrier, Listener, Terms } from './carrier.ts'
import type { Connection } from './connection.ts'
import { Handshake, Meeting } from './handshake.ts'
import type { Surroundings } from './lane.ts'
import { Link } from './link.ts'
import { Refusal, reasonOf, turnedDown } from './refusal.ts'
import { Reports, type TransportCounters, type TransportReport } from './reports.ts'
import { Secret } from './secret.ts'
import { Credentials, type Tls } from './tls.ts'

/** What every transport of connections can be told. */
export interface LinkOptions {
  /** Where to listen, `host:port`; port 0 takes a free one. Default: the node's own address. A node without either only dials. */
  readonly listen?: string
  /** Mutual TLS 1.3, of all connections. A function is asked at `start`, and again at each `reload`. */
  readonly tls?: Tls | (() => Tls)
  /**
   * Where the network is trusted not to be listened to, the simple way: whoever connects proves that it knows this, and so does
   * who answers. At least 32 characters, the same on all nodes. It never travels. Frames go in the clear, unless `tls` is given too.
   */
  readonly secret?: string
  /**
   * Allows addresses that are not loopback without `tls` and `secret`: whoever reaches the port can read and forge frames,
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
  /** How often each kind of report has come about, told of or not. */
  readonly counters: TransportCounters
  /**
   * Asks the option `tls` again. From now on new connections use what it says, and those whose certificate is now denied, or no longer
   * signed by one of its authorities, are cut. Throws `INVALID_OPTION` if it cannot be used: all stays as it was.
   */
  reload(): void
}

/** A transport whose connections come from `carrier`: one per lane and peer. Throws `INVALID_OPTION`. */
export function linkTransport(options: LinkOptions, carrier: (terms: Terms) => Carrier): LinkTransport {
  return new Links(options, carrier)
}

/** How long `close` waits for what was sent before it cuts the connections. */
const farewellMs = 500

class Links implements LinkTransport {
  readonly contract = 1
  readonly maxFrameBytes: number
  readonly #queueBytes: number
  readonly #carrier: Carrier
  readonly #credentials: Credentials | undefined
  readonly #secret: Secret | undefined
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

  constructor(options: LinkOptions, carrier: (terms: Terms) => Carrier) {
    this.maxFrameBytes = bounded('maxFrameBytes', options.maxFrameBytes ?? 4 * 1024 * 1024, 65_536, 256 * 1024 * 1024)
    this.#queueBytes = bounded('queueBytes', options.queueBytes ?? 4 * this.maxFrameBytes, 2 * this.maxFrameBytes)
    const maxConnections = bounded('maxConnections', options.maxConnections ?? 1024, 1)
    this.#credentials = options.tls === undefined ? undefined : new Credentials(options.tls)
    this.#secret = options.secret === undefined ? undefined : new Secret(options.secret)
    this.#insecure = options.insecure ?? false
    this.#listenAt = options.listen === undefined ? undefined : parseAddress(options.listen, 0)
    this.#reports = new Reports(options.onReport)
    this.#carrier = carrier({ maxFrameBytes: this.maxFrameBytes, maxConnections, credentials: this.#credentials })
  }

  get counters(): TransportCounters {
    return this.#reports.counters
  }

  get address(): string | undefined {
    return this.#address
  }

  async start(self: Peer, receiver: Receiver): Promise<void> {
    if (this.#closing) throw new RaftkitError('CLOSED', 'this transport was closed: make another one')
    if (this.#started)
      throw new RaftkitError('TRANSPORT_FAILED', 'this transport was started before: make one per node')
    this.#started = true
    const { attached = false } = this.#carrier
    const at = attached ? undefined : (this.#listenAt ?? listenAt(self.address))
    if (at && !this.#allowed(at))
      throw new RaftkitError('INVALID_OPTION', `${formatAddress(at)} is open to the network, ${inTheClear}`)
    this.#credentials?.reload()
    const handshake = new Handshake({
      self: self.id,
      receiver,
      life: newLife(),
      maxFrameBytes: this.maxFrameBytes,
      credentials: this.#credentials,
      secret: this.#secret,
    })
    const around = this.#surroundings(self.id, handshake)
    if (at || attached) {
      if (!this.#carrier.listener)
        throw new RaftkitError('INVALID_OPTION', 'this platform cannot listen: start the node without an address')
      this.#listener = this.#carrier.listener({
        meet: (hello, lane, certificate) =>
          new Meeting(handshake, hello, lane, certificate, ({ peer, life }) => {
            if (this.#links.get(peer)?.lanes[lane].holdsAgainst(life))
              throw new Refusal('connected', 'we are connected already')
          }),
        opened: (connection) => this.#accept(connection),
        refused: (remote, error) => {
          if (!(error instanceof Refusal && error.kind === 'connected'))
            this.#reports.report('refused', remote, reasonOf(error))
        },
        turnedDown: (remote, refusal) => this.#reports.report('refused', remote, turnedDown(refusal).reason),
      })
      const bound = await this.#listener.listen(at)
      if (this.#closing) throw new RaftkitError('CLOSED', 'this transport was closed while it started')
      this.#address = bound && formatAddress(bound)
      if (!this.#protected && (at ? !isLoopback(at) : this.#insecure))
        this.#reports.report(
          'insecure',
          at || bound ? formatAddress(bound ?? at!) : 'the server of the app',
          'whoever reaches this port can read and forge frames',
        )
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
        const parsed = parseAddress(address, 1, this.#carrier.schemes)
        if (this.#allowed(parsed) || parsed.url?.startsWith('wss:')) wanted.set(id, parsed)
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
    if (!this.#around || this.#closing || this.#around.handshake.objection(connection.caller)) connection.destroy()
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
    return this.#insecure || this.#protected || isLoopback(address)
  }

  get #protected(): boolean {
    return this.#credentials !== undefined || this.#secret !== undefined
  }

  reload(): void {
    if (!this.#credentials)
      throw new RaftkitError(
        'INVALID_OPTION',
        'this transport was made without the option `tls`: nothing can be asked again',
      )
    this.#credentials.reload()
    if (!this.#around) return
    for (const connection of [...this.#around.connections]) {
      const objection = this.#around.handshake.objection(connection.caller)
      if (!objection) continue
      this.#reports.report('refused', connection.remote, objection.reason, connection.caller.peer)
      connection.destroy()
    }
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
  'and whoever reaches it could read and forge frames: pass `tls`, or `secret`, or `insecure: true` if you trust that network'

/** Where to listen, if nothing else is said. */
function listenAt(address: string | undefined): Address | undefined {
  if (address?.includes('://'))
    throw new RaftkitError(
      'INVALID_OPTION',
      `${address} is where others dial this node: say where it listens, by the option listen`,
    )
  return address === undefined ? undefined : parseAddress(address, 0)
}

function newLife(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function bounded(name: string, value: number, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new RaftkitError('INVALID_OPTION', `${name} is a whole number from ${least} to ${most}, not ${String(value)}`)
}
