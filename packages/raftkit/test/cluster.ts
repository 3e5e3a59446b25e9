import type { NodeId, Storage } from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import { memoryStorage } from '@raftkit/storage-memory'
import { type MemoryNetwork, memoryNetwork } from '@raftkit/transport-memory'
import { createNode, defineMachine, type Node, type NodeEvent, type NodeOptions, Refusal } from '../src/index.ts'

export const counters = defineMachine({
  initial: () => new Map<string, number>(),
  commands: {
    add: (counts, { key, by = 1 }: { key: string; by?: number }) => {
      const sum = (counts.get(key) ?? 0) + by
      counts.set(key, sum)
      return sum
    },
    take: (counts, key: string) => {
      const count = counts.get(key) ?? 0
      if (count === 0) throw new Refusal('there is none', { code: 'EMPTY' })
      counts.set(key, count - 1)
      return count - 1
    },
    fill: (counts, { key, bytes }: { key: string; bytes: string }) => {
      counts.set(key, bytes.length)
    },
    explode: () => {
      throw new Error('a bug in a command')
    },
  },
  queries: { get: (counts, key: string) => counts.get(key) ?? 0 },
})

export type CounterNode = Node<typeof counters>

/** Several nodes in this process, over one network, each with a storage that outlives it. */
export class Cluster {
  readonly network: MemoryNetwork
  readonly nodes = new Map<NodeId, CounterNode>()
  readonly storages = new Map<NodeId, Storage>()
  readonly events: NodeEvent[] = []
  readonly #founders: readonly NodeId[]
  readonly #options: Partial<NodeOptions<typeof counters>>

  constructor(
    founders: readonly NodeId[],
    options: Partial<NodeOptions<typeof counters>> = {},
    network = memoryNetwork(),
  ) {
    this.#founders = founders
    this.#options = options
    this.network = network
  }

  /** All founders, ready. */
  static async start(
    size: number,
    options: Partial<NodeOptions<typeof counters>> = {},
    network?: MemoryNetwork,
  ): Promise<Cluster> {
    const founders = Array.from({ length: size }, (_, i) => `n${i + 1}`)
    const cluster = new Cluster(founders, options, network)
    await Promise.all(founders.map((id) => cluster.start(id)))
    await Promise.all([...cluster.nodes.values()].map((node) => node.ready()))
    return cluster
  }

  async start(id: NodeId, options: Partial<NodeOptions<typeof counters>> = {}): Promise<CounterNode> {
    let storage = this.storages.get(id)
    if (!storage) {
      storage = memoryStorage({ durable: true })
      this.storages.set(id, storage)
    }
    const founder = this.#founders.includes(id)
    const node = await createNode({
      id,
      cluster: 'counters',
      machine: counters,
      ...(founder
        ? { members: Object.fromEntries(this.#founders.map((each) => [each, `at-${each}`])) }
        : { join: true, address: `at-${id}` }),
      storage,
      transport: this.network.transport(),
      membership: jointConsensus(),
      timing: { electionTimeout: 200, heartbeatInterval: 20 },
      observer: (event) => this.events.push(event),
      ...this.#options,
      ...options,
    })
    this.nodes.set(id, node)
    return node
  }

  node(id: NodeId): CounterNode {
    const node = this.nodes.get(id)
    if (!node) throw new Error(`${id} does not run`)
    return node
  }

  /** As kill -9 would: nothing is handed over, nothing is said. */
  async kill(id: NodeId): Promise<void> {
    const node = this.node(id)
    this.nodes.delete(id)
    this.network.isolate(id)
    await node.close()
    this.network.heal()
  }

  /** Forgets what the node had on its disk. */
  wipe(id: NodeId): void {
    this.storages.delete(id)
  }

  /** The node that leads, once all running members agree; one of `among`, once those agree. */
  async leader(among?: readonly NodeId[]): Promise<CounterNode> {
    let found: CounterNode | undefined
    await until(() => {
      const views = (among ?? [...this.nodes.keys()])
        .map((id) => this.node(id).status())
        .filter(({ id, config }) => among !== undefined || config.members.some((member) => member.id === id))
      const leader = views[0]?.leader
      found = leader === undefined || among?.includes(leader) === false ? undefined : this.nodes.get(leader)
      return found !== undefined && views.every((view) => view.leader === leader) && found.status().role === 'leader'
    })
    return found!
  }

  async follower(): Promise<CounterNode> {
    const leader = await this.leader()
    return [...this.nodes.values()].find((node) => node !== leader)!
  }

  /** All running machines hold the same, up to the same entry. */
  async converge(): Promise<string> {
    let hash = ''
    await until(async () => {
      const hashes = await Promise.all([...this.nodes.values()].map((node) => node.hash()))
      const texts = hashes.map(({ index, hash }) => `${index} ${Buffer.from(hash).toString('hex')}`)
      hash = texts[0]!
      return texts.every((text) => text === hash)
    })
    return hash
  }

  eventsOf<T extends NodeEvent['type']>(type: T): Extract<NodeEvent, { readonly type: T }>[] {
    return this.events.filter((event): event is Extract<NodeEvent, { readonly type: T }> => event.type === type)
  }

  async close(): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node.close()))
  }
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
}
