import type { Lane, NodeId, Peer, Receiver, Transport } from '@raftkit/contract'
import type { MemoryNetwork } from '@raftkit/transport-memory'

/** What a host would be: says hello, admits everybody, and writes down what it hears. */
export class TestNode implements Receiver {
  readonly id: NodeId
  readonly transport: Transport
  readonly heard: { from: NodeId; frame: Uint8Array }[] = []
  readonly links: string[] = []
  readonly admitted: string[] = []

  private constructor(id: NodeId, transport: Transport) {
    this.id = id
    this.transport = transport
  }

  static async start(network: MemoryNetwork, id: NodeId): Promise<TestNode> {
    const node = new TestNode(id, network.transport())
    await node.transport.start(node.peer, node)
    return node
  }

  get peer(): Peer {
    return { id: this.id, address: `at ${this.id}` }
  }

  hello(): Uint8Array {
    return new TextEncoder().encode(this.id)
  }

  /** Whether it can read what comes. */
  reading = true

  admit(hello: Uint8Array): NodeId {
    const id = new TextDecoder().decode(hello)
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
