import { allInvariants } from '../invariants/index.ts'
import { runPlan } from './simulate.ts'
import { drawPlan } from './swarm.ts'

const seed = Number(process.argv[2]),
  events = Number(process.argv[3]),
  from = Number(process.argv[4]),
  to = Number(process.argv[5]),
  node = process.argv[6]
const plan = drawPlan(seed, events)
let world: any
const short = (m: any) => JSON.stringify(m, (k, x) => (x instanceof Uint8Array ? `<${x.length}>` : x))?.slice(0, 300)
const on = (...ids: any[]) => world && world.now >= from && world.now <= to && (!node || ids.includes(node))
console.log(short(plan.node))
const r = await runPlan(plan, [
  {
    starting(s) {
      world = s.world
      if (on(s.id)) console.log(world.now, s.id, 'starting')
    },
    left(s, o) {
      if (on(s.id, o.to)) console.log(world.now, s.id, '->', o.to, o.lane, short(o.message))
    },
    arrived(p) {
      if (on(p.from, p.to))
        console.log(world.now, '   ', p.to, 'got from', p.from, p.messages.map((m: any) => m.type).join(','))
    },
    dropped(p, why) {
      if (on(p.from, p.to))
        console.log(world.now, '   ', p.to, 'LOST from', p.from, why, p.messages.map((m: any) => m.type).join(','))
    },
    told(s, e) {
      if (on(s.id))
        console.log(world.now, s.id, 'told', short({ ...e, at: undefined, group: undefined, node: undefined }))
    },
    took(s, e) {
      if (on(s.id) && (e.write || e.asks.length || e.settled.length))
        console.log(world.now, s.id, 'took', short({ write: e.write, asks: e.asks, settled: e.settled }))
    },
    crashed(s, how) {
      if (on(s.id)) console.log(world.now, s.id, 'CRASHED', how)
    },
    fault(f) {
      if (on(f.server, f.id, f.from)) console.log(world.now, 'FAULT', short(f))
    },
    operation(o) {
      if (on(o.node)) console.log(world.now, 'OP', short(o))
    },
  },
])
console.log(r.violation?.message)
