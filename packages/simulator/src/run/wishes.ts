import { RaftkitError } from '@raftkit/contract'
import { Random } from '../random.ts'
import type { StorageKind } from '../world/world.ts'
import { clockKinds, diskKinds, networkKinds, operatorKinds, processKinds, weatherKinds } from './acts/kinds.ts'
import type { Act, Plan } from './plan.ts'
import { drawPlan } from './swarm.ts'

/** What somebody wants of every run of a campaign, whatever its seed draws. */
export interface Wishes {
  /** Length of the safety phase. */
  readonly events: number
  /** Kinds of faults and of requests of the operator that are left out, or whole families of them: `network`, `weather`, … */
  readonly without?: readonly string[]
  /** How often the power fails for all members at once, beside what is drawn. */
  readonly blackouts?: number
  /** What all disks carry. */
  readonly storage?: StorageKind
}

const families: Readonly<Record<string, readonly string[]>> = {
  network: networkKinds,
  weather: weatherKinds,
  process: processKinds,
  disk: diskKinds,
  clock: clockKinds,
  operator: operatorKinds,
}

/** The plan of a seed, as it is wished for. */
export function planFor(seed: number, { events, without, blackouts, storage }: Wishes): Plan {
  let plan = drawPlan(seed, events)
  if (without) plan = leaveOut(plan, without)
  if (blackouts) plan = addBlackouts(plan, blackouts)
  return storage ? { ...plan, storage } : plan
}

/** Throws `INVALID_OPTION` for a kind that there is not. */
export function leaveOut(plan: Plan, without: readonly string[]): Plan {
  const kinds = new Set(without.flatMap((name) => families[name] ?? [name]))
  const known = Object.values(families).flat()
  const unknown = [...kinds].find((kind) => !known.includes(kind))
  if (unknown !== undefined)
    throw new RaftkitError(
      'INVALID_OPTION',
      `there is no kind of fault ${unknown}; leave out some of ${[...Object.keys(families), ...known].join(', ')}`,
    )
  const weather = { ...plan.weather }
  for (const kind of weatherKinds) if (kinds.has(kind)) weather[kind] = 0
  return { ...plan, weather, acts: plan.acts.filter(({ kind }) => !kinds.has(kind)) }
}

/** Spread over the phase with faults. */
function addBlackouts(plan: Plan, count: number): Plan {
  const random = new Random(plan.seed).split('blackouts')
  const { events, node } = plan
  const more = Array.from(
    { length: count },
    (_, i): Act => ({
      at: Math.floor(events * (0.05 + (0.9 * (i + random.next())) / count)),
      kind: 'blackout',
      pick: random.bits(),
      lasts: node.timing.electionTimeout! * random.between(0, 2),
    }),
  )
  return { ...plan, acts: [...plan.acts, ...more].sort((a, b) => a.at - b.at) }
}
