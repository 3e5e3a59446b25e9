// @ts-check
import { clients } from './clients.mjs'
import { membership } from './membership.mjs'
import { reads } from './reads.mjs'
import { replication } from './replication.mjs'
import { snapshots } from './snapshots.mjs'
import { votes } from './votes.mjs'

/**
 * Known bugs of Raft implementations, each as a small change of our sources that brings it in. `npm run mutants` makes each of them and
 * sees what notices. A change whose text no longer stands in the source exactly once is an error.
 *
 * @typedef {object} Change
 * @property {string} file   From the root
 * @property {string} find   What stands there, exactly once
 * @property {string} put    What it becomes
 *
 * @typedef {object} Mutant
 * @property {string} id     Short name
 * @property {string} bug    What goes wrong, in a sentence
 * @property {string} had    Who had it
 * @property {string} row    Its rows in our lists of hazards (E1 …) and of known bugs (B1 …)
 * @property {readonly Change[]} changes
 */

/** @type {readonly { readonly title: string, readonly mutants: readonly Mutant[] }[]} */
export const chapters = [
  { title: 'Elections and persistent state', mutants: votes },
  { title: 'Replication and commit', mutants: replication },
  { title: 'Reads', mutants: reads },
  { title: 'Clients and the state machine', mutants: clients },
  { title: 'Membership', mutants: membership },
  { title: 'Snapshots', mutants: snapshots },
]

export const mutants = chapters.flatMap(({ mutants: some }) => some)
