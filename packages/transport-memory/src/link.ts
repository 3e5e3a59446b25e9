import type { Lane, LinkState, NodeId } from '@raftkit/contract'
import type { Network } from './network.ts'
import type { MemoryTransport } from './transport.ts'

const lanes = ['control', 'bulk'] as const

/** One side of a link: whose it is, and under which name it knows the other. */
export interface End {
  readonly node: MemoryTransport
  readonly peer: NodeId
}

/** Two nodes that have admitted each other. The dialler is the one that tries again when it breaks. */
export class Link {
  readonly dialler: End
  readonly other: End
  broken = false
  readonly #wires: ReadonlyMap<MemoryTransport, Wire>

  constructor(network: Network, dialler: End, other: End) {
    this.dialler = dialler
    this.other = other
    this.#wires = new Map([
      [dialler.node, new Wire(network, this, dialler, other)],
      [other.node, new Wire(network, this, other, dialler)],
    ])
  }

  send(from: MemoryTransport, frame: Uint8Array, lane: Lane): void {
    this.#wires.get(from)?.send(frame, lane)
  }

  /** What was on its way is lost. */
  break(): void {
    if (this.broken) return
    this.broken = true
    this.dialler.node.unlinked(this, this.dialler.peer)
    this.other.node.unlinked(this, this.other.peer)
  }
}

interface Parcel {
  frame: Uint8Array
  readonly due: number
  /** Sits in the queue for good until released; those behind it in the lane wait as well. */
  held: boolean
}

/** One direction of a link: two queues, of which control always goes first. */
export class Wire {
  readonly #network: Network
  readonly #link: Link
  readonly #from: End
  readonly #to: End
  readonly #queues: Record<Lane, Parcel[]> = { control: [], bulk: [] }
  readonly #bytes: Record<Lane, number> = { control: 0, bulk: 0 }
  #state: LinkState = 'up'
  #pumping = false

  constructor(network: Network, link: Link, from: End, to: End) {
    this.#network = network
    this.#link = link
    this.#from = from
    this.#to = to
  }

  send(frame: Uint8Array, lane: Lane): void {
    const { weather, random, filter } = this.#network
    const verdict = filter?.(this.#from.node.id, this.#to.node.id, frame, lane) ?? 'pass'
    if (verdict === 'drop' || !this.#passes() || (weather.loss > 0 && random() < weather.loss)) return
    const copies = weather.duplicate > 0 && random() < weather.duplicate ? 2 : 1
    for (let copy = 0; copy < copies; copy++)
      this.#enqueue(copy === 0 ? frame : frame.slice(), lane, verdict === 'hold')
  }

  #enqueue(frame: Uint8Array, lane: Lane, held: boolean): void {
    const { weather, random, scheduler, queueBytes } = this.#network
    const queue = this.#queues[lane]
    if (this.#bytes[lane] + cost(frame) > queueBytes) {
      if (lane === 'bulk') {
        this.#tell('full')
        return
      }
      // The newest control frame says most: a vote or a heartbeat supersedes those before it.
      while (queue.length > 0 && this.#bytes.control + cost(frame) > queueBytes) this.#take('control')
    }
    const now = scheduler.now()
    const due = Math.max(now + this.#network.delay(), queue.at(-1)?.due ?? 0)
    const parcel: Parcel = { frame, due, held }
    if (weather.reorder > 0 && queue.length > 0 && random() < weather.reorder) {
      const earlier = queue[Math.floor(random() * queue.length)]!
      parcel.frame = earlier.frame
      earlier.frame = frame
    }
    queue.push(parcel)
    this.#bytes[lane] += cost(frame)
    if (held) this.#network.holding.add(this)
    if (due > now) scheduler.at(due, () => this.#pump())
    else this.#pumpSoon()
  }

  release(): void {
    for (const lane of lanes) for (const parcel of this.#queues[lane]) parcel.held = false
    this.#pumpSoon()
  }

  #pumpSoon(): void {
    if (this.#pumping) return
    this.#pumping = true
    this.#network.scheduler.soon(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  #pump(): void {
    const now = this.#network.scheduler.now()
    for (const lane of lanes) {
      const queue = this.#queues[lane]
      while (!this.#link.broken && queue.length > 0 && queue[0]!.due <= now && !queue[0]!.held) {
        const frame = this.#take(lane)
        // A cut takes what is on its way, too.
        if (this.#passes()) this.#to.node.receive(this.#to.peer, frame)
      }
    }
    if (this.#bytes.bulk <= this.#network.queueBytes / 2) this.#tell('up')
  }

  #take(lane: Lane): Uint8Array {
    const { frame } = this.#queues[lane].shift()!
    this.#bytes[lane] -= cost(frame)
    return frame
  }

  #tell(state: LinkState): void {
    if (this.#state === state || this.#link.broken) return
    this.#state = state
    this.#from.node.tell(this.#from.peer, state)
  }

  #passes(): boolean {
    return this.#network.topology.passes(this.#from.node.id, this.#to.node.id)
  }
}

/** So that empty frames count as well. */
function cost(frame: Uint8Array): number {
  return frame.length + 64
}
