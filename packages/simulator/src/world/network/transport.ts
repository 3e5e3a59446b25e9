import {
  type Lane,
  type LinkState,
  type NodeId,
  type Peer,
  RaftkitError,
  type Receiver,
  type Transport,
} from '@raftkit/contract'
import type { Process } from '../process.ts'
import type { Link } from './link.ts'
import type { Network } from './network.ts'

/** One process on the network. */
export class VirtualTransport implements Transport {
  readonly contract = 1
  readonly maxFrameBytes: number
  readonly process: Process
  readonly links: Map<NodeId, Link> = new Map()
  receiver: Receiver | undefined
  #self: Peer | undefined
  readonly #network: Network
  #closed = false
  #dialled: ReadonlyMap<NodeId, string> = new Map()
  readonly #dialling = new Set<NodeId>()

  constructor(network: Network, process: Process) {
    this.#network = network
    this.process = process
    this.maxFrameBytes = network.maxFrameBytes
  }

  get id(): NodeId {
    return this.#self?.id ?? this.process.server.id
  }

  /** It can be talked to. */
  get open(): boolean {
    return this.process.alive && this.#self !== undefined && !this.#closed
  }

  start(self: Peer, receiver: Receiver): Promise<void> {
    if (this.#closed) return Promise.reject(new RaftkitError('CLOSED', 'this transport was closed'))
    if (this.#self) return Promise.reject(new RaftkitError('TRANSPORT_FAILED', 'this transport was started before'))
    return this.process.io(this.#network.delay(), () => {
      if (this.#closed) throw new RaftkitError('CLOSED', 'this transport was closed')
      if (self.address !== undefined) this.#network.listen(self.address, this)
      this.#self = self
      this.receiver = receiver
      for (const id of this.#dialled.keys()) this.#dial(id, 0)
    })
  }

  send(to: NodeId, parts: readonly Uint8Array[], lane: Lane): void {
    const { process } = this
    const messages = process.takeOutgoing(to, lane)
    if (!this.open) return
    const link = this.links.get(to)
    if (link) {
      const bytes = joined(parts)
      if (bytes.length <= this.maxFrameBytes) this.#network.send(link.wireOf(this), to, bytes, lane, messages)
    }
    process.effect()
  }

  setPeers(peers: readonly Peer[]): void {
    if (!this.process.alive) return
    const before = this.#dialled
    const dialled = new Map<NodeId, string>()
    for (const { id, address } of peers) if (address !== undefined && id !== this.id) dialled.set(id, address)
    this.#dialled = dialled
    for (const [id, address] of before) {
      const link = this.links.get(id)
      if (dialled.get(id) !== address && link?.a.from === this) this.#network.breakLink(link)
    }
    for (const id of dialled.keys()) this.#dial(id, 0)
  }

  close(): Promise<void> {
    if (!this.process.alive) return new Promise(() => undefined)
    if (!this.#closed) {
      this.#closed = true
      this.#network.left(this, this.#self?.address)
    }
    return Promise.resolve()
  }

  /** Under which name this node lets the other one in; undefined: it does not. */
  admit(other: VirtualTransport): NodeId | undefined {
    try {
      return this.receiver?.admit(new Uint8Array(other.receiver!.hello()))
    } catch {
      return undefined
    }
  }

  /** The link stands: the process hears of it in its own time. */
  linked(peer: NodeId, link: Link): void {
    this.links.set(peer, link)
    this.tell(peer, 'up')
  }

  /** The process notices that the link is gone. */
  unlinked(peer: NodeId, link: Link): void {
    if (!this.open || this.links.get(peer) !== link) return
    this.links.delete(peer)
    this.tell(peer, 'down')
    this.#dial(peer, this.#network.reconnect)
  }

  /** Never from within the process' own call. */
  tell(peer: NodeId, state: LinkState): void {
    const { timeline } = this.#network
    timeline.soon(() => {
      if (this.open) this.receiver!.link(peer, state)
    }, this.process)
  }

  /** Tries until there is a link, in whichever direction it came about. */
  #dial(id: NodeId, wait: number, pause: number = this.#network.reconnect): void {
    const { timeline } = this.#network
    if (!this.open || this.links.has(id) || this.#dialling.has(id) || !this.#dialled.has(id)) return
    this.#dialling.add(id)
    timeline.at(
      timeline.now + wait + this.#network.delay() + this.#network.delay(), // hello goes there and back
      () => {
        this.#dialling.delete(id)
        const address = this.#dialled.get(id)
        if (!this.open || address === undefined || this.links.has(id)) return
        if (!this.#network.connect(this, id, address))
          this.#dial(id, pause, Math.min(pause * 2, this.#network.reconnect * 8))
      },
      this.process,
    )
  }
}

// A small buffer of its own costs more than all that is written to it: frames are cut from slabs.
const slabBytes = 16_384
let slab = new Uint8Array(0)
let cut = 0

function allocate(length: number): Uint8Array {
  if (length > slabBytes / 4) return new Uint8Array(length)
  if (length > slab.length - cut) {
    slab = new Uint8Array(slabBytes)
    cut = 0
  }
  cut += length
  return slab.subarray(cut - length, cut)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const frame = allocate(length)
  let offset = 0
  for (const part of parts) {
    frame.set(part, offset)
    offset += part.length
  }
  return frame
}
