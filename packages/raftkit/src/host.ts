import {
  type Environment,
  type GroupId,
  type Happening,
  type LinkState,
  type NodeId,
  type Outgoing,
  type Peer,
  RaftkitError,
  type Receiver,
  type Storage,
  type Transport,
} from '@raftkit/contract'
import type { EventHub, RuntimeEvent } from './events.ts'
import { failure } from './failure.ts'
import { decodeFrame } from './frame.ts'
import { Frames } from './frames.ts'
import { admit, encodeHello, type Hello } from './hello.ts'
import { Hellos } from './hellos.ts'
import type { Replica, ReplicaHost } from './replica.ts'

export interface HostParts {
  readonly id: NodeId
  readonly cluster: string
  readonly protocol: string
  readonly machineVersion: number
  readonly environment: Environment
  readonly storage: Storage
  readonly transport: Transport
  readonly hub: EventHub
  /** Bytes of received frames that wait for a turn; beyond it, bulk is dropped. */
  readonly backlogBytes: number
  /** A timer that fires later than this, in milliseconds, tells of a process that stood still. */
  readonly stallThreshold: number
}

/** Turns of the event loop that I/O gets after a stall, before the replicas are told that time has passed. */
const graceTurns = 2

/**
 * Owns storage, transport, clock and deadlines of a process, and turns its replicas: per turn of the event loop, each replica that
 * has something to do steps all of it, one set of frames leaves, and what came of it is settled. No timer forms batches:
 * while a flush runs, the next batch gathers.
 */
export class Host implements ReplicaHost, Receiver {
  readonly replicas: Map<GroupId, Replica> = new Map()
  readonly hellos: Hellos = new Hellos()
  readonly links: Map<NodeId, LinkState> = new Map()
  /** Of frames handed over, by peer. */
  readonly sentBytes: Map<NodeId, number> = new Map()
  readonly #parts: HostParts
  readonly #frames: Frames
  readonly #newcomers = new Map<NodeId, Peer>()
  readonly #greeters = new Set<(hello: Hello) => void>()
  #founders: readonly Peer[] = []
  #dialled = ''
  #wanted: ReadonlySet<NodeId> = new Set()
  #scheduled = false
  #timer: { readonly at: number; cancel(): void } | undefined
  #backlog = 0
  #grace = new Map<Replica, number>()
  #listening = false
  #closing: Promise<void> | undefined
  /** How late the latest timer was, at worst, since it was last asked for. */
  #lag = 0

  constructor(parts: HostParts) {
    this.#parts = parts
    this.#frames = new Frames(parts.transport.maxFrameBytes)
  }

  add(replica: Replica): void {
    this.replicas.set(replica.group, replica)
    this.wake()
  }

  /** Reachable from now on; the replicas' first writes must be durable, since the hello shows who we are. */
  async listen(self: Peer, founders: readonly Peer[]): Promise<void> {
    this.#founders = founders
    this.#listening = true
    await this.#parts.transport.start(self, this)
    this.changed()
  }

  // —— what the transport calls

