import * as bft from '@raftkit/bft'
import { type Entries, sha256 } from './entries.ts'

/** The functions that decide what a member may sign. */
export type Rules = Pick<typeof bft, 'enterTerm' | 'askForTerm' | 'mayAppend' | 'append' | 'lockOn' | 'mayCommit'>

export interface Setting {
  readonly entries: Entries
  /** Of each epoch; rising, the first is 0. */
  readonly terms: readonly number[]
  /** Epochs but the first have so many of them. */
  readonly laterTerms: number
  /** Who votes in the first epoch; in the next, its configuration says it. */
  readonly seats: readonly string[]
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
  ...{ entries, terms, laterTerms: terms.length, seats: four, liar: 'm0' },
  ...{ rules: bft, isOnePhase: false, isForkOnly: false },
  ...more,
})

const keyOf = (name: string): Uint8Array => sha256(new TextEncoder().encode(name))
const operators = { keys: [keyOf('operator')], threshold: 1 }

export const founders = (seats: readonly string[], genesis: bft.Members['genesis']): bft.Members =>
  new bft.Members(
    sha256,
    0,
    seats.map((id) => ({ id, key: keyOf(id) })),
    genesis,
    operators,
  )

/** Ends the first epoch. Who stays keeps its key: what it signed before is at hand. */
export function configuration(seats: readonly string[]): Uint8Array {
  const members = seats.map((id) => ({ id, key: keyOf(id) }))
  return bft.encodeConfiguration({ epoch: 0, members, operators }, [{ operator: 0, signature: new Uint8Array(64) }])
}
