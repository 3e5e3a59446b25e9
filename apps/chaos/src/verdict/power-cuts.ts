import type { KeyValueOperation } from '@raftkit/linearizability'
import type { Adapters } from '../adapters.ts'
import type { PowerCuts } from '../power/cuts.ts'
import { type Figures, judgeObserved } from './observed.ts'

/** The line of JSON that a run of power cuts ends with. */
export interface PowerCutResult extends Figures, Adapters {
  readonly powerCuts: number
  readonly members: number
  /** Changes of bytes or names that had not been flushed when the power went, over all cuts and members, and how many of them were gone or torn. */
  readonly unflushed: number
  readonly gone: number
  /** Cuts after which some disk had forgotten something. */
  readonly cutsThatTook: number
}

/** Of the cuts, the share that must have taken something from a disk, if there were enough of them: a run in which little happened proves little. */
const took = { least: 0.2, of: 20 }

/** What the run shows, and all that is wrong with it. */
export function judgePowerCuts(
  wanted: number,
  members: number,
  adapters: Adapters,
  operations: readonly KeyValueOperation[],
  seen: PowerCuts,
): { result: PowerCutResult; wrong: string[] } {
  const { figures, wrong } = judgeObserved(operations, [seen])
  const sum = (of: 'unflushed' | 'lost') => seen.cuts.flat().reduce((total, loss) => total + loss[of], 0)
  const result: PowerCutResult = {
    powerCuts: seen.cuts.length,
    members,
    ...adapters,
    unflushed: sum('unflushed'),
    gone: sum('lost'),
    cutsThatTook: seen.cuts.filter((losses) => losses.some(({ lost }) => lost > 0)).length,
    ...figures,
  }
  if (result.powerCuts < wanted)
    wrong.push(`${result.powerCuts} power cuts of ${wanted}: the cluster did not come back`)
  if (wanted >= took.of && result.cutsThatTook < took.least * wanted)
    wrong.push(`only ${result.cutsThatTook} of ${wanted} power cuts took anything from a disk`)
  return { result, wrong }
}
