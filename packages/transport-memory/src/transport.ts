import type { Lane, LinkState, NodeId, Peer, Receiver, Transport } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { Link } from './link.ts'
import type { Network } from './network.ts'

/** One node's place on the network, for one life: a restarted node takes a new one. */
export class MemoryTransport implements Transport {
  readonly contract = 1
  readonly maxFrameBytes: number
  readonly #network: Network
  readonly #links = new Map<NodeId, Link>()
  #self: Peer | undefined
  #receiver: Receiver | undefined
  #closed = false
  #dialled: ReadonlyMap<NodeId, string> = new Map()
  /** Attempts that wait for their time, or are on their way. */
  readonly #attempts = new Map<NodeId, () => void>()

  constructor(network: Network) {
    this.#network = network
    this.maxFrameBytes = network.maxFrameBytes
  }

  get id(): NodeId {
    return this.#self?.id ?? ''
  }

  async start(self: Peer, receiver: Receiver): Promise<void> {
    if (this.#closed) throw new RaftkitError('CLOSED', 'this transport was closed: take another from the network')
    if (this.#self) throw new RaftkitError('TRANSPORT_FAILED', 'this transport was started before: take one per node')
    if (self.address !== undefined) this.#network.listen(self.address, this)
    this.#self = self
    this.#receiver = receiver
    for (const id of this.#dialled.keys()) this.#dial(id)
  }

  send(to: NodeId, parts: readonly Uint8Array[], lane: Lane): void {
    const link = this.#links.get(to)
    if (!link || this.#closed) return
    const frame = joined(parts)
    if (frame.length <= this.maxFrameBytes) link.send(this, frame, lane)
  }

  setPeers(peers: readonly Peer[]): void {
    const before = this.#dialled
    this.#dialled = new Map(peers.flatMap(({ id, address }) => (address === undefined ? [] : [[id, address] as const])))
    for (const [id, address] of before) {
      if (this.#dialled.get(id) === address) continue
      this.#attempts.get(id)?.()
      this.#attempts.delete(id)
      const link = this.#links.get(id)
      if (link?.dialler.node === this) link.break()
    }
    for (const id of this.#dialled.keys()) this.#dial(id)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const cancel of this.#attempts.values()) cancel()
    this.#attempts.clear()
    for (const link of [...this.#links.values()]) link.break()
    if (this.#self?.address !== undefined) this.#network.leave(this.#self.address, this)
  }

  /** Tries until there is a link, in whichever direction it came about. */
  #dial(id: NodeId, wait = 0): void {
    if (!this.#self || this.#closed || id === this.id) return
    if (this.#links.has(id) || this.#attempts.has(id) || !this.#dialled.has(id)) return
    const { scheduler } = this.#network
    // Hello goes there and back.
    const due = scheduler.now() + wait + this.#network.delay() + this.#network.delay()
    this.#attempts.set(
      id,
      scheduler.at(due, () => {
        this.#attempts.delete(id)
        if (!this.#connect(id)) this.#dial(id, this.#network.reconnect)
      }),
    )
  }

  #connect(id: NodeId): boolean {
    if (this.#closed || this.#links.has(id)) return true
    const { topology } = this.#network
    const other = this.#network.at(this.#dialled.get(id))
    if (!other || other === this || !topology.passes(this.id, other.id) || !topology.passes(other.id, this.id))
      return false
    const me = other.#admit(this)
    if (me === undefined || this.#admit(other) !== id || this.#closed || other.#closed) return false
    // The same node in a new life, of whose end nobody has heard.
    this.#links.get(id)?.break()
    other.#links.get(me)?.break()
    const link = new Link(this.#network, { node: this, peer: id }, { node: other, peer: me })
    this.#links.set(id, link)
    other.#links.set(me, link)
    other.tell(me, 'up')
    this.tell(id, 'up')
    return true
  }

  /** Under which name this node lets the other one in. */
  #admit(other: MemoryTransport): NodeId | undefined {
    try {
      return this.#receiver?.admit(other.#receiver!.hello().slice())
    } catch {
      return undefined
    }
  }

  unlinked(link: Link, peer: NodeId): void {
    if (this.#links.get(peer) !== link) return
    this.#links.delete(peer)
    this.tell(peer, 'down')
    this.#dial(peer, this.#network.reconnect)
  }

  /** Breaks the links that no frame can pass in either direction. */
  sever(): void {
    for (const link of [...this.#links.values()]) {
      const [a, b] = [link.dialler.node.id, link.other.node.id]
      if (!this.#network.topology.passes(a, b) && !this.#network.topology.passes(b, a)) link.break()
    }
  }

  receive(from: NodeId, frame: Uint8Array): void {
    if (!this.#closed && this.#receiver?.frame(from, frame) === false) this.#links.get(from)?.break()
  }

  /** Never from within the caller's own call. */
  tell(peer: NodeId, state: LinkState): void {
    this.#network.scheduler.soon(() => {
      if (!this.#closed) this.#receiver?.link(peer, state)
    })
  }
}

/** One copy that nobody else holds. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const frame = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    frame.set(part, offset)
    offset += part.length
  }
  return frame
}
