import type { NodeId, Transport } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { checkWeather, drawDelay, type Filter, fair, Topology, type Weather } from './faults.ts'
import type { Wire } from './link.ts'
import { seeded } from './random.ts'
import { realTime, type Scheduler } from './scheduler.ts'
import { MemoryTransport } from './transport.ts'

export interface MemoryNetworkOptions {
  /** All faults are drawn from it: the same seed and the same calls give the same faults. Default 1. */
  readonly seed?: number
  /** Default: real time. */
  readonly scheduler?: Scheduler
  /** Bytes; default 4 MiB, at least 65,536. */
  readonly maxFrameBytes?: number
  /** Bytes that may be on their way from one node to another in one lane; default four of the largest frames, at least two. */
  readonly queueBytes?: number
  /** Milliseconds between attempts to connect; default 50. */
  readonly reconnect?: number
}

/** A network within one process, with faults that can be switched while it runs. Node ids may be named before the node exists. */
export interface MemoryNetwork {
  /** One per node and life: pass it to `createNode`. A node listens at its own address, which may be any string. */
  transport(): Transport
  /** Nothing passes from one to the other any more; the way back stays open. A link breaks when both ways are cut. */
  cut(from: NodeId, to: NodeId): void
  /** Only nodes of the same group hear each other; those not named are a group of their own. Replaces the partition before it. */
  partition(groups: readonly (readonly NodeId[])[]): void
  /** Cuts all ways to and from a node. */
  isolate(id: NodeId): void
  /** Undoes every cut, partition and isolation. Nodes find each other again by themselves. */
  heal(): void
  /** Sets the named rates; the others stay. Throws `INVALID_OPTION`. */
  weather(rates: Partial<Weather>): void
  /** Decides on each frame as it is sent; without an argument, all pass again. */
  filter(decide?: Filter): void
  /** Lets go all frames that the filter holds. */
  release(): void
}

export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  const network = new Network(options)
  return {
    transport: () => new MemoryTransport(network),
    cut: (from, to) => network.change(() => network.topology.cut(from, to)),
    partition: (groups) => network.change(() => network.topology.partition(groups)),
    isolate: (id) => network.change(() => network.topology.isolate(id)),
    heal: () => network.change(() => network.topology.heal()),
    weather(rates) {
      network.weather = checkWeather({ ...network.weather, ...rates })
    },
    filter(decide) {
      network.filter = decide
    },
    release() {
      for (const wire of network.holding) wire.release()
      network.holding.clear()
    },
  }
}

/** What the nodes of one network share. */
export class Network {
  readonly scheduler: Scheduler
  readonly random: () => number
  readonly maxFrameBytes: number
  readonly queueBytes: number
  readonly reconnect: number
  readonly topology: Topology = new Topology()
  readonly holding: Set<Wire> = new Set()
  weather: Weather = fair
  filter: Filter | undefined
  readonly #nodes = new Map<string, MemoryTransport>()

  constructor(options: MemoryNetworkOptions) {
    this.scheduler = options.scheduler ?? realTime
    this.random = seeded(options.seed ?? 1)
    this.maxFrameBytes = atLeast('maxFrameBytes', options.maxFrameBytes ?? 4 * 1024 * 1024, 65_536)
    this.queueBytes = atLeast('queueBytes', options.queueBytes ?? 4 * this.maxFrameBytes, 2 * this.maxFrameBytes)
    this.reconnect = atLeast('reconnect', options.reconnect ?? 50, 1)
  }

  delay(): number {
    return drawDelay(this.weather, this.random)
  }

  change(topology: () => void): void {
    topology()
    for (const node of this.#nodes.values()) node.sever()
  }

  at(address: string | undefined): MemoryTransport | undefined {
    return address === undefined ? undefined : this.#nodes.get(address)
  }

  listen(address: string, node: MemoryTransport): void {
    if (this.#nodes.has(address))
      throw new RaftkitError(
        'TRANSPORT_FAILED',
        `another node listens at ${address}: close it, or take another address`,
      )
    this.#nodes.set(address, node)
  }

  leave(address: string, node: MemoryTransport): void {
    if (this.#nodes.get(address) === node) this.#nodes.delete(address)
  }
}

function atLeast(name: string, value: number, least: number): number {
  if (Number.isFinite(value) && value >= least) return value
  throw new RaftkitError('INVALID_OPTION', `${name} is a number of at least ${least}, not ${String(value)}`)
}
