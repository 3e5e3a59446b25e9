import type { KeyValueOperation } from '@raftkit/linearizability'
import type { Adapters } from '../adapters.ts'
import { joined, overlapping } from '../faults/tracks.ts'
import type { Storm } from '../storm.ts'
import { type Figures, judgeObserved, share } from './observed.ts'

/** The line of JSON that a run under faults ends with. */
export interface StormResult extends Figures, Adapters {
  readonly seconds: number
  readonly members: readonly number[]
  readonly faults: number
  readonly faultKinds: Readonly<Record<string, number>>
  /** Of the operations, the share that was open during a fault. */
  readonly overlapping: number
  readonly fullDisk: 'tmpfs' | 'played'
}

const unknownShareMax = 0.05
const overlapMin = 0.3
const kindsMin = 10

/** What the run shows, and all that is wrong with it. */
export function judgeStorms(
  seconds: number,
  adapters: Adapters,
  operations: readonly KeyValueOperation[],
  storms: readonly Storm[],
): { result: StormResult; wrong: string[] } {
  const { figures, wrong } = judgeObserved(operations, storms)
  const faults = storms.flatMap((storm) => storm.faults)
  const faultKinds: Record<string, number> = {}
  for (const { kind } of faults) faultKinds[kind] = (faultKinds[kind] ?? 0) + 1
  const counted = operations.filter(({ ok }) => ok !== false)
  const result: StormResult = {
    seconds,
    members: storms.map(({ size }) => size),
    ...adapters,
    faults: faults.length,
    faultKinds,
    overlapping: share(overlapping(counted, joined(faults)), counted.length),
    ...figures,
    fullDisk: storms.every(({ fullDisk }) => fullDisk === 'tmpfs') ? 'tmpfs' : 'played',
  }
  const { unknown, overlapping: overlap } = result
  const kinds = Object.keys(faultKinds).length
  if (unknown > unknownShareMax) wrong.push(`${(unknown * 100).toFixed(1)} % of the operations are of unknown outcome`)
  // A run in which little happened proves little.
  if (overlap < overlapMin) wrong.push(`only ${(overlap * 100).toFixed(0)} % of the operations overlap a fault`)
  if (kinds < kindsMin) wrong.push(`only ${kinds} kinds of faults were done; ${kindsMin} are wanted`)
  // Once is chance: nobody may have led just then.
  const passed = new Map<string, number>()
  for (const [kind, times] of storms.flatMap((storm) => [...storm.passed]))
    passed.set(kind, (passed.get(kind) ?? 0) + times)
  for (const [kind, times] of passed)
    if (times > 1 && !(kind in faultKinds)) wrong.push(`${kind} was due ${times} times and never took effect`)
  return { result, wrong }
}
