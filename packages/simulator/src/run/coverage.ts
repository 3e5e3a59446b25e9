import { weatherKinds } from './acts/kinds.ts'
import { operationKinds } from './plan.ts'
import type { Run } from './run.ts'

/** What the plan drew and the run did not do: a run that exercised nothing proves nothing. */
export function uncovered({ plan, nemesis, faults, counts, clients }: Run): string[] {
  const missing: string[] = [...nemesis.missing]
  // A rate that gives one in a hundred events may well give none in a short run.
  const enough = plan.events >= 5000 && plan.founders > 1
  for (const kind of weatherKinds)
    if (enough && (plan.weather[kind] ?? 0) > 0.01 && !faults.has(kind)) missing.push(`weather ${kind}`)
  // Of few operations, a kind may be missing by chance (seed 5066).
  const operations = clients.reduce((sum, { begun }) => sum + begun, 0)
  for (const kind of operationKinds) {
    const share = plan.workload.mix[kind] / operationKinds.reduce((sum, each) => sum + plan.workload.mix[each], 0)
    const begun = ['done', 'refused', 'unknown'].some((outcome) => counts.has(`${kind} ${outcome}`))
    if (share > 0.05 && share * operations > 10 && !begun) missing.push(`operation ${kind}`)
  }
  return missing
}
