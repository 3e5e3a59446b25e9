import { fairWeather } from '../world/network/weather.ts'
import { carryOut, type Outcome } from './campaign.ts'
import type { Plan } from './plan.ts'

export interface Shrunk {
  readonly plan: Plan
  readonly outcome: Outcome
  /** How many runs it took. */
  readonly runs: number
}

/**
 * A smaller plan that breaks the same invariant: fewer acts first, then fewer clients and operations, fewer servers, calmer weather and
 * disks, and in the end without single operations. Delta debugging: halves, then quarters, as long as something goes. `budget`: runs at most.
 */
export async function shrink(
  plan: Plan,
  broken: Outcome,
  budget = 200,
  carry: (plan: Plan) => Promise<Outcome> = carryOut,
): Promise<Shrunk> {
  const wanted = broken.violation?.invariant
  let best: Shrunk = { plan, outcome: broken, runs: 0 }
  let runs = 0
  const better = async (smaller: Plan): Promise<boolean> => {
    if (runs >= budget) return false
    runs++
    const outcome = await carry(smaller)
    if (outcome.violation?.invariant !== wanted) return false
    best = { plan: smaller, outcome, runs }
    return true
  }
  // It need not go on after the violation.
  const { events } = broken
  if (events < plan.events) await better({ ...plan, events })
  /** Leaves out halves of what a plan lists, then quarters, down to single ones. */
  const thin = async <T>(
    list: (plan: Plan) => readonly T[],
    rebuilt: (plan: Plan, kept: readonly T[]) => Plan,
  ): Promise<void> => {
    let { length } = list(best.plan)
    for (let size = Math.ceil(length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
      for (let at = 0; at < length; ) {
        const all = list(best.plan)
        if (await better(rebuilt(best.plan, [...all.slice(0, at), ...all.slice(at + size)])))
          length = list(best.plan).length
        else at += size
      }
  }
  await thin(
    ({ acts }) => acts,
    (smaller, acts) => ({ ...smaller, acts }),
  )
  for (const make of simpler) {
    for (let last: Plan | undefined; last !== best.plan; ) {
      last = best.plan
      const smaller = make(last)
      if (smaller) await better(smaller)
    }
  }
  const begun = (): string[] =>
    best.outcome.begun.flatMap((count, i) => Array.from({ length: count }, (_, k) => `c${i + 1}:${k}`))
  await thin(
    ({ workload: { without = [] } }) => begun().filter((name) => !without.includes(name)),
    ({ workload, ...smaller }, kept) => ({
      ...smaller,
      workload: { ...workload, without: begun().filter((name) => !kept.includes(name)) },
    }),
  )
  return { ...best, runs }
}

const simpler: readonly ((plan: Plan) => Plan | undefined)[] = [
  ({ workload, ...plan }) =>
    workload.clients > 1 ? { ...plan, workload: { ...workload, clients: workload.clients - 1 } } : undefined,
  ({ workload, ...plan }) =>
    workload.operations > 1
      ? {
          ...plan,
          workload: { ...workload, operations: Math.floor(Math.min(workload.operations, plan.events / 10) / 2) },
        }
      : undefined,
  ({ workload, ...plan }) =>
    workload.aborts > 0 || workload.quiet.length > 0
      ? { ...plan, workload: { ...workload, aborts: 0, quiet: [] } }
      : undefined,
  (plan) => (plan.spares > 0 ? { ...plan, spares: plan.spares - 1 } : undefined),
  (plan) => (plan.founders > 1 ? { ...plan, founders: plan.founders - 1 } : undefined),
  (plan) => (plan.rates.some((rate) => rate !== 1) ? { ...plan, rates: plan.rates.map(() => 1) } : undefined),
  ...(['loss', 'duplicate', 'replay', 'reorder'] as const).map(
    (kind) =>
      (plan: Plan): Plan | undefined =>
        plan.weather[kind] ? { ...plan, weather: { ...plan.weather, [kind]: 0 } } : undefined,
  ),
  (plan) =>
    plan.weather.delay && plan.weather.delay !== fairWeather.delay
      ? { ...plan, weather: { ...plan.weather, delay: fairWeather.delay } }
      : undefined,
  (plan) => (plan.wear.slow ? { ...plan, wear: { ...plan.wear, slow: 0 } } : undefined),
]
