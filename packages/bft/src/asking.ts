import type { NodeId } from '@raftkit/contract'
import type { Investigation } from './accusing.ts'
import type { Message } from './messages.ts'
import type { ServerAsk } from './server.ts'
import type { Check, Phase, Place } from './statement.ts'
import type { Tallied } from './tally.ts'

/** What waits for its signatures to be verified. */
export type Purpose =
  | { readonly type: 'message'; readonly from: NodeId; readonly message: Message; readonly checks: readonly Check[] }
  | Investigation
  | { readonly type: 'requests'; readonly requests: readonly Uint8Array[] }
  | { readonly type: 'tally'; readonly votes: readonly Tallied[] }

/** Messages of one sender whose signatures are being verified: what a liar sends beyond that is dropped unseen (I21). */
const mostParked = 64

/** What is asked of the host, and what the answers are for. */
export class Asking {
  #purposes: Map<number, Purpose> = new Map()
  #parked: Map<NodeId, number> = new Map()
  #asked = 0
  #asks: ServerAsk[] = []

  fork(): Asking {
    const copy = new Asking()
    copy.#purposes = new Map(this.#purposes)
    copy.#parked = new Map(this.#parked)
    copy.#asked = this.#asked
    copy.#asks = [...this.#asks]
    return copy
  }

  /** Those since the last time. */
  take(): ServerAsk[] {
    const asks = this.#asks
    this.#asks = []
    return asks
  }

  sign(bytes: Uint8Array): number {
    this.#asks.push({ type: 'sign', id: ++this.#asked, bytes })
    return this.#asked
  }

  verify(checks: readonly Check[], purpose: Purpose): void {
    if (purpose.type === 'message') {
      const parked = this.#parked.get(purpose.from) ?? 0
      if (parked >= mostParked) return
      this.#parked.set(purpose.from, parked + 1)
    }
    this.#purposes.set(++this.#asked, purpose)
    this.#asks.push({ type: 'verify', id: this.#asked, checks })
  }

  /** What the answer to `ask` is for, once. */
  settle(ask: number): Purpose | undefined {
    const purpose = this.#purposes.get(ask)
    this.#purposes.delete(ask)
    if (purpose?.type === 'message') this.#parked.set(purpose.from, this.#parked.get(purpose.from)! - 1)
    return purpose
  }

  /** Whether votes for that place are being verified. */
  isVerifying(phase: Phase, { term, hash }: Place): boolean {
    for (const purpose of this.#purposes.values()) {
      const vote = purpose.type === 'tally' ? purpose.votes[0] : undefined
      if (vote?.phase === phase && vote.place.term === term && vote.place.hash === hash) return true
    }
    return false
  }
}
