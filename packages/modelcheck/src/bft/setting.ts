import * as bft from '@raftkit/bft'
import type { Entries } from './entries.ts'

/** The functions that decide what a member may sign. */
export type Rules = Pick<typeof bft, 'enterTerm' | 'askForTerm' | 'mayAppend' | 'append' | 'lockOn' | 'mayCommit'>

export interface Setting {
  readonly entries: Entries
  /** Of each epoch; rising, the first is 0. */
  readonly terms: readonly number[]
  /** Epochs but the first have so many of them. */
  readonly laterTerms: number
  /** By number: who votes in the epoch of the same number. */
  readonly seats: readonly (readonly string[])[]
  /** Signs everything there is to sign, and hears and says what it likes. */
  readonly liar: string
  readonly rules: Rules
  /** What is certified once counts as committed, as in Tangaroa. */
  readonly isOnePhase: boolean
  /** Look for forks alone, not for the broken promises that lead to them. */
  readonly isForkOnly: boolean
}

const four = ['m0', 'm1', 'm2', 'm3']

export const setting = (entries: Entries, terms: readonly number[], more: Partial<Setting> = {}): Setting => ({
  ...{ entries, terms, laterTerms: terms.length, seats: [four, four], liar: 'm0' },
  ...{ rules: bft, isOnePhase: false, isForkOnly: false },
  ...more,
})
