import { certifiedRaft, type Message } from '@raftkit/bft'
import { behaviours, byzantine, type FaultName, Knowledge, smallMutations } from '@raftkit/byzantine'
import type { Command, Index, NodeId, ProtocolKind } from '@raftkit/contract'
import { Random } from '../random.ts'
import type { Outcome } from '../run/campaign.ts'
import { Violation } from '../watcher.ts'
import type { Server } from '../world/server.ts'
import { World } from '../world/world.ts'
import { Chronicle } from './chronicle.ts'
import { NodeClient } from './node-clients.ts'
import { NodeEpochs } from './node-epochs.ts'
import { Notary, sha256 } from './notary.ts'
import type { BftPlan } from './plan.ts'

/**
 * The same plan with whole nodes: `createNode`, the runtime, its frames, the simulated disks and links. What leaves the protocol is judged
 * by the other kind of run; here it is judged what nodes apply, and what clients are told.
 */
export async function carryOutNodes(plan: BftPlan): Promise<Outcome> {
  const began = performance.now()
  const random = new Random(plan.seed).split('bft nodes')
  const notary = new Notary()
  const epochs = new NodeEpochs(plan, notary, random)
  const { founders } = epochs
  const { operators, list } = founders
  const ids = list.map(({ id }) => id)
  const faults = new Map<FaultName, number>()
  const counts: Record<string, number> = {}
  const did = (fault: FaultName, isLive?: true): void => {
    faults.set(fault, (faults.get(fault) ?? 0) + 1)
    if (isLive) counts[`live ${fault}`] = (counts[`live ${fault}`] ?? 0) + 1
  }
  const knowledge = new Knowledge(sha256)
  const isHonest = ({ id }: Server): boolean => epochs.isHonest(id)
  /** The state behind each command, as the first honest member had it. */
  const agreed: number[] = []
  const heights = new Map<NodeId, Index>()
  const reached = (server: Server, index: Index, state: number, command?: Command): void => {
    if (!isHonest(server)) return
    const before = heights.get(server.id) ?? 0
    if (index < before || (index === before && command))
      throw new Violation('I10', `${server.id} applies ${index} behind ${before}`)
    heights.set(server.id, index)
    agreed[index] ??= state
    if (agreed[index] !== state) throw new Violation('I10', `${server.id} has another state behind ${index}`)
  }
  const judge = (world: World, check: () => void): void => {
    try {
      check()
    } catch (error) {
      world.watchers.fail(error)
    }
  }
  const kind = certifiedRaft({
    members: list,
    ...(operators && { operators }),
    digest: sha256,
    window: plan.window,
    ...(plan.checkpointEntries > 0 && { checkpointEntries: plan.checkpointEntries }),
  })
  let hash = 0x811c9dc5
  const world: World = new World({
    seed: `${plan.seed}/nodes`,
    machine: (server) => {
      heights.set(server.id, 0)
      return new Chronicle((index, state, command) => judge(world, () => reached(server, index, state, command)))
    },
    node: (server) => {
      const { key } = epochs.seat(server.id)
      return {
        timing: { electionTimeout: 200 },
        signatures: {
          key,
          sign: (bytes) => notary.sign(key, bytes),
          verify: (checks) => checks.map(notary.isSigned),
        },
      }
    },
    protocol: ({ id }): ProtocolKind => {
      const { plan: liar } = epochs.seat(id)
      if (liar === undefined || liar.how === 'rollback' || liar.how === 'twins') return kind as ProtocolKind
      const acts =
        liar.how === 'mutations' ? [smallMutations(0.4)] : liar.acts.flatMap((name) => behaviours[name] ?? [])
      const seed = random.split(id).bits()
      const founded = { members: list, ...(operators && { operators }), digest: sha256 }
      const lies = { ...founded, behaviours: acts, knowledge, did, seed }
      return byzantine(kind as ProtocolKind<Message>, lies) as ProtocolKind
    },
    weather: { loss: plan.drop / 4, duplicate: plan.twice / 4, replay: plan.twice / 8, delay: [0.2, 1 + plan.delay] },
    watchers: [
      {
        left: (server, { to, after }) => {
          const what = `${server.id} ${to} ${after} ${world.now}`
          for (let i = 0; i < what.length; i++) hash = Math.imul(hash ^ what.charCodeAt(i), 0x01000193)
        },
      },
    ],
  })
  const clients = Array.from(
    { length: plan.clients },
    (_, i) => new NodeClient(world, epochs, notary, `c${i + 1}`, random, plan.requests),
  )
  let violation: Violation | undefined
  let acknowledged = 0
  try {
    world.found(ids)
    for (const client of clients) client.start()
    epochs.start(world)
    for (let i = 0; i < plan.crashes; i++)
      world.at(random.between(50, plan.lasts), () => {
        const server = world.server(random.pick(ids.filter((id) => epochs.isHonest(id))))
        if (!server.alive) return
        did('F44')
        server.kill()
        world.after(random.between(5, 500), () => server.alive || !epochs.isOn(server.id) || server.start())
      })
    await world.run({ until: plan.lasts })
    world.network.setWeather({ loss: 0, duplicate: 0, replay: 0, delay: [0.2, 1] })
    const running = (): Server[] => [...world.servers.values()].filter(({ id, boots }) => epochs.isOn(id) && boots > 0)
    for (const server of running()) if (isHonest(server) && !server.alive) server.start()
    const named = (): Server[] =>
      running().filter((server) => isHonest(server) && epochs.now.signer(server.id) !== undefined)
    const isDone = (): boolean =>
      clients.every(({ isDone }) => isDone) &&
      epochs.isSettled &&
      new Set(named().map(({ id }) => heights.get(id))).size === 1 &&
      named().every(({ state }) => state === 'up')
    const bound = world.now + 3 * (epochs.now.faults + 2) * 32 * 200
    if ((await world.run({ until: bound, when: isDone })) !== 'when' && !isDone())
      throw new Violation('I20', 'after healing, not all that honest clients asked for is executed by all nodes', {
        open: clients.filter(({ isDone }) => !isDone).map(({ name }) => name),
        isSettled: epochs.isSettled,
        now: epochs.now.list.map(({ id }) => id),
        heights: Object.fromEntries(heights),
        stopped: running()
          .filter(({ state }) => state !== 'up')
          .map(({ id, failure }) => `${id}: ${String(failure)}`),
        statuses: running().map((server) => isHonest(server) && server.node?.status()),
      })
    // Whoever left hears of it with its next links.
    if (operators !== undefined) await world.run({ until: world.now + 2000 })
    epochs.conclude(world)
    acknowledged = clients.reduce((sum, { accepted }) => sum + accepted, 0)
  } catch (error) {
    violation = error instanceof Violation ? error : new Violation('run', String(error), error)
  }
  const { events, now } = world
  const traceHash = (hash >>> 0).toString(16).padStart(8, '0')
  world.close()
  return {
    ...{ seed: plan.seed, events, simulatedMs: now, tookMs: performance.now() - began, traceHash },
    ...(violation && {
      violation: {
        ...{ invariant: violation.invariant, message: violation.message },
        stack: (violation.details instanceof Error ? violation.details.stack : violation.stack) ?? '',
        details: JSON.stringify(violation.details)?.slice(0, 4000) ?? '',
      },
    }),
    ...{ uncovered: [], faults: Object.fromEntries(faults), checked: 0, acknowledged, lost: 0 },
    counts: {
      nodes: 1,
      ...counts,
      ...epochs.counts,
      receipts: clients.reduce((sum, { receipts }) => sum + receipts, 0),
    },
    begun: [],
  }
}
