import { type Check, decodeDump, findCulprits } from '@raftkit/bft'
import type { Outcome } from '../run/campaign.ts'
import { Violation } from '../watcher.ts'
import type { Member } from './member.ts'
import { carryOutNodes } from './nodes.ts'
import { sha256 } from './notary.ts'
import { type BftPlan, type BftWishes, planBft } from './plan.ts'
import { BftWorld } from './world.ts'

/** The seed as it is wished for. One in ten runs whole nodes; the others drive the protocol alone, and see every word of it. */
export function carryOutSeed(seed: number, wishes: BftWishes): Promise<Outcome> {
  const plan = planBft(seed, wishes)
  return seed % 10 === 7 && !plan.isOver ? carryOutNodes(plan) : carryOutBft(plan)
}

/** Carries out one plan: faults, healing, and then all that honest clients asked for must have been executed by all (I20). */
export async function carryOutBft(plan: BftPlan): Promise<Outcome> {
  const began = performance.now()
  const world = new BftWorld(plan)
  let violation: Violation | undefined
  let healedAt = 0
  try {
    world.start()
    world.run(plan.lasts, () => false)
    if (plan.isOver) forked(world)
    else {
      healedAt = world.now
      world.heal()
      served(world)
    }
  } catch (error) {
    violation = error instanceof Violation ? error : new Violation('run', String(error), error)
  }
  // F34: nobody in the first f seats ever led, and messages were lost.
  const silent = plan.liars.filter(({ acts }) => acts.includes('F25')).map(({ seat }) => seat)
  const most = world.members.faults
  if (plan.drop > 0 && silent.length === most && silent.every((seat) => seat < most) && world.faults.has('F25'))
    world.did('F34')
  if (plan.isOver && world.witness.forks.size > 0) world.did('F46')
  const accepted = world.clients.reduce((sum, client) => sum + client.accepted, 0)
  return {
    seed: plan.seed,
    events: world.events,
    simulatedMs: world.now,
    tookMs: performance.now() - began,
    traceHash: world.traceHash,
    ...(violation && { violation: told(violation) }),
    uncovered: [],
    faults: Object.fromEntries(world.faults),
    counts: {
      ...Object.fromEntries(world.counts),
      checks: world.witness.checks,
      culprits: plan.isOver ? world.culprits.size : 0,
    },
    checked: 0,
    acknowledged: accepted,
    lost: 0,
    begun: [],
    ...(healedAt > 0 && { convergence: (world.now - healedAt) / world.timeout }),
  }
}

/** A term may take as long as the longest timeout to be given up, and f of them in a row have liars for leaders. */
function served(world: BftWorld): void {
  const { members, longestTimeout, clients } = world
  const bound = world.now + 3 * (members.faults + 2) * longestTimeout
  const isDone = (): boolean => {
    const { height, newest } = world.witness
    return (
      clients.every((client) => client.isDone) &&
      world.changes.isSettled &&
      world.honest.every(({ id, key, application, server, isScrapped }) => {
        if (newest.members.signer(id, key) === undefined) return isScrapped || server.me < 0
        return server.members.domain === newest.members.domain && application.applied === height
      })
    )
  }
  if (world.run(bound, isDone)) return
  const states = world.honest.map(({ id, server, application }) => ({
    id,
    epoch: server.members.epoch,
    me: server.me,
    term: server.ballot.term,
    applied: application.applied,
    pool: server.pool.size,
    pending: server.pending !== undefined,
    fetching: server.fetching?.next,
  }))
  throw new Violation('I20', 'after healing, not all that honest clients asked for is executed by all', {
    open: clients.filter((client) => !client.isDone).map(({ name }) => name),
    states,
  })
}

/** More liars than it stands: safety is void; but all who are honest must notice, stop, and know f + 1 of those who did it (I19). */
function forked(world: BftWorld): void {
  if (world.witness.forks.size === 0) return
  world.count('forks')
  world.heal()
  // Who is no member, any more or yet, votes for nothing that could be on either.
  const honest = world.honest.filter(({ server, isScrapped }) => !isScrapped && server.me >= 0)
  const haveStopped = (): boolean => honest.every(({ server, halted }) => server.isForked || halted !== undefined)
  const hasEnded = world.run(world.now + 10 * world.longestTimeout, haveStopped)
  // Those who were on the other branch have left, and were switched off: nobody is there who could show it.
  if (!hasEnded && areOnOneBranch(honest)) return
  if (!hasEnded)
    throw new Violation('I19', 'the members are on two branches, and not all of them notice', {
      forks: [...world.witness.forks],
      notice: honest.filter(({ server }) => server.isForked).map(({ id }) => id),
      states: honest.map(({ id, server, application }) => [id, server.members.epoch, server.me, application.applied]),
    })
  world.run(world.now + world.timeout, () => false)
  for (const member of honest) convict(world, member)
}

function areOnOneBranch(members: readonly Member[]): boolean {
  const [highest] = [...members].sort((a, b) => b.application.applied - a.application.applied)
  return members.every(
    ({ server }) =>
      server.members.domain === highest!.server.members.domain &&
      highest!.server.tree.holds(server.committed.hash, highest!.server.committed.hash),
  )
}

/** What one of them saw names more than f of some epoch, and none who is honest. */
function convict(world: BftWorld, { id, key, seat, dumps, server }: Member): void {
  const verify = (checks: readonly Check[]): boolean[] => checks.map(world.notary.isSigned)
  const all = [...dumps.values()].map(decodeDump)
  const found = Array.from({ length: server.members.epoch + 1 }, (_, epoch) => {
    const { members } = world.witness.eraOf(seat, epoch)!
    const trust = { digest: sha256, members, cluster: world.members.genesis.hash, verify }
    return { members, culprits: findCulprits(all, trust) }
  })
  for (const { members, culprits } of found) {
    const framed = culprits.filter(({ who }) => !world.isLiar(members, who))
    if (framed.length > 0) world.count('framed')
    if (framed.length > 0)
      throw new Violation('I18', `what ${id} saw convicts ${framed[0]!.who}, who is honest`, framed)
    for (const { who } of culprits) world.culprits.add(who)
  }
  // Those of the other branch show what they keep to whoever was a member when it forked, and not to who joined since.
  const forkedIn = found[Math.min(...all.map(({ epoch }) => epoch))]
  if (forkedIn?.members.signer(id, key) === undefined) return
  if (found.every(({ members, culprits }) => culprits.length <= members.faults))
    throw new Violation('I19', `what ${id} saw names too few culprits: more than f are due`, {
      culprits: found.map(({ culprits }) => culprits.map(({ who, what }) => `${who}: ${what}`)),
      dumps: all.map(({ epoch, certificates, terms }, at) => [
        [...dumps.keys()][at],
        epoch,
        certificates.length,
        terms.length,
      ]),
      forks: [...world.witness.forks],
    })
}

function told({ invariant, message, details, stack }: Violation): NonNullable<Outcome['violation']> {
  const why = details instanceof Error ? details.stack : stack
  return { invariant, message, stack: why ?? '', details: JSON.stringify(details)?.slice(0, 4000) ?? '' }
}
