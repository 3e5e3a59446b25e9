import type { Lane, NodeId } from '@raftkit/contract'
import { encodeFrame, type FrameMessage, frameBytes, messageBytes } from './frame.ts'

/** What leaves in one turn: gathered by peer, lane and genesis, so that each gets one frame that carries many messages. */
export class Frames {
  readonly #maxFrameBytes: number
  readonly #batches = new Map<string, Batch>()

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** False: the message is larger than any frame, and is not carried. */
  add(to: NodeId, lane: Lane, genesis: string, message: FrameMessage): boolean {
    const bytes = messageBytes(message)
    if (frameBytes(bytes) > this.#maxFrameBytes) return false
    const key = `${lane} ${to} ${genesis}`
    let batch = this.#batches.get(key)
    if (!batch) {
      batch = { to, lane, genesis, messages: [[]], bytes: 0 }
      this.#batches.set(key, batch)
    }
    if (frameBytes(batch.bytes + bytes) > this.#maxFrameBytes) {
      batch.messages.push([])
      batch.bytes = 0
    }
    batch.bytes += bytes
    batch.messages.at(-1)!.push(message)
    return true
  }

  /** Hands every frame over, control first, and forgets them. */
  send(hand: (to: NodeId, frame: readonly Uint8Array[], lane: Lane) => void): void {
    if (this.#batches.size === 0) return
    const batches = [...this.#batches.values()]
    this.#batches.clear()
    for (const lane of ['control', 'bulk'] as const)
      for (const batch of batches)
        if (batch.lane === lane)
          for (const messages of batch.messages) hand(batch.to, encodeFrame(lane, batch.genesis, messages), lane)
  }
}

interface Batch {
  readonly to: NodeId
  readonly lane: Lane
  readonly genesis: string
  /** Of each frame. */
  readonly messages: FrameMessage[][]
  /** Of the last frame. */
  bytes: number
}
