import type { Node } from 'raftkit'
import { type Operation, Violation, type Watcher } from '../watcher.ts'
import type { Server } from '../world/server.ts'
import type { World } from '../world/world.ts'
import { uncovered } from './coverage.ts'
import { converged, heal } from './healing.ts'
import type { Plan } from './plan.ts'
import { Run } from './run.ts'
import { Client } from './workload/client.ts'
import type { Cell, ReadOutput } from './workload/registers.ts'

export interface RunResult {
  readonly seed: number
  /** Protocol steps and I/O completions. */
  readonly events: number
  readonly simulatedMs: number
  readonly violation: Violation | undefined
  /** What the plan drew and the run did not do. Such a run has failed, too. */
  readonly uncovered: readonly string[]
  readonly faults: ReadonlyMap<string, number>
  readonly counts: ReadonlyMap<string, number>
  /** Operations that the checker of histories judged. */
  readonly checked: number
  /** Writes that a client was told were done, and which were looked for in the end; those of them that some member had not. */
  readonly acknowledged: number
  readonly lost: number
  /** How many operations each client began. */
  readonly begun: readonly number[]
  /** From the end of all faults until all members are equal, in election timeouts. */
  readonly convergence: number | undefined
}

/**
 * Carries out one plan: a safety phase with faults, then everything is healed and the cluster must converge and serve, then the last oracles.
 * Never rejects for what the product under test does. `over` is told at the very end, while the world still stands.
 */
export async function runPlan(
  plan: Plan,
  watchers: readonly Watcher[] = [],
  over: (world: World, violation: Violation | undefined) => void = () => undefined,
): Promise<RunResult> {
  const run = new Run(plan, watchers)
  const { world } = run
  let violation: Violation | undefined
  let checked = 0
  let convergence: number | undefined
  try {
    run.start()
    await safetyPhase(run)
    convergence = await healingPhase(run)
    await servingPhase(run)
    checked = run.history.check((id) => run.ledger.wasExecuted(id))
    world.watchers.ended(world)
    if (world.violation) throw world.violation
  } catch (error) {
    violation = error instanceof Violation ? error : crashed(error)
  }
  over(world, violation)
  const result = {
    seed: plan.seed,
    events: world.events,
    simulatedMs: world.now,
    violation,
    uncovered: violation ? [] : uncovered(run),
    faults: run.faults,
    counts: run.counts,
    checked,
    acknowledged: run.ledger.lookedFor,
    lost: run.ledger.lost,
    begun: run.clients.map(({ begun }) => begun),
    convergence,
  }
  world.close()
  return result
}

const crashed = (error: unknown): Violation =>
  Object.assign(new Violation('simulator', `the simulator itself failed: ${String(error)}`), { cause: error })

async function safetyPhase(run: Run): Promise<void> {
  const { plan, world, nemesis } = run
  const limit = 5000 * plan.node.timing.electionTimeout!
  await world.run({ events: plan.events, until: limit })
  // An act may have waited for its chance, such as a leader to isolate; it gets some more time.
  run.waiting = true
  for (let more = 1; more <= 20 && nemesis.missing.length > 0; more++)
    await world.run({ events: Math.floor(plan.events * (1 + more / 10)), until: limit })
}

/** Milliseconds that anything may take once all is healed. */
const patience = ({ plan: { node } }: Run): number => 200 * node.timing.electionTimeout! + 4 * node.timeout

async function healingPhase(run: Run): Promise<number> {
  const { world, clients, plan } = run
  heal(run)
  for (const client of clients) client.stop()
  const begun = world.now
  let ended: number | undefined
  const check = (): void => {
    if (ended !== undefined) return
    if (!run.operator.busy && converged(run)) ended = world.now
    else world.after(plan.node.timing.electionTimeout! / 4, check)
  }
  check()
  await world.run({ until: begun + patience(run), when: () => ended !== undefined })
  if (ended === undefined) throw new Violation('converges', 'healed, the members do not come together', picture(run))
  await world.run({ until: world.now + patience(run), when: () => clients.every(({ busy }) => !busy) })
  const waiting = clients.find(({ busy }) => busy)
  if (waiting) throw new Violation('every call ends', `${waiting.name} still waits`, waiting.busy)
  return (ended - begun) / plan.node.timing.electionTimeout!
}

/** Every member takes a write and answers a read, and then all hold the same. */
async function servingPhase(run: Run): Promise<void> {
  const { world } = run
  const members = run.operator.members.map(({ id }) => world.server(id))
  let served = 0
  // One after the other: where the machine keeps a single session, calls at the same time would take it from each other.
  const serve = async (): Promise<void> => {
    for (const server of members) {
      // Of this member alone: one that was removed a moment ago may never learn what became of its proposal (seed 7065).
      const client = new Client(run, `last-${server.id}`, server)
      const key = `last-${server.id}`
      const put = (): Promise<Operation> =>
        client.write(server, { id: run.nextOperation(), kind: 'put', key, expect: 0 })
      let written = await put()
      // Where there is room for one session only, the former member's took the place of this one's (seed 1254).
      if (written.output === 'SESSION_EXPIRED') written = await put()
      for (const operation of [written, await client.read(server, key, 'get')])
        if (operation.outcome !== 'done')
          throw new Violation('serves', `${server.id} does not serve: ${String(operation.output)}`, {
            operation,
            ...picture(run),
          })
      served++
    }
  }
  run.mind(serve())
  await world.run({ until: world.now + patience(run), when: () => served === members.length && converged(run) })
  if (served < members.length) throw new Violation('serves', 'a member does not serve', picture(run))
  let compared = 0
  const compare = async (server: Server): Promise<void> => {
    const called = await server.call((node) => everything(run, node))
    if (called.outcome !== 'done') throw new Violation('serves', `${server.id} shows nothing`, called)
    const { last, cells } = called.value as { last: number; cells: Map<string, Cell> }
    run.ledger.final(server.id, last, cells)
    compared++
  }
  for (const server of members) run.mind(compare(server))
  await world.run({ until: world.now + patience(run), when: () => compared === members.length })
  if (compared < members.length) throw new Violation('serves', 'a member does not show what it holds', picture(run))
}

function everything({ plan }: Run, node: Node): Promise<unknown> {
  const options = { consistency: 'stale' } as const
  if (plan.workload.sessions === 'client') return node.query({ name: 'everything', input: undefined }, options)
  return (node.queries as Record<string, (input: undefined, how: object) => Promise<ReadOutput>>).everything!(
    undefined,
    options,
  )
}

/** Who is where, for people. */
function picture({ servers, world }: Run): object {
  return {
    at: world.now,
    leader: world.leader?.id,
    servers: servers.map((server) => {
      const { id, state, incarnation, failure, disk } = server
      const status = server.protocol?.status()
      return {
        id,
        state,
        incarnation: incarnation?.slice(0, 6),
        failure: failure === undefined ? undefined : String(failure),
        damaged: disk.damaged,
        ...(status && {
          role: status.role,
          term: status.term,
          leader: status.leader,
          commit: status.commit,
          applied: status.applied,
          last: status.last,
          durable: status.durable,
          removed: status.removed,
          config: `${status.configIndex}${status.configCommitted ? '' : '?'} ${status.config.members
            .map((member) => `${member.id}/${member.incarnation.slice(0, 6)}:${member.role}`)
            .join(' ')}`,
        }),
      }
    }),
  }
}
