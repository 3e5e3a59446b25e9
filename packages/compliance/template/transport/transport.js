// @ts-check
import { randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import { RaftkitError } from '@raftkit/contract'
import { Connection } from './connection.js'

/**
 * @typedef {import('@raftkit/contract').Lane} Lane
 * @typedef {import('@raftkit/contract').LinkState} LinkState
 * @typedef {import('@raftkit/contract').NodeId} NodeId
 * @typedef {import('@raftkit/contract').Peer} Peer
 * @typedef {import('@raftkit/contract').Receiver} Receiver
 * @typedef {import('@raftkit/contract').Transport} Transport
 * @typedef {{ connection?: Connection, attempt?: Connection, timer?: NodeJS.Timeout, failures: number }} PeerLane
 * @typedef {{ id: NodeId, address?: string, state: LinkState, lanes: Record<Lane, PeerLane> }} Link
 */

const lanes = /** @type {const} */ (['control', 'bulk'])
const firstRetryMs = 50
const lastRetryMs = 1000

export const templateTransport = () => new TemplateTransport()

/** Frames over TCP: one connection per lane and peer, so that control never waits for bulk. @implements {Transport} */
export class TemplateTransport {
  /** @readonly @type {1} */ contract = 1
  maxFrameBytes = 4 * 1024 * 1024
  /** Where it listens; undefined before `start`, and if it only dials. @type {string | undefined} */ address
  /** @type {Map<NodeId, Link>} */ #links = new Map()
  /** @type {Set<Connection>} */ #connections = new Set()
  /** @type {import('node:net').Server | undefined} */ #server
  /** @type {NodeId | undefined} */ #self
  /** Undefined before `start` and from `close` on: then nothing is passed to it. @type {Receiver | undefined} */ #receiver
  /** @type {Promise<void> | undefined} */ #closing
  /** @type {Promise<void> | undefined} */ #listening
  #started = false
  /** @type {import('./connection.js').Owner} */ #owner = {
    life: randomBytes(8).toString('hex'),
    maxFrameBytes: this.maxFrameBytes,
    queueBytes: 2 * this.maxFrameBytes,
    hello: () => this.#host().hello(),
    admit: (hello) => this.#host().admit(hello),
    opened: (connection) => this.#opened(connection),
    frame: ({ peer }, frame) => this.#receiver?.frame(peer, frame),
    changed: () => this.#tell(),
    closed: (connection) => this.#closed(connection),
  }

  /** @param {Peer} self @param {Receiver} receiver */
  async start(self, receiver) {
    if (this.#closing) throw new RaftkitError('CLOSED', 'this transport was closed: make another one')
    if (this.#started) throw new RaftkitError('TRANSPORT_FAILED', 'it was started before: make one per node')
    this.#started = true
    this.#listening = self.address === undefined ? undefined : this.#listen(self.address)
    await this.#listening
    if (this.#closing) throw new RaftkitError('CLOSED', 'this transport was closed while it started')
    this.#self = self.id
    this.#receiver = receiver
    for (const link of this.#links.values()) this.#dial(link)
  }

  /** @param {NodeId} to @param {readonly Uint8Array[]} frame @param {Lane} lane */
  send(to, frame, lane) {
    const connection = this.#links.get(to)?.lanes[lane].connection
    if (!connection) return
    const bytes = frame.reduce((sum, part) => sum + part.length, 0)
    if (bytes <= this.maxFrameBytes) connection.send(frame, bytes)
  }

  /** @param {readonly Peer[]} peers */
  setPeers(peers) {
    if (this.#closing) return
    const wanted = new Map(peers.flatMap(({ id, address }) => (address === undefined ? [] : [[id, address]])))
    for (const link of [...this.#links.values()]) {
      if (link.address === undefined || link.address === wanted.get(link.id)) continue
      delete link.address
      for (const lane of lanes) {
        const { connection, attempt, timer } = link.lanes[lane]
        clearTimeout(timer)
        delete link.lanes[lane].timer
        attempt?.destroy()
        if (connection?.dialled) connection.destroy()
      }
    }
    for (const [id, address] of wanted) {
      const link = this.#link(id)
      link.address = address
      this.#dial(link)
    }
  }

  close() {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close() {
    this.#receiver = undefined
    for (const link of this.#links.values()) for (const lane of lanes) clearTimeout(link.lanes[lane].timer)
    for (const connection of [...this.#connections]) connection.destroy()
    this.#links.clear()
    // One that does not listen yet would not hear of it.
    await this.#listening?.catch(() => {})
    const server = this.#server
    if (server?.listening) await new Promise((resolve) => server.close(resolve))
  }

  /** @param {string} address */
  async #listen(address) {
    const { host, port } = parse(address)
    const server = createServer((socket) => {
      // Whoever comes before start has resolved may come again.
      if (this.#receiver) this.#connections.add(new Connection(this.#owner, socket, undefined))
      else socket.destroy()
    })
    this.#server = server
    try {
      await new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => resolve(undefined))
      })
    } catch (cause) {
      throw new RaftkitError('TRANSPORT_FAILED', `cannot listen at ${address}: choose another address`, { cause })
    }
    // Too many open files, for one: that connection is lost, the listener goes on.
    server.on('error', () => {})
    this.address = `${host}:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`
  }

  #host() {
    if (!this.#receiver) throw new RaftkitError('CLOSED', 'this transport was closed')
    return this.#receiver
  }

  /** @param {NodeId} id */
  #link(id) {
    let link = this.#links.get(id)
    if (!link) {
      link = { id, state: 'down', lanes: { control: { failures: 0 }, bulk: { failures: 0 } } }
      this.#links.set(id, link)
    }
    return link
  }

  /** Each lane that is not connected, unless it is being dialled or waits for that. @param {Link} link */
  #dial(link) {
    if (!this.#receiver || link.address === undefined || link.id === this.#self) return
    const { host, port } = parse(link.address)
    if (!(port > 0 && port < 65_536)) return
    for (const name of lanes) {
      const lane = link.lanes[name]
      if (lane.connection || lane.attempt || lane.timer) continue
      lane.attempt = new Connection(this.#owner, connect(port, host), name, link.id)
      this.#connections.add(lane.attempt)
    }
  }

  /** @param {Connection} connection */
  #opened(connection) {
    const lane = this.#link(connection.peer).lanes[/** @type {Lane} */ (connection.lane)]
    const former = lane.connection
    if (lane.attempt === connection) delete lane.attempt
    if (former && this.#prefers(former, connection)) {
      connection.destroy()
      return
    }
    lane.connection = connection
    lane.failures = 0
    former?.destroy()
    this.#tell()
  }

  /**
   * If both dialled each other at the same moment, the connection that the smaller life dialled stays: both sides decide alike.
   * Otherwise the newer one is of a new life, or of one that has given up the former.
   * @param {Connection} former @param {Connection} newer
   */
  #prefers(former, newer) {
    if (former.life !== newer.life || former.dialled === newer.dialled) return false
    return former.dialled === this.#owner.life < former.life
  }

  /** @param {Connection} connection */
  #closed(connection) {
    this.#connections.delete(connection)
    const link = this.#links.get(connection.wanted ?? connection.peer)
    const lane = link?.lanes[connection.lane ?? 'control']
    if (!link || !lane || this.#closing) return
    if (lane.connection === connection) delete lane.connection
    if (lane.attempt === connection) {
      delete lane.attempt
      lane.failures++
    }
    this.#tell()
    if (link.address === undefined) {
      if (lanes.every((name) => !link.lanes[name].connection)) this.#links.delete(link.id)
      return
    }
    if (lane.connection || lane.attempt || lane.timer) return
    const wait = Math.min(firstRetryMs * 2 ** lane.failures, lastRetryMs) * (0.5 + Math.random() / 2)
    lane.timer = setTimeout(() => {
      delete lane.timer
      this.#dial(link)
    }, wait)
  }

  /** Up once both lanes are; from then on a missing bulk lane is one that drops all. */
  #tell() {
    for (const [id, link] of [...this.#links]) {
      const { control, bulk } = link.lanes
      const before = link.state
      if (!control.connection) link.state = 'down'
      else if (bulk.connection) link.state = bulk.connection.full ? 'full' : 'up'
      else if (before !== 'down') link.state = 'full'
      if (link.state !== before) this.#receiver?.link(id, link.state)
    }
  }
}

/** @param {string} address `host:port`, or `[host]:port` */
function parse(address) {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) }
}
