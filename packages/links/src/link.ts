import type { Lane, LinkState, NodeId } from '@raftkit/contract'
import type { Address } from './address.ts'
import { PeerLane, type Surroundings } from './lane.ts'

/** Both lanes to one peer, and what the receiver hears of them. */
export class Link {
  readonly lanes: Readonly<Record<Lane, PeerLane>>
  #state: LinkState = 'down'

  constructor(around: Surroundings, peer: NodeId, tell: (state: LinkState) => void) {
    const changed = () => {
      const state = this.#now()
      if (state === this.#state) return
      this.#state = state
      tell(state)
    }
    this.lanes = {
      control: new PeerLane(around, peer, 'control', changed, () => this.lanes.bulk.hurry()),
      bulk: new PeerLane(around, peer, 'bulk', changed, () => this.lanes.control.hurry()),
    }
  }

  /** Up once both lanes are; from then on a missing bulk lane is one that drops all. */
  #now(): LinkState {
    const { control, bulk } = this.lanes
    if (!control.connection) return 'down'
    if (!bulk.connection) return this.#state === 'down' ? 'down' : 'full'
    return bulk.full ? 'full' : 'up'
  }

  get idle(): boolean {
    return !this.lanes.control.connection && !this.lanes.bulk.connection
  }

  dial(address: Address | undefined): void {
    this.lanes.control.dial(address)
    this.lanes.bulk.dial(address)
  }

  finish(): void {
    this.lanes.control.finish()
    this.lanes.bulk.finish()
  }
}
