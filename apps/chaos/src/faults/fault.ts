import type { Cluster } from '../cluster/cluster.ts'
import type { Planned } from './schedule.ts'

/**
 * Does a fault to the cluster and undoes it; resolves once it is over. Returns what was done, in words, or undefined if it could not be
 * done now (nobody leads, say), or was refused: then it is no fault. `aborted`: it is to be undone now.
 */
export type Fault = (cluster: Cluster, planned: Planned, lasting: Lasting) => Promise<string | undefined>

/** Resolves after so many milliseconds, or once the run ends. */
export type Lasting = (milliseconds: number) => Promise<void>

/** How long a process may take to answer again before the fault counts as over all the same. Milliseconds. */
export const backWithin = 8_000
