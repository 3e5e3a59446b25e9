import type { Lane, LinkState, NodeId } from '@raftkit/contract'
import type { Due } from '../../timeline.ts'
import type { Packet } from '../packet.ts'
import type { Process } from '../process.ts'
import type { Network } from './network.ts'
import type { VirtualTransport } from './transport.ts'

/** So many of the last packets of a direction may come again. */
const remembered = 16

/** Two processes that have admitted each other. Broken, it stays so; the sides learn of it in their own time. */
export class Link {
  readonly a: Wire
  readonly b: Wire
  broken = false

  constructor(network: Network, a: VirtualTransport, aCalls: NodeId, b: VirtualTransport, bCalls: NodeId) {
    this.a = new Wire(network, this, a, aCalls, b, bCalls)
    this.b = new Wire(network, this, b, bCalls, a, aCalls)
  }

  wireOf(transport: VirtualTransport): Wire {
    return this.a.from === transport ? this.a : this.b
  }
}

/** One direction of a link. */
export class Wire {
  readonly from: VirtualTransport
  /** How the sender calls the other side. */
  readonly peer: NodeId
  readonly to: VirtualTransport
  /** How the other side calls the sender. */
  readonly sender: NodeId
  readonly #network: Network
  readonly #link: Link
  /** When the last packet of a lane arrives, and when the line is free again. */
  readonly #arrives: Record<Lane, number> = { control: 0, bulk: 0 }
  #freeAt = 0
  #bulkBytes = 0
  /** Bulk packets on their way over a line that is, or was, slow. */
  readonly #slow = new Map<Packet, Due<Process>>()
  #state: LinkState = 'up'
  readonly #recent: Packet[] = []

  constructor(
    network: Network,
    link: Link,
    from: VirtualTransport,
    peer: NodeId,
    to: VirtualTransport,
    sender: NodeId,
  ) {
    this.#network = network
    this.#link = link
    this.from = from
    this.peer = peer
    this.to = to
    this.sender = sender
  }

  send(packet: Packet): void {
    const network = this.#network
    const { random } = network
    const weather = network.weatherOf(packet.from, packet.to)
    if (this.#link.broken) return network.drop(packet, 'broken')
    if (network.isCut(packet.from, packet.to)) return network.drop(packet, 'cut')
    if (random.chance(weather.loss)) return network.lose(packet)
    if (weather.bytesPerMs === Number.POSITIVE_INFINITY && this.#slow.size > 0) this.#hurry()
    // An empty queue takes any frame: what is on its way is what says `up` again.
    const queued = this.#bulkBytes
    if (packet.lane === 'bulk' && queued > 0 && queued + packet.bytes.length > network.queueBytes) {
      this.#tell('full')
      return network.drop(packet, 'full')
    }
    const bytes = packet.bytes.length
    const leaves = network.timeline.now + this.from.process.lag
    let arrives = leaves + random.between(...weather.delay)
    if (weather.bytesPerMs !== Number.POSITIVE_INFINITY) {
      // Control frames do not queue behind bulk ones.
      const begins = packet.lane === 'bulk' ? Math.max(leaves, this.#freeAt) : leaves
      this.#freeAt = Math.max(this.#freeAt, begins) + bytes / weather.bytesPerMs
      arrives += begins - leaves + bytes / weather.bytesPerMs
    }
    if (random.chance(weather.reorder)) {
      network.injected('reorder', packet)
      arrives += random.between(0, weather.late)
    } else arrives = this.#arrives[packet.lane] = Math.max(arrives, this.#arrives[packet.lane])
    if (packet.lane === 'bulk') this.#bulkBytes += bytes
    const due = network.timeline.at(arrives, () => this.#arrive(packet))
    if (packet.lane === 'bulk' && weather.bytesPerMs !== Number.POSITIVE_INFINITY) this.#slow.set(packet, due)
    if (random.chance(weather.duplicate)) this.#again(packet, random.between(0, weather.late / 10), 'duplicate')
    if (weather.replay > 0) this.#replay(packet, weather.replay, weather.late)
  }

  #arrive(packet: Packet): void {
    if (packet.lane === 'bulk') {
      this.#slow.delete(packet)
      this.#bulkBytes -= packet.bytes.length
      if (this.#bulkBytes <= this.#network.queueBytes / 2) this.#tell('up')
    }
    if (this.#link.broken) this.#network.drop(packet, 'broken')
    else this.#network.arrive(packet, this.to, this.sender)
  }

  /** The line is fast again: what crept over it until now arrives at once, in its order. */
  #hurry(): void {
    const { timeline } = this.#network
    for (const [packet, due] of this.#slow) {
      timeline.cancel(due)
      timeline.soon(() => this.#arrive(packet))
    }
    this.#slow.clear()
    this.#freeAt = timeline.now
    this.#arrives.bulk = timeline.now
  }

  #replay(packet: Packet, chance: number, late: number): void {
    const { random } = this.#network
    if (this.#recent.length > 0 && random.chance(chance))
      this.#again(random.pick(this.#recent), random.between(0, late), 'replay')
    if (this.#recent.length < remembered) this.#recent.push(packet)
    else this.#recent[packet.id % remembered] = packet
  }

  #again(packet: Packet, after: number, kind: string): void {
    const network = this.#network
    const copy = { ...packet, id: network.nextId(), copyOf: packet.copyOf ?? packet.id }
    network.injected(kind, packet)
    network.timeline.at(network.timeline.now + after, () => {
      // Wherever that name is connected by then, and under whatever incarnation.
      const to = network.connected(copy.to, copy.from)
      if (to) network.arrive(copy, to, copy.from)
      else network.drop(copy, 'broken')
    })
  }

  #tell(state: LinkState): void {
    if (this.#state === state || this.#link.broken) return
    this.#state = state
    this.from.tell(this.peer, state)
  }
}
