import { checkHistory, checkOrder, type KeyValueOperation } from '@raftkit/linearizability'
import { joined, overlapping } from '../faults/tracks.ts'
import type { Storm } from '../storm.ts'
import { judgeWrites } from './writes.ts'

export interface Run {
  readonly seconds: number
  readonly members: readonly number[]
  readonly operations: readonly KeyValueOperation[]
  readonly storms: readonly Storm[]
}

/** The line of JSON that a run ends with. */
export interface Result {
  readonly seconds: number
  readonly members: readonly number[]
  /** Acknowledged or of unknown outcome. Refused ones are counted apart: they are quick. */
  readonly operations: number
  readonly refused: number
  readonly faults: number
  readonly faultKinds: Readonly<Record<string, number>>
  /** Of the operations, the share that was open during a fault. */
  readonly overlapping: number
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
  readonly fullDisk: 'tmpfs' | 'played'
}

const unknownShareMax = 0.05
const overlapMin = 0.3
const kindsMin = 10

/** What the run shows, and all that is wrong with it. */
export function judge({ seconds, members, operations, storms }: Run): { result: Result; wrong: string[] } {
  const wrong: string[] = []
  const checked = checkHistory(operations)
  for (const { key, verdict, operation } of checked.offending)
    wrong.push(`${key} is ${verdict}: ${JSON.stringify(operation)} has no place`)

  const sum = (of: (storm: Storm) => number) => storms.reduce((total, storm) => total + of(storm), 0)
  let [lost, duplicated, phantom] = [0, 0, 0]
  const placed: KeyValueOperation[] = []
  for (const { size, watches, differences, hashesEqual, crashes, stuck } of storms) {
    const writes = judgeWrites(
      operations.filter(({ key }) => key.startsWith(`c${size}-`)),
      watches.log,
    )
    lost += writes.lost + differences.length
    duplicated += writes.duplicated
    phantom += writes.phantom
    // Indexes of two clusters have nothing to do with one another: the second comes behind the first.
    const offset = placed.reduce((last, { index }) => Math.max(last, index!), 0)
    placed.push(...writes.placed.map((operation) => ({ ...operation, index: operation.index! + offset })))
    wrong.push(...watches.findings, ...writes.findings, ...differences.slice(0, 10), ...crashes)
    if (!hashesEqual) wrong.push(`${size} members: their states differ, or they did not come to one index`)
    if (stuck) wrong.push(`${size} members: ${stuck}`)
  }
  const order = placed.length > 0 ? checkOrder(placed) : undefined
  for (const { reason, operation, other } of order?.offending ?? [])
    wrong.push(`the log's order is wrong (${reason}): ${JSON.stringify({ operation, other })}`)

  const counted = operations.filter(({ ok }) => ok !== false)
  const faults = storms.flatMap((storm) => storm.faults)
  const share = (count: number) => Math.round((count / Math.max(1, counted.length)) * 10_000) / 10_000
  const faultKinds: Record<string, number> = {}
  for (const { kind } of faults) faultKinds[kind] = (faultKinds[kind] ?? 0) + 1
  const result: Result = {
    seconds,
    members,
    operations: counted.length,
    refused: operations.length - counted.length,
    faults: faults.length,
    faultKinds,
    overlapping: share(overlapping(counted, joined(faults))),
    illegal: checked.illegal,
    undecided: checked.undecided,
    logOrder: order?.verdict ?? 'illegal',
    lost,
    duplicated,
    phantom,
    unknown: share(counted.filter(({ ok }) => ok === 'unknown').length),
    watched: sum(({ watches }) => watches.log.size),
    watchConnections: sum(({ watchConnections }) => watchConnections),
    watchGaps: sum(({ watches }) => watches.gaps),
    watchDisorder: sum(({ watches }) => watches.disorder + watches.contradictions),
    watchCompactions: sum(({ watches }) => watches.compactions),
    stateHashesEqual: storms.every(({ hashesEqual }) => hashesEqual),
    leaderChanges: sum(({ leaderChanges }) => leaderChanges),
    crashes: sum(({ crashes }) => crashes.length),
    fullDisk: storms.every(({ fullDisk }) => fullDisk === 'tmpfs') ? 'tmpfs' : 'played',
  }
  const { unknown, overlapping: overlap } = result
  const kinds = Object.keys(faultKinds).length
  if (unknown > unknownShareMax) wrong.push(`${(unknown * 100).toFixed(1)} % of the operations are of unknown outcome`)
  // A run in which little happened proves little.
  if (overlap < overlapMin) wrong.push(`only ${(overlap * 100).toFixed(0)} % of the operations overlap a fault`)
  if (kinds < kindsMin) wrong.push(`only ${kinds} kinds of faults were done; ${kindsMin} are wanted`)
  return { result, wrong }
}