  hello(): Uint8Array {
    return encodeHello(this.#hello())
  }

  admit(bytes: Uint8Array, proven?: readonly string[]): NodeId {
    try {
      const hello = admit(bytes, this.#hello(), proven, (node) => this.#expects(node))
      const { node, incarnation, machineVersion } = hello
      this.hellos.remember(hello, (id) => this.links.has(id) || this.#wanted.has(id))
      this.#tell({ type: 'hello', peer: node, incarnation, machineVersion })
      for (const greet of [...this.#greeters]) greet(hello)
      return node
    } catch (error) {
      const { code, message: reason } = failure(error, 'REFUSED', 'a peer was refused')
      this.#tell({ type: 'refused', code, reason })
      throw error
    }
  }

  frame(from: NodeId, bytes: Uint8Array): boolean {
    if (this.#closing) return true
    try {
      const { lane, genesis, messages } = decodeFrame(bytes)
      if (lane === 'bulk' && this.#backlog + bytes.length > this.#parts.backlogBytes) {
        this.#tell({ type: 'dropped', what: 'frame', peer: from, reason: 'too many frames wait for a turn' })
        return true
      }
      this.#backlog += bytes.length
      for (const message of messages) {
        const replica = this.replicas.get(message.group)
        if (!replica) this.#drop(from, `there is no group ${message.group} here`)
        else if (message.to !== '' && message.to !== replica.incarnation)
          this.#drop(from, 'it is meant for another incarnation of this node')
        else if (genesis !== '' && replica.genesis !== '' && genesis !== replica.genesis)
          throw new RaftkitError('REFUSED', 'a frame of another founding of a cluster of this name')
        else replica.receive(lane, { from: { id: from, incarnation: message.from }, genesis, bytes: message.bytes })
      }
      return true
    } catch (error) {
      const { code, message: reason } = failure(error, 'MALFORMED', 'a frame could not be read')
      this.#tell({ type: 'refused', peer: from, code, reason })
      return false
    }
  }

  link(peer: NodeId, state: LinkState): void {
    if (this.#closing) return
    this.links.set(peer, state)
    this.#tell({ type: 'link', peer, state })
    for (const replica of this.replicas.values()) replica.link(peer, state)
    if (state === 'down' && !this.#wanted.has(peer)) {
      this.links.delete(peer) // a stranger under ever new names shall not fill the memory
      this.hellos.delete(peer)
    }
  }

  // —— what the replicas call

  wake(): void {
    if (this.#scheduled || this.#closing) return
    this.#scheduled = true
    this.#parts.environment.soon(() => this.#turn())
  }

  get detail(): boolean {
    return this.#parts.hub.detail
  }

  tell(group: GroupId, event: Happening | RuntimeEvent): void {
    this.#parts.hub.emit(group, event)
  }

  /** Dials whom the configurations name, the other founders while there is none, and newcomers that are being added. */
  changed(): void {
    if (!this.#listening || this.#closing) return
    const peers = new Map<NodeId, Peer>()
    for (const replica of this.replicas.values()) {
      const { members } = replica.status().config
      for (const { id, address } of members.length > 0 ? members : this.#founders)
        if (id !== this.#parts.id) peers.set(id, address === undefined ? { id } : { id, address })
    }
    for (const [id, peer] of this.#newcomers) peers.set(id, peer)
    this.#wanted = new Set(peers.keys())
    const list = [...peers.values()]
    const dialled = JSON.stringify(list)
    if (dialled === this.#dialled) return
    this.#dialled = dialled
    this.#parts.transport.setPeers(list)
  }

  failed(replica: Replica, error: RaftkitError): void {
    this.tell(replica.group, { type: 'stopped', error })
    // Nothing of it leaves any more; with no replica left, the host lets go of everything.
    if ([...this.replicas.values()].every((each) => each.error)) void this.close(error).catch(() => undefined)
  }

  // —— members that are to be added

  /** Dials `peer` until `stop` is called; `heard` is called with its hello, at once if it is connected already. */
  meet(peer: Peer, heard: (hello: Hello) => void): () => void {
    const greet = (hello: Hello): void => {
      if (hello.node === peer.id) heard(hello)
    }
    this.#greeters.add(greet)
    this.#newcomers.set(peer.id, peer)
    this.changed()
    const known = this.hellos.get(peer.id)
    if (known && this.connected(peer.id)) greet(known)
    return () => {
      this.#greeters.delete(greet)
      if (this.#newcomers.get(peer.id) === peer) this.#newcomers.delete(peer.id)
      this.changed()
    }
  }

  connected(peer: NodeId): boolean {
    const state = this.links.get(peer)
    return state === 'up' || state === 'full'
  }

  /** The worst lateness of a timer since the last call, in milliseconds. */
  takeLag(): number {
    const lag = this.#lag
    this.#lag = 0
    return lag
  }

  /** Transport first, then replicas, then storage. Idempotent. */
  close(reason: RaftkitError): Promise<void> {
    this.#closing ??= this.#close(reason)
    return this.#closing
  }

  async #close(reason: RaftkitError): Promise<void> {
    this.#timer?.cancel()
    const replicas = [...this.replicas.values()]
    const ends = await Promise.allSettled([
      this.#parts.transport.close(),
      ...replicas.map((replica) => replica.close(reason)),
    ])
    const storage = await Promise.allSettled([this.#parts.storage.close()])
    for (const end of [...ends, ...storage]) if (end.status === 'rejected') throw end.reason
  }

  #turn(): void {
    this.#scheduled = false
    if (this.#closing) return
    this.#backlog = 0
    const now = this.#parts.environment.now()
    for (const replica of this.replicas.values()) {
      const time = this.#time(replica, now)
      if (!replica.dirty && !time) continue
      this.#guard(replica, () => {
        for (const message of replica.turn(now, time)) this.#post(replica, message)
      })
    }
    this.#frames.send((to, frame, lane) => {
      let bytes = this.sentBytes.get(to) ?? 0
      for (const part of frame) bytes += part.length
      this.sentBytes.set(to, bytes)
      this.#parts.transport.send(to, frame, lane)
    })
    for (const replica of this.replicas.values()) if (replica.unsettled) this.#guard(replica, () => replica.settle())
    this.#arm()
  }

  /** What breaks in one replica stops that one. */
  #guard(replica: Replica, run: () => void): void {
    try {
      run()
    } catch (error) {
      replica.fail(failure(error, 'INVARIANT', 'the replica stopped'))
    }
  }

  /** Whether a replica is to be told that its time has come. After a stall, what arrived meanwhile is heard first. */
  #time(replica: Replica, now: number): { readonly stalled: number } | undefined {
    const { deadline } = replica
    if (deadline === undefined || now < deadline) return void this.#grace.delete(replica)
    const late = now - deadline
    this.#lag = Math.max(this.#lag, late)
    if (late <= this.#parts.stallThreshold) return { stalled: 0 }
    const turns = this.#grace.get(replica) ?? 0
    if (turns === 0) this.tell(replica.group, { type: 'stalled', milliseconds: late })
    if (turns < graceTurns) {
      this.#grace.set(replica, turns + 1)
      this.wake()
      return
    }
    this.#grace.delete(replica)
    return { stalled: late }
  }

  #arm(): void {
    if (this.#closing) return
    let next = Number.POSITIVE_INFINITY
    for (const { deadline } of this.replicas.values()) if (deadline !== undefined && deadline < next) next = deadline
    if (next <= this.#parts.environment.now()) return this.wake()
    // A deadline usually moves on before it comes: a timer that fires early arms the next one, and costs less than one for each turn.
    if (next === Number.POSITIVE_INFINITY || (this.#timer && this.#timer.at <= next)) return
    this.#timer?.cancel()
    const cancel = this.#parts.environment.at(next, () => {
      this.#timer = undefined
      this.wake()
    })
    this.#timer = { at: next, cancel }
  }

  #post(replica: Replica, { to, incarnation, lane, message }: Outgoing): void {
    const parts = replica.encode(message)
    const { group, genesis } = replica
    if (this.detail) {
      const summary = replica.describe(message)
      if (summary) this.tell(group, { type: 'sent', to, lane, message: summary })
    }
    if (!this.#frames.add(to, lane, genesis, { group, from: replica.incarnation, to: incarnation, parts }))
      this.tell(group, {
        type: 'dropped',
        what: 'message',
        peer: to,
        reason: 'it is larger than a frame of this transport',
      })
  }

  #drop(peer: NodeId, reason: string): void {
    this.#tell({ type: 'dropped', what: 'message', peer, reason })
  }

  #hello(): Hello {
    const { id: node, cluster, protocol, machineVersion } = this.#parts
    const [replica] = this.replicas.values()
    if (!replica) throw new RaftkitError('INVARIANT', 'a host without a replica says hello')
    const { incarnation, genesis } = replica
    return { cluster, node, incarnation, genesis, protocol, machineVersion }
  }

  /**
   * Whether a node without a genesis may have a place here. No, if every configuration is known to be committed and lists none of that
   * name: whoever leads by a later one reaches it by itself, and until then its vote counts nowhere. One that is not known to be
   * committed may be overwritten by one that lists it.
   */
  #expects(node: NodeId): boolean {
    if (this.#newcomers.has(node)) return true
    return [...this.replicas.values()].some((replica) => {
      const { config, configCommitted } = replica.status()
      return !configCommitted || config.members.length === 0 || config.members.some(({ id }) => id === node)
    })
  }

  /** Of the host as a whole: told in the name of its first group. */
  #tell(event: RuntimeEvent): void {
    const [group] = this.replicas.keys()
    if (group !== undefined) this.tell(group, event)
  }
}
