import type { Message } from '@raftkit/bft'
import { roundOf } from '@raftkit/byzantine'
import type { Random } from '../random.ts'
import type { BftPlan } from './plan.ts'

/** What becomes of messages. Partitions by time, and by rounds of the protocol. */
export class BftNetwork {
  readonly #plan: BftPlan
  readonly #random: Random
  readonly #seats: () => number
  readonly #rounds: Map<string, ReadonlySet<number> | undefined> = new Map()
  isHealed = false
  /** Members that hear nothing of those outside. */
  #island: ReadonlySet<number> = new Set()
  cuts = 0

  constructor(plan: BftPlan, random: Random, seats: () => number) {
    this.#plan = plan
    this.#random = random
    this.#seats = seats
  }

  get isSplit(): boolean {
    return this.#island.size > 0
  }

  split(island: Iterable<number>): void {
    this.#island = new Set(island)
  }

  /** When each copy arrives: none, one or two delays. */
  carry(from: number, to: number, message: Message | undefined): number[] {
    const { drop, twice, delay } = this.#plan
    const random = this.#random
    if (this.isHealed) return [random.between(1, 6)]
    if (this.#island.has(from) !== this.#island.has(to)) return []
    if (message !== undefined && this.#isCut(from, to, message)) {
      this.cuts++
      return []
    }
    if (random.chance(drop)) return []
    const once = random.between(1, 1 + delay)
    return random.chance(twice) ? [once, random.between(1, 1 + 5 * delay)] : [once]
  }

  /** ByzzFuzz: in some rounds, two halves hear nothing of each other. */
  #isCut(from: number, to: number, message: Message): boolean {
    if (this.#plan.roundFaults === 0) return false
    const round = roundOf(message)
    if (!this.#rounds.has(round)) {
      const random = this.#random
      const half = Array.from({ length: this.#seats() }, (_, seat) => seat).filter(() => random.chance(0.5))
      this.#rounds.set(round, random.chance(this.#plan.roundFaults) ? new Set(half) : undefined)
    }
    const half = this.#rounds.get(round)
    return half !== undefined && half.has(from) !== half.has(to)
  }
}
