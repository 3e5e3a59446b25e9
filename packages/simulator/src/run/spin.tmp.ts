import { runPlan } from './simulate.ts'
import { drawPlan } from './swarm.ts'

const seed = Number(process.argv[2]),
  events = Number(process.argv[3])
let last = -1,
  count = 0
await runPlan(drawPlan(seed, events), [
  {
    stepped(s: any, e, now) {
      const t = s.world.now
      if (t !== last) {
        last = t
        count = 0
      } else if (++count > 3000 && count < 3012) {
        const r = s.protocol
        console.log(
          s.id,
          t,
          e.type,
          (e as any).stalled,
          'now',
          now,
          'role',
          r.role.type,
          'handed',
          r.handed,
          'commit',
          r.commit,
          'restoring',
          !!r.restoring,
          'oldest',
          r.writes.oldest,
          r.settings.diskTimeout,
          'sent',
          [...r.proposals.sent.values()].slice(0, 2),
          'reads',
          [...r.forwardedReads.values()].slice(0, 2),
          'fetch',
          r.fetching?.requestedAt,
          'transferring',
          r.transferring,
          'progress',
          r.role.progress && [...r.role.progress.values()].map((p: any) => [p.member.id, p.sent, p.state, p.amnesic]),
          r.settings.heartbeatInterval,
          r.founding,
        )
      } else if (count > 3012) process.exit()
    },
  },
])
