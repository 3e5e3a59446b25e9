import { certifiedRaft, encodeRequest, founding, type Members, type Message, requestCheck } from '@raftkit/bft'
import { behaviours, byzantine, type FaultName, Knowledge, smallMutations } from '@raftkit/byzantine'
import type { Command, Index, NodeId, ProtocolKind } from '@raftkit/contract'
import type { Submitted } from 'raftkit'
import { Random } from '../random.ts'
import type { Outcome } from '../run/campaign.ts'
import { Violation } from '../watcher.ts'
import type { Server } from '../world/server.ts'
import { World } from '../world/world.ts'
import { Chronicle } from './chronicle.ts'
import { Notary, sha256 } from './notary.ts'
import type { BftPlan } from './plan.ts'

const idOf = (seat: number): NodeId => `m${String(seat).padStart(2, '0')}`

/**
 * The same plan with whole nodes: `createNode`, the runtime, its frames, the simulated disks and links. What leaves the protocol is judged
 * by the other kind of run; here it is judged what nodes apply, and what clients are told.
 */
export async function carryOutNodes(plan: BftPlan): Promise<Outcome> {
  const began = performance.now()
  const random = new Random(plan.seed).split('bft nodes')
  const notary = new Notary()
  const ids = Array.from({ length: plan.members }, (_, seat) => idOf(seat))
  const voters = ids.map((id) => ({ id, key: notary.register(id) }))
  const faults = new Map<FaultName, number>()
  const did = (fault: FaultName): void => void faults.set(fault, (faults.get(fault) ?? 0) + 1)
  const knowledge = new Knowledge(sha256)
  const { members } = founding(sha256, { cluster: 'sim', group: 'main', members: voters })
  const liars = new Map(plan.liars.map((liar) => [idOf(liar.seat), liar]))
  const isHonest = ({ id }: Server): boolean => !liars.has(id)
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
    members: voters,
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
      const { key } = voters.find(({ id }) => id === server.id)!
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
      const liar = liars.get(id)
      if (liar === undefined || liar.how === 'rollback' || liar.how === 'twins') return kind as ProtocolKind
      const acts =
        liar.how === 'mutations' ? [smallMutations(0.4)] : liar.acts.flatMap((name) => behaviours[name] ?? [])
      const lies = { members: voters, digest: sha256, behaviours: acts, knowledge, did, seed: random.split(id).bits() }
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
    (_, i) => new NodeClient(world, members, notary, `c${i + 1}`, random, plan.requests, isHonest),
  )
  let violation: Violation | undefined
  let acknowledged = 0
  try {
    world.found(ids)
    for (const client of clients) client.start()
    for (let i = 0; i < plan.crashes; i++)
      world.at(random.between(50, plan.lasts), () => {
        const server = world.server(random.pick(ids.filter((id) => !liars.has(id))))
        if (!server.alive) return
        did('F44')
        server.kill()
        world.after(random.between(5, 500), () => server.alive || server.start())
      })
    await world.run({ until: plan.lasts })
    world.network.setWeather({ loss: 0, duplicate: 0, replay: 0, delay: [0.2, 1] })
    const honest = [...world.servers.values()].filter(isHonest)
    for (const server of honest) if (!server.alive) server.start()
    const isDone = (): boolean =>
      clients.every(({ isDone }) => isDone) &&
      new Set(honest.map(({ id }) => heights.get(id))).size === 1 &&
      honest.every(({ state }) => state === 'up')
    const bound = world.now + 3 * (members.faults + 2) * 32 * 200
    if ((await world.run({ until: bound, when: isDone })) !== 'when' && !isDone())
      throw new Violation('I20', 'after healing, not all that honest clients asked for is executed by all nodes', {
        open: clients.filter(({ isDone }) => !isDone).map(({ name }) => name),
        heights: Object.fromEntries(heights),
        statuses: honest.map(({ node }) => node?.status()),
        stopped: honest.filter(({ state }) => state !== 'up').map(({ id, failure }) => `${id}: ${String(failure)}`),
      })
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
    ...{ uncovered: [], faults: Object.fromEntries(faults), counts: { nodes: 1 }, checked: 0, acknowledged, lost: 0 },
    begun: [],
  }
}

/** Outside of all nodes: signs, asks all, and believes f + 1. */
class NodeClient {
  readonly name: string
  readonly #world: World
  readonly #members: Members
  readonly #notary: Notary
  readonly #random: Random
  readonly #key: Uint8Array
  readonly #requests: number
  readonly #isHonest: (server: Server) => boolean
  isDone = false
  accepted = 0

  constructor(
    world: World,
    members: Members,
    notary: Notary,
    name: string,
    random: Random,
    requests: number,
    isHonest: (server: Server) => boolean,
  ) {
    this.name = name
    this.#world = world
    this.#members = members
    this.#notary = notary
    this.#key = notary.register(name)
    this.#random = random.split(`client ${name}`)
    this.#requests = requests
    this.#isHonest = isHonest
  }

  start(): void {
    this.#all().catch((error: unknown) => this.#world.watchers.fail(error))
  }

  async #all(): Promise<void> {
    for (let seq = 1; seq <= this.#requests; seq++) {
      await this.#one(seq)
      this.accepted++
      await this.#world.sleep(this.#random.between(0, 100))
    }
    this.isDone = true
  }

  async #one(seq: number): Promise<void> {
    const operations = [new TextEncoder().encode(`${this.name} ${seq}`)]
    const claim = { client: this.#key, session: 1, seq, operations, signature: new Uint8Array(0) }
    const { bytes } = requestCheck(sha256, this.#members.genesis.hash, claim)
    const request = encodeRequest({ ...claim, signature: this.#notary.sign(this.#key, bytes) })
    const said = new Map<string, Set<NodeId>>()
    let accepted: string | undefined
    const ask = async (server: Server): Promise<void> => {
      const called = await server.call((node) => node.submit(request, { timeout: 1000 }) as Promise<Submitted>)
      if (called.outcome !== 'done') return
      const { index, results } = called.value
      const answer = `${index} ${results.map((result) => result.join()).join(' ')}`
      const sayers = said.get(answer) ?? new Set()
      said.set(answer, sayers.add(server.id))
      if (sayers.size <= this.#members.faults) return
      accepted ??= answer
      const isTold = [...sayers].some((id) => this.#isHonest(this.#world.server(id)))
      if (!isTold) throw new Violation('I14', `${this.name} accepts an answer that no honest member gave`)
      if (accepted !== answer) throw new Violation('I14', `${this.name} may accept two answers`)
    }
    while (accepted === undefined) {
      const asked = [...this.#world.servers.values()].map(ask)
      await Promise.race([Promise.all(asked), this.#world.sleep(1500)])
      await this.#world.sleep(100)
    }
  }
}
