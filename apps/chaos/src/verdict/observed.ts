import { checkHistory, checkOrder, type KeyValueOperation } from '@raftkit/linearizability'
import type { Observed } from '../observation.ts'
import { judgeWrites } from './writes.ts'

/** What the oracles say, of all clusters of a run. */
export interface Figures {
  /** Acknowledged or of unknown outcome. Refused ones are counted apart: they are quick. */
  readonly operations: number
  readonly acknowledged: number
  readonly refused: number
  readonly illegal: number
  readonly undecided: number
  /** The order of the log, as watchers saw it, against the clock and the model. */
  readonly logOrder: 'ok' | 'illegal'
  readonly lost: number
  readonly duplicated: number
  readonly phantom: number
  /** Of the operations, the share whose outcome no client knows. */
  readonly unknown: number
  readonly watched: number
  readonly watchConnections: number
  readonly watchGaps: number
  readonly watchDisorder: number
  readonly watchCompactions: number
  readonly stateHashesEqual: boolean
  readonly leaderChanges: number
  readonly crashes: number
}

/** Of so many, the share, to four digits. */
export const share = (count: number, of: number): number => Math.round((count / Math.max(1, of)) * 10_000) / 10_000

/** Whatever was done to the clusters: what the clients and the watchers saw, and what the members hold in the end. */
export function judgeObserved(
  operations: readonly KeyValueOperation[],
  clusters: readonly Observed[],
): { figures: Figures; wrong: string[] } {
  const wrong: string[] = []
  const checked = checkHistory(operations)
  for (const { key, verdict, operation } of checked.offending)
    wrong.push(`${key} is ${verdict}: ${JSON.stringify(operation)} has no place`)

  const sum = (of: (cluster: Observed) => number) => clusters.reduce((total, cluster) => total + of(cluster), 0)
  let [lost, duplicated, phantom] = [0, 0, 0]
  const placed: KeyValueOperation[] = []
  for (const { name, watches, differences, hashesEqual, crashes, stuck } of clusters) {
    const writes = judgeWrites(
      operations.filter(({ key }) => key.startsWith(`${name}-`)),
      watches.log,
    )
    lost += writes.lost + differences.length
    duplicated += writes.duplicated
    phantom += writes.phantom
    // Indexes of two clusters have nothing to do with one another: the second comes behind the first.
    const offset = placed.reduce((last, { index }) => Math.max(last, index!), 0)
    for (const operation of writes.placed) placed.push({ ...operation, index: operation.index! + offset })
    wrong.push(...watches.findings, ...writes.findings, ...differences.slice(0, 10), ...crashes)
    if (!hashesEqual) wrong.push(`${name}: the members' states differ, or they did not come to one index`)
    if (stuck) wrong.push(`${name}: ${stuck}`)
  }
  const order = placed.length > 0 ? checkOrder(placed) : undefined
  for (const { reason, operation, other } of order?.offending ?? [])
    wrong.push(`the log's order is wrong (${reason}): ${JSON.stringify({ operation, other })}`)

  const refused = operations.filter(({ ok }) => ok === false).length
  const unknown = operations.filter(({ ok }) => ok === 'unknown').length
  const counted = operations.length - refused
  const figures: Figures = {
    operations: counted,
    acknowledged: counted - unknown,
    refused,
    illegal: checked.illegal,
    undecided: checked.undecided,
    logOrder: order?.verdict ?? 'illegal',
    lost,
    duplicated,
    phantom,
    unknown: share(unknown, counted),
    watched: sum(({ watches }) => watches.log.size),
    watchConnections: sum(({ watchConnections }) => watchConnections),
    watchGaps: sum(({ watches }) => watches.gaps),
    watchDisorder: sum(({ watches }) => watches.disorder + watches.contradictions),
    watchCompactions: sum(({ watches }) => watches.compactions),
    stateHashesEqual: clusters.every(({ hashesEqual }) => hashesEqual),
    leaderChanges: sum(({ leaderChanges }) => leaderChanges),
    crashes: sum(({ crashes }) => crashes.length),
  }
  return { figures, wrong }
}
