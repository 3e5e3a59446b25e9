import { type Lane, type NodeId, RaftkitError } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import type { Random } from '../../random.ts'
import type { Timeline } from '../../timeline.ts'
import type { Packet } from '../packet.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'
import { Link, type Wire } from './link.ts'
import { VirtualTransport } from './transport.ts'
import { fairWeather, type Weather } from './weather.ts'

export interface NetworkOptions {
  /** Default 1 MiB. */
  readonly maxFrameBytes?: number
  /** Bulk bytes that may be on their way in one direction; beyond it, they are dropped and the link is `full`. Default 4 MiB. */
  readonly queueBytes?: number
  /** Milliseconds before a link is dialled again, doubled up to eight times while that fails. Default 50. */
  readonly reconnect?: number
  /** Milliseconds until a side notices that nothing passes in either direction any more, or that the other is gone without a word. Default 500. */
  readonly keepalive?: number
}

/** All links between all processes, and what may happen on them. */
export class Network {
  readonly timeline: Timeline<Process>
  readonly random: Random
  readonly maxFrameBytes: number
  readonly queueBytes: number
  readonly reconnect: number
  readonly keepalive: number
  readonly #world: World
  #weather: Weather
  readonly #local = new Map<string, Weather>()
  readonly #cuts = new Set<string>()
  readonly #listening = new Map<string, VirtualTransport>()
  readonly #transports = new Map<NodeId, VirtualTransport>()
  #ids = 0

  constructor(world: World, random: Random, weather: Partial<Weather> = {}, options: NetworkOptions = {}) {
    this.#world = world
    this.timeline = world.timeline
    this.random = random
    this.maxFrameBytes = options.maxFrameBytes ?? 1024 * 1024
    this.queueBytes = options.queueBytes ?? 4 * 1024 * 1024
    this.reconnect = options.reconnect ?? 50
    this.keepalive = options.keepalive ?? 500
    this.#weather = { ...fairWeather, ...weather }
  }

  /** Of all links that have none of their own. */
  get weather(): Weather {
    return this.#weather
  }

  /** Of one direction of a link; without names, of all links, and what any had of its own is gone. */
  setWeather(weather: Partial<Weather>, from?: NodeId, to?: NodeId): void {
    if (from !== undefined && to !== undefined)
      this.#local.set(way(from, to), { ...this.weatherOf(from, to), ...weather })
    else {
      this.#weather = { ...this.#weather, ...weather }
      this.#local.clear()
    }
  }

  weatherOf(from: NodeId, to: NodeId): Weather {
    return this.#local.size === 0 ? this.#weather : (this.#local.get(way(from, to)) ?? this.#weather)
  }

