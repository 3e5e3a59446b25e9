import type { Receiver, Transport } from '@raftkit/contract'
import { strangerId, type Trio } from './trio.ts'

/** What a hello says, at which place: u8 format, texts with their length in u32, 16 bytes each. See raftkit's hello.ts. */
interface Says {
  readonly format?: number
  /** As long as `shop`. */
  readonly cluster?: string
  readonly genesis?: Uint8Array
  /** As long as `raft`. */
  readonly protocol?: string
}

/**
 * The hello of a real node of the three, with another id, and what else is to be wrong in it. Whoever says it knows the cluster and its
 * founding: it could be a member that comes back.
 */
export function helloOf(trio: Trio, { format, cluster, genesis, protocol }: Says = {}): Uint8Array {
  const hello = trio.hello
  const text = (at: number): number => new DataView(hello.buffer, hello.byteOffset).getUint32(at, true)
  const write = (at: number, value: string): void => {
    if (text(at) !== value.length) throw new Error(`${value} has another length`)
    hello.set(new TextEncoder().encode(value), at + 4)
  }
  const clusterAt = 1
  const nodeAt = clusterAt + 4 + text(clusterAt)
  const genesisAt = nodeAt + 4 + text(nodeAt) + 16
  write(nodeAt, strangerId)
  if (format !== undefined) hello[0] = format
  if (cluster !== undefined) write(clusterAt, cluster)
  if (genesis !== undefined) hello.set(genesis, genesisAt)
  if (protocol !== undefined) write(genesisAt + 16, protocol)
  return hello
}

/** Somebody on a real transport who admits everybody, and sends frames from its first moment on without pause. */
export class Stranger {
  readonly heard: string[] = []
  /** Links that came up, as it sees it. */
  links = 0
  readonly #transport: Transport
  readonly #trio: Trio
  #timer: NodeJS.Timeout | undefined

  constructor(trio: Trio, transport: (report: (text: string) => void) => Transport) {
    this.#trio = trio
    this.#transport = transport((text) => this.heard.push(text))
  }

  async start(says: Uint8Array, address: string | undefined): Promise<void> {
    const receiver: Receiver = {
      hello: () => says,
      admit: (hello) => {
        const view = new DataView(hello.buffer, hello.byteOffset)
        const nodeAt = 1 + 4 + view.getUint32(1, true)
        return Buffer.from(hello.subarray(nodeAt + 4, nodeAt + 4 + view.getUint32(nodeAt, true))).toString()
      },
      frame: () => {},
      link: (_, state) => {
        if (state === 'up') this.links++
      },
    }
    await this.#transport.start({ id: strangerId, ...(address === undefined ? {} : { address }) }, receiver)
    this.#timer = setInterval(() => this.#send(), 20)
  }

  dials(): void {
    this.#transport.setPeers(Object.entries(this.#trio.members).map(([id, address]) => ({ id, address })))
  }

  #send(): void {
    for (const id of Object.keys(this.#trio.members))
      for (const lane of ['control', 'bulk'] as const) this.#transport.send(id, [this.#trio.mark], lane)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#transport.close()
  }
}
