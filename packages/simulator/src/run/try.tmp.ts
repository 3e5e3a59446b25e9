import { allInvariants } from '../invariants/index.ts'
import { runPlan } from './simulate.ts'
import { drawPlan } from './swarm.ts'

const from = Number(process.argv[2] ?? 1),
  n = Number(process.argv[3] ?? 1),
  events = Number(process.argv[4] ?? 20000)
for (let seed = from; seed < from + n; seed++) {
  const t = performance.now()
  const plan = drawPlan(seed, events)
  const r = await runPlan(plan, process.env.INV ? allInvariants() : [])
  const ms = performance.now() - t
  const v = r.violation
  console.log(
    seed,
    plan.founders + '+' + plan.spares,
    'ET' + plan.node.timing.electionTimeout,
    r.events,
    Math.round(r.simulatedMs) + 'ms',
    Math.round((r.events / ms) * 1000) + '/s',
    'checked',
    r.checked,
    'conv',
    r.convergence,
    r.uncovered.join(','),
    v ? 'VIOLATION ' + v.message : '',
  )
  if (n === 1 || v) {
    if (n === 1) console.log(plan.node, Object.fromEntries(r.faults), Object.fromEntries(r.counts))
    if (v) {
      console.log(
        JSON.stringify(v.details, (k, x) => (k === 'world' || k === 'server' ? undefined : x), 1)?.slice(0, 6000),
      )
      console.log((v.cause as Error)?.stack ?? v.stack)
    }
  }
}