  /** Nothing passes from one to the other any more; the way back stays open. */
  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(way(from, to))
    this.#notice(from, to)
  }

  mend(from: NodeId, to: NodeId): void {
    this.#cuts.delete(way(from, to))
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(way(from, to))
  }

  /** Only servers of one group hear each other; who is not named is alone. Replaces every cut before it. */
  partition(groups: readonly (readonly NodeId[])[]): void {
    this.heal()
    const groupOf = new Map(groups.flatMap((group, at) => group.map((id) => [id, at] as const)))
    const ids = [...this.#world.servers.keys()]
    for (const from of ids)
      for (const to of ids) {
        const group = groupOf.get(from)
        if (from !== to && (group === undefined || group !== groupOf.get(to))) this.cut(from, to)
      }
  }

  /** Mends every cut; the weather stays. */
  heal(): void {
    this.#cuts.clear()
  }

  /** Breaks the connection of two servers, if there is one; they dial again. */
  reset(a: NodeId, b: NodeId): void {
    const link = this.#transports.get(a)?.links.get(b)
    if (link) this.breakLink(link)
  }

  // —— what processes and links call

  transport(process: Process): VirtualTransport {
    const transport = new VirtualTransport(this, process)
    this.#transports.set(process.server.id, transport)
    return transport
  }

  listen(address: string, transport: VirtualTransport): void {
    if (this.#listening.get(address)?.open)
      throw new RaftkitError('TRANSPORT_FAILED', `another node listens at ${address}`)
    this.#listening.set(address, transport)
  }

  delay(): number {
    return this.random.between(...this.#weather.delay)
  }

  nextId(): number {
    return ++this.#ids
  }

  /** Who is called `id` now, if it is connected to `peer`. */
  connected(id: NodeId, peer: NodeId): VirtualTransport | undefined {
    const transport = this.#transports.get(id)
    return transport?.open && transport.links.has(peer) ? transport : undefined
  }

  connect(from: VirtualTransport, id: NodeId, address: string): boolean {
    const to = this.#listening.get(address)
    if (!to?.open || to.process.held || to === from || this.isCut(from.id, to.id) || this.isCut(to.id, from.id))
      return false
    const me = to.admit(from)
    if (me === undefined || from.admit(to) !== id) return false
    const stale = to.links.get(me)
    if (stale) {
      // The same node in a new life, of whose end nobody has heard here.
      stale.broken = true
      to.links.delete(me)
      to.tell(me, 'down')
    }
    const link = new Link(this, from, id, to, me)
    from.linked(id, link)
    to.linked(me, link)
    return true
  }

  send(wire: Wire, to: NodeId, bytes: Uint8Array, lane: Lane, messages: readonly Message[]): void {
    const { id: from, process } = wire.from
    const packet: Packet = {
      id: ++this.#ids,
      from,
      to,
      boot: process.boot,
      lane,
      sentAt: this.timeline.now,
      bytes,
      messages,
    }
    this.#world.watchers.sent(packet)
    wire.send(packet)
  }

  /** `sender`: how the receiver calls whom it comes from. */
  arrive(packet: Packet, to: VirtualTransport, sender: NodeId): void {
    if (this.isCut(packet.from, packet.to)) return this.drop(packet, 'cut')
    if (!to.open) return this.drop(packet, 'dead')
    to.process.deliver(() => {
      if (!to.open) return
      this.#world.delivered()
      this.#world.watchers.arrived(packet)
      to.receiver!.frame(sender, packet.bytes)
    })
  }

  drop(packet: Packet, reason: string): void {
    this.#world.watchers.dropped(packet, reason)
  }

  lose(packet: Packet): void {
    this.injected('loss', packet)
    this.drop(packet, 'lost')
  }

  injected(kind: string, { from, to }: Packet): void {
    this.#world.watchers.fault({ kind, from, to })
  }

  /** Both sides notice in their own time; what was on its way is lost. */
  breakLink(link: Link): void {
    if (link.broken) return
    link.broken = true
    for (const { from, to, peer } of [link.a, link.b]) {
      const reached = !this.isCut(to.id, from.id)
      const after = reached ? this.delay() : this.keepalive * this.random.between(0.5, 1.5)
      this.timeline.at(this.timeline.now + after, () => from.unlinked(peer, link), from.process)
    }
  }

  died(process: Process): void {
    const transport = this.#transports.get(process.server.id)
    if (transport?.process !== process) return
    this.left(transport)
    this.#transports.delete(process.server.id)
  }

  /** A process is gone, or closed its transport. */
  left(transport: VirtualTransport, address: string = transport.process.server.address): void {
    if (this.#listening.get(address) === transport) this.#listening.delete(address)
    for (const link of transport.links.values()) this.breakLink(link)
    transport.links.clear()
  }

  /** Without a way in either direction, a link breaks after a while. */
  #notice(from: NodeId, to: NodeId): void {
    if (!this.isCut(to, from)) return
    const link = this.#transports.get(from)?.links.get(to)
    if (!link) return
    this.timeline.at(this.timeline.now + this.keepalive * this.random.between(0.5, 1.5), () => {
      if (this.isCut(from, to) && this.isCut(to, from)) this.breakLink(link)
    })
  }
}

const way = (from: NodeId, to: NodeId): string => `${from} ${to}`
