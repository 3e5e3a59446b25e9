import type { Lane, NodeId } from '@raftkit/contract'
import type { Message } from '@raftkit/core'

/** One frame on its way, or one copy of it. */
export interface Packet {
  /** Rises by one with every packet of a world. */
  readonly id: number
  /** The packet this one repeats. */
  readonly copyOf?: number
  readonly from: NodeId
  readonly to: NodeId
  /** `boots` of the sender when it was sent. */
  readonly boot: number
  readonly lane: Lane
  /** World's time in milliseconds. */
  readonly sentAt: number
  readonly bytes: Uint8Array
  /** What the frame carries. Frames of one turn, peer and lane that had to be split carry all theirs in the first. */
  readonly messages: readonly Message[]
}
