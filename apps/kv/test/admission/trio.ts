import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import type { Receiver, Transport } from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import { memoryStorage } from '@raftkit/storage-memory'
import { createNode, defineMachine, type Node } from 'raftkit'

const sums = defineMachine({
  initial: () => ({ sum: 0 }),
  commands: { add: (state, by: number) => (state.sum += by) },
  queries: { sum: (state) => state.sum },
})

/** Whoever is not one of the three. */
export const strangerId = 'n9'

/** Free ports, a moment ago. */
export async function freeAddresses(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const found = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return found
}

/** Three real nodes that serve, and what they hear of the stranger. */
export class Trio {
  readonly nodes: readonly Node<typeof sums>[]
  readonly members: Readonly<Record<string, string>>
  /** Frames of the stranger that a node was handed, under whatever name. */
  frames = 0
  /** Links to the stranger that came up. */
  links = 0
  /** What the nodes said of those that they turned down, or that turned them down. */
  readonly heard: string[] = []
  /** Bytes that only the stranger's frames hold. */
  readonly mark: Buffer
  #n2: Receiver | undefined
  #added = 0

  private constructor(nodes: readonly Node<typeof sums>[], members: Readonly<Record<string, string>>, mark: Buffer) {
    this.nodes = nodes
    this.members = members
    this.mark = mark
  }

  /** `transport`: of one of the three; it shall tell `report` of what goes wrong. */
  static async start(transport: (id: string, report: (text: string) => void) => Transport): Promise<Trio> {
    const addresses = await freeAddresses(3)
    const members = Object.fromEntries(addresses.map((address, n) => [`n${n + 1}`, address]))
    const nodes: Node<typeof sums>[] = []
    const trio = new Trio(nodes, members, randomBytes(16))
    const started = await Promise.all(
      Object.keys(members).map((id) =>
        createNode({
          id,
          cluster: 'shop',
          machine: sums,
          members,
          membership: jointConsensus(),
          storage: memoryStorage(),
          transport: trio.#watched(
            transport(id, (text) => trio.heard.push(text)),
            id,
          ),
          // Nobody stands for election because the machine is busy: a term that changes is the stranger's doing.
          timing: { electionTimeout: 5000, heartbeatInterval: 200 },
          // All three close at once: the last has nobody left to hand over to.
          closeTimeout: 0,
          observer: (event) => {
            if (event.type === 'refused') trio.heard.push(event.reason)
          },
        }),
      ),
    )
    nodes.push(...started)
    await Promise.all(nodes.map((node) => node.ready()))
    // Until a node knows it, it might have to believe others.
    while (!nodes.every((node) => node.status().configCommitted)) await new Promise((resolve) => setTimeout(resolve, 5))
    return trio
  }

  /** The hello of n2, as it says it now. */
  get hello(): Uint8Array {
    return this.#n2!.hello().slice()
  }

  get terms(): number[] {
    return this.nodes.map((node) => node.status().term)
  }

  get leaders(): (string | undefined)[] {
    return this.nodes.map((node) => node.status().leader)
  }

  /** A write and a linearizable read through each of the three. */
  async serves(): Promise<boolean> {
    this.#added += this.nodes.length
    await Promise.all(this.nodes.map((node) => node.commands.add(1)))
    const sums = await Promise.all(this.nodes.map((node) => node.queries.sum(undefined)))
    return sums.every((sum) => sum === this.#added)
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()))
  }

  /**
   * The transport as it is, with an ear at the receiver: what passes here has been let in. What the stranger sends ends here: it is no
   * frame that a node could read, and would end the connection by which it came.
   */
  #watched(transport: Transport, id: string): Transport {
    return {
      contract: transport.contract,
      maxFrameBytes: transport.maxFrameBytes,
      start: (self, receiver) => {
        if (id === 'n2') this.#n2 = receiver
        const watching: Receiver = {
          hello: () => receiver.hello(),
          admit: (hello, proven) => receiver.admit(hello, proven),
          frame: (from, frame) => {
            const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length)
            if (from !== strangerId && !bytes.includes(this.mark)) return receiver.frame(from, frame)
            this.frames++
            return true
          },
          link: (peer, state) => {
            if (peer === strangerId && state === 'up') this.links++
            receiver.link(peer, state)
          },
        }
        return transport.start(self, watching)
      },
      send: (to, frame, lane) => transport.send(to, frame, lane),
      setPeers: (peers) => transport.setPeers(peers),
      close: () => transport.close(),
    }
  }
}
