import type { Lane, NodeId, Peer, Receiver, Transport } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { until } from './until.ts'

/** Transports of one kind, and the places where they can be reached. */
export interface World {
  /** A new transport, not started. */
  transport(): Transport
  /** An address that nobody uses. Default: a free port on loopback. */
  address?(): string
  /** The address at which a started transport is reached, when it was started at `address`. Default: what it says itself. */
  reached?(transport: Transport, address: string): string
}

export interface NodeOptions {
  readonly cluster?: string
  /** Null: a node that only dials. */
  readonly address?: string | null
}

/** What a host would be: says hello, admits its own cluster, and writes down what it hears. */
export class TestNode implements Receiver {
  readonly id: NodeId
  readonly transport: Transport
  readonly heard: { from: NodeId; frame: Uint8Array }[] = []
  readonly links: string[] = []
  readonly admitted: string[] = []
  cluster: string
  admitting = true
  refusals = 0
  /** Whether it can read what comes. */
  reading = true
  #address: string | undefined

  private constructor(id: NodeId, transport: Transport, cluster: string) {
    this.id = id
    this.transport = transport
    this.cluster = cluster
  }

  static async start(world: World, id: NodeId, options: NodeOptions = {}): Promise<TestNode> {
    const node = new TestNode(id, world.transport(), options.cluster ?? 'c')
    running.add(node)
    if (options.address === null) await node.transport.start({ id }, node)
    else {
      const address = options.address ?? world.address?.() ?? '127.0.0.1:0'
      await node.transport.start({ id, address }, node)
      node.#address = world.reached ? world.reached(node.transport, address) : addressOf(node.transport)
    }
    return node
  }

  get peer(): Peer {
    return this.#address === undefined ? { id: this.id } : { id: this.id, address: this.#address }
  }

  hello(): Uint8Array {
    return new TextEncoder().encode(`${this.cluster}/${this.id}`)
  }

  admit(hello: Uint8Array, proven?: readonly string[]): NodeId {
    const [cluster, id] = new TextDecoder().decode(hello).split('/')
    if (proven && !['urn:raftkit:role:peer', `raft://${cluster}/${id}`].every((name) => proven.includes(name))) {
      this.refusals++
      throw new RaftkitError('REFUSED', `${proven.join(' ')} is not the peer ${id}`)
    }
    if (!this.admitting || cluster !== this.cluster || !id) {
      this.refusals++
      throw new RaftkitError('REFUSED', `this is ${this.cluster}/${this.id}, and you are ${cluster}/${id}`)
    }
    this.admitted.push(id)
    return id
  }

  frame(from: NodeId, frame: Uint8Array): boolean {
    this.heard.push({ from, frame })
    return this.reading
  }

  link(peer: NodeId, state: string): void {
    this.links.push(`${peer} ${state}`)
  }

  send(to: TestNode, text: string, lane: Lane = 'control'): void {
    this.transport.send(to.id, [new TextEncoder().encode(text)], lane)
  }

  /** What was heard, as text. */
  get texts(): string[] {
    return this.heard.map(({ frame }) => new TextDecoder().decode(frame))
  }

  /** The last that was said of the link. */
  state(peer: TestNode): string | undefined {
    const links = this.links.filter((link) => link.startsWith(`${peer.id} `))
    return links.at(-1)?.slice(peer.id.length + 1)
  }
}

const addressOf = (transport: Transport): string => (transport as Transport & { readonly address: string }).address

const running = new Set<TestNode>()

export async function closeAll(): Promise<void> {
  await Promise.all([...running].map((node) => node.transport.close()))
  running.clear()
}

/** Each knows the address of all others, and all links are up. */
export async function connect(...nodes: TestNode[]): Promise<void> {
  for (const node of nodes) node.transport.setPeers(nodes.map(({ peer }) => peer))
  await up(...nodes)
}

export async function up(...nodes: TestNode[]): Promise<void> {
  await until(
    () => nodes.every((node) => nodes.every((other) => other === node || node.state(other) === 'up')),
    () => nodes.map(({ id, links }) => `${id}: ${links.join(', ')}`).join('; '),
  )
}
