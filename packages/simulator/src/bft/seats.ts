import type { Voter } from '@raftkit/bft'
import type { LiarPlan } from './plan.ts'

/** Whoever has one key and one disk, and is a member at some time: the same id under another key is another one. */
export interface Seat extends Voter {
  readonly number: number
  /** How it lies, from first to last: as one to come, as a member, and when it has left. */
  readonly plan: LiarPlan | undefined
}
