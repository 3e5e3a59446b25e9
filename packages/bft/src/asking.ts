import type { Ask, Index, NodeId, Term } from '@raftkit/contract'
import type { Investigation } from './accusing.ts'
import type { CheckpointVote } from './checkpointing.ts'
import { isEqual } from './hash.ts'
import type { Message } from './messages.ts'
import type { ServerAsk } from './server.ts'
import type { Check, Phase, Place } from './statement.ts'
import type { Tallied } from './tally.ts'

/** What waits for its signatures to be verified. */
export type Purpose =
  | { readonly type: 'message'; readonly from: NodeId; readonly message: Message; readonly checks: readonly Check[] }
  | Investigation
  | { readonly type: 'configuration'; readonly item: Uint8Array }
  | { readonly type: 'requests'; readonly requests: readonly Uint8Array[]; readonly sender: number | undefined }
  | { readonly type: 'tally'; readonly votes: readonly Tallied[] }
  | { readonly type: 'checkpointVotes'; readonly votes: readonly CheckpointVote[] }
  /** Of a checkpoint of its own at that entry: the machine's snapshot, then its bytes. */
  | { readonly type: 'taken' | 'read'; readonly index: Index }
  /** For a peer. */
  | { readonly type: 'serve'; readonly to: NodeId; readonly index: Index; readonly at: number; readonly pages: number }
  /** Of a state that is fetched. */
  | { readonly type: 'transfer'; readonly name: string }
  | { readonly type: 'restored' }
  | { readonly type: 'nothing' }

type Without<T> = T extends unknown ? Omit<T, 'id'> : never
/** An ask without its number. */
export type Wanted = Without<Exclude<Ask, { type: 'sign' | 'verify' | 'readLog' }>>

/** Messages of one sender whose signatures are being verified: what a liar sends beyond that is dropped unseen (I21). */
const mostParked = 64

/** What is asked of the host, and what the answers are for. */
export class Asking {
  #purposes: Map<number, Purpose> = new Map()
  #parked: Map<NodeId, number> = new Map()
  /** Places whose votes are being verified: one ask for each at a time. */
  #tallies: Set<string> = new Set()
  /** Asks of entries that a leader sent, in the order in which it did: some take longer than others, and a child is handled behind its parent. */
  #inOrder: Map<NodeId, readonly number[]> = new Map()
  #answered: Map<number, readonly boolean[]> = new Map()
  #asked = 0
  #asks: ServerAsk[] = []

  fork(): Asking {
    const copy = new Asking()
    copy.#purposes = new Map(this.#purposes)
    copy.#parked = new Map(this.#parked)
    copy.#tallies = new Set(this.#tallies)
    copy.#inOrder = new Map(this.#inOrder)
    copy.#answered = new Map(this.#answered)
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
    const key = keyOf(purpose)
    if (key !== undefined) this.#tallies.add(key)
    if (isOrdered(purpose)) this.#inOrder.set(purpose.from, [...(this.#inOrder.get(purpose.from) ?? []), this.#asked])
    this.#asks.push({ type: 'verify', id: this.#asked, checks })
  }

  /** Anything but signatures; `purpose` gets the answer. */
  ask(ask: Wanted, purpose: Purpose): void {
    this.#asked++
    // That is never answered.
    if (ask.type !== 'retain') this.#purposes.set(this.#asked, purpose)
    this.#asks.push({ ...ask, id: this.#asked } as ServerAsk)
  }

  /** Whether what that leader said is being looked at already: it says it again when it waits for long, and a signature costs more than a message. */
  isLookingAt(from: NodeId, { term, signature }: Extract<Message, { type: 'appendEntries' }>): boolean {
    return (this.#inOrder.get(from) ?? []).some((ask) => {
      const purpose = this.#purposes.get(ask)
      if (purpose === undefined || !isOrdered(purpose) || purpose.message.type !== 'appendEntries') return false
      return purpose.message.term === term && isEqual(purpose.message.signature, signature)
    })
  }

  /** Whether the entries with which that leader shows its term are being looked at: what comes behind them is handled behind them. */
  isShowing(from: NodeId, term: Term): boolean {
    return (this.#inOrder.get(from) ?? []).some((ask) => {
      const purpose = this.#purposes.get(ask)
      if (purpose === undefined || !isOrdered(purpose) || purpose.message.type !== 'appendEntries') return false
      return purpose.message.term === term && purpose.message.proof !== undefined
    })
  }

  /** What may be handled now that `ask` was answered. */
  verified(
    ask: number,
    valid: readonly boolean[],
  ): { readonly purpose: Purpose; readonly valid: readonly boolean[] }[] {
    const purpose = this.#purposes.get(ask)
    if (purpose === undefined) return []
    if (!isOrdered(purpose)) return [{ purpose: this.settle(ask)!, valid }]
    this.#answered.set(ask, valid)
    const ready = []
    const waiting = [...this.#inOrder.get(purpose.from)!]
    for (let next = waiting[0]; next !== undefined && this.#answered.has(next); next = waiting[0]) {
      ready.push({ purpose: this.settle(next)!, valid: this.#answered.get(next)! })
      this.#answered.delete(next)
      waiting.shift()
    }
    this.#inOrder.set(purpose.from, waiting)
    return ready
  }

  /** What the answer to `ask` is for, once. */
  settle(ask: number): Purpose | undefined {
    const purpose = this.#purposes.get(ask)
    this.#purposes.delete(ask)
    if (purpose?.type === 'message') this.#parked.set(purpose.from, this.#parked.get(purpose.from)! - 1)
    const key = purpose && keyOf(purpose)
    if (key !== undefined) this.#tallies.delete(key)
    return purpose
  }

  isFor(type: Purpose['type']): boolean {
    for (const purpose of this.#purposes.values()) if (purpose.type === type) return true
    return false
  }

  /** Messages with requests of that member that are being verified. */
  requestsOf(sender: number): number {
    let count = 0
    for (const purpose of this.#purposes.values()) if (purpose.type === 'requests' && purpose.sender === sender) count++
    return count
  }

  /** Whether pages for that peer are being read: it gets no others meanwhile. */
  isServing(to: NodeId): boolean {
    for (const purpose of this.#purposes.values()) if (purpose.type === 'serve' && purpose.to === to) return true
    return false
  }

  /** Whether votes for that place are being verified. */
  isVerifying(phase: Phase, { term, hash }: Place): boolean {
    return this.#tallies.has(`${phase} ${term} ${hash}`)
  }
}

/** What its votes are for. */
function keyOf(purpose: Purpose): string | undefined {
  const vote = purpose.type === 'tally' ? purpose.votes[0] : undefined
  return vote && `${vote.phase} ${vote.place.term} ${vote.place.hash}`
}

const isOrdered = (purpose: Purpose): purpose is Extract<Purpose, { type: 'message' }> =>
  purpose.type === 'message' && purpose.message.type === 'appendEntries'
