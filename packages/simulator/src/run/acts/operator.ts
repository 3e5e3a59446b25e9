import { isRaftkitError, isVoter, type Member } from '@raftkit/contract'
import type { Node } from 'raftkit'
import type { Operation } from '../../watcher.ts'
import type { Server } from '../../world/server.ts'
import type { Run } from '../run.ts'
import type { operatorKinds } from './kinds.ts'
import type { Deed, Stage } from './stage.ts'

/** Asks nodes to change the cluster, and keeps count: while a change may still come, no disk is given up for lost. */
export class Operator {
  readonly #run: Run
  #changes = 0
  #calmFrom = 0

  constructor(run: Run) {
    this.#run = run
  }

  /** A change of the members is under way, or was a moment ago. */
  get busy(): boolean {
    return this.#changes > 0 || this.#run.world.now < this.#calmFrom
  }

  /** A change is decided upon, and asked for later: from now on, busy. Call what it returns then. */
  intend(): () => void {
    this.#changes++
    return () => void this.#changes--
  }

  /** Of the leader's effective configuration. */
  get members(): readonly Member[] {
    return this.#run.world.leader?.protocol?.status().config.members ?? []
  }

  /** No member waits for its repair: only then may the number of members change. */
  get sound(): boolean {
    return this.members.every(({ id, incarnation }) => {
      const server = this.#run.world.server(id)
      return server.incarnation === incarnation && !server.disk.damaged
    })
  }

  async ask(server: Server, kind: string, input: unknown, run: (node: Node) => Promise<unknown>): Promise<boolean> {
    const { world } = this.#run
    const operation: Operation = {
      id: this.#run.nextOperation(),
      client: 'operator',
      node: server.id,
      kind,
      input,
      begun: world.now,
    }
    world.watchers.operation(operation)
    const changes = kind !== 'transfer' && kind !== 'snapshot'
    if (changes) this.#changes++
    const called = await server.call(run)
    if (changes) {
      this.#changes--
      // What was answered `unknown` may still be on its way through the network.
      this.#calmFrom = world.now + 2 * this.#run.plan.node.timing.electionTimeout!
    }
    operation.ended = world.now
    operation.outcome = called.outcome
    operation.output =
      called.outcome === 'done' ? 'done' : isRaftkitError(called.error) ? called.error.code : String(called.error)
    world.watchers.operation(operation)
    this.#run.count(`${kind} ${called.outcome}`)
    return called.outcome === 'done'
  }
}

/** A server that runs, to ask; most of the time the leader. */
function asked({ run, world, random }: Stage): Server | undefined {
  const up = run.servers.filter((server) => server.state === 'up' && !server.paused)
  if (world.leader?.state === 'up' && random.chance(0.6)) return world.leader
  return up.length === 0 ? undefined : random.pick(up)
}

/** One that is no member, running as a newcomer. */
function newcomer(stage: Stage): Server | undefined {
  const { run, random } = stage
  const members = new Set(run.operator.members.map(({ id }) => id))
  if (members.size === 0) return undefined
  const outside = run.servers.filter((server) => !members.has(server.id))
  // One may wait already, whom an earlier request did not get in.
  const waiting = outside.find(
    (server) => server.state === 'up' && run.caretaker.awaits(server) && !server.disk.damaged,
  )
  if (waiting) return waiting
  const free = outside.filter((server) => !server.alive && !run.caretaker.expects(server))
  if (free.length === 0) {
    makeRoom(stage)
    return undefined
  }
  const server = random.pick(free)
  run.caretaker.startNewcomer(server)
  return server
}

/** All servers are members: one goes, so that there is a newcomer soon. */
function makeRoom(stage: Stage): void {
  const { run, random } = stage
  const on = asked(stage)
  const { members, busy } = run.operator
  if (!on || busy || members.length < run.servers.length) return
  const { id } = random.pick(members)
  const how = { timeout: 20 * run.plan.node.timing.electionTimeout! }
  void run.operator.ask(on, 'remove', { id }, (node) => node.members.remove(id, how))
}

/** Too few voters to lose one: whoever is at hand becomes one, so that damage can be done soon. */
export function strengthen(stage: Stage): void {
  const { run } = stage
  const { operator } = run
  const on = asked(stage)
  if (!on || operator.busy || !operator.sound || voters(stage).length >= 3) return
  const how = { timeout: 20 * run.plan.node.timing.electionTimeout! }
  const learner = operator.members.find(({ role }) => role === 'learner')
  if (learner) {
    const { id } = learner
    void operator.ask(on, 'promote', { id }, (node) => node.members.promote(id, how))
    return
  }
  const server = newcomer(stage)
  if (!server) return
  const { id, address } = server
  void operator.ask(on, 'add-voter', { id }, (node) => node.members.addVoter(id, address, how))
}

/** A change that adds or takes away members: not while one of them waits for its repair. */
const change =
  (request: (stage: Stage, on: Server, timeout: { readonly timeout: number }) => object | undefined): Deed =>
  (stage) => {
    const on = asked(stage)
    const { operator, plan } = stage.run
    if (!on || !operator.sound || operator.members.length === 0) return undefined
    return request(stage, on, { timeout: Math.max(stage.lasts, plan.node.timing.electionTimeout!) * 2 })
  }

const voters = ({ run }: Stage): Member[] => run.operator.members.filter((member) => member.role === 'voter')

export const operatorActs: Readonly<Record<(typeof operatorKinds)[number], Deed>> = {
  'add-voter': change((stage, on, how) => {
    const server = newcomer(stage)
    if (!server) return undefined
    const { id, address } = server
    void stage.run.operator.ask(on, 'add-voter', { id }, (node) => node.members.addVoter(id, address, how))
    return { id, on: on.id }
  }),
  'add-learner': change((stage, on, how) => {
    const server = newcomer(stage)
    if (!server) return undefined
    const { id, address } = server
    void stage.run.operator.ask(on, 'add-learner', { id }, (node) => node.members.addLearner(id, address, how))
    return { id, on: on.id }
  }),
  /** Of a learner; if there is none, of a voter that is made one first. */
  promote: change((stage, on, how) => {
    const { operator } = stage.run
    let id = operator.members.find(({ role }) => role === 'learner')?.id
    if (id === undefined) {
      const some = voters(stage)
      if (some.length < 2) return void strengthen(stage)
      const voter = stage.random.pick(some).id
      id = voter
      void operator
        .ask(on, 'demote', { id }, (node) => node.members.demote(voter, how))
        .then(() => operator.ask(on, 'promote', { id }, (node) => node.members.promote(voter, how)))
    } else {
      const learner = id
      void operator.ask(on, 'promote', { id }, (node) => node.members.promote(learner, how))
    }
    return { id, on: on.id }
  }),
  demote: change((stage, on, how) => {
    const some = voters(stage)
    if (some.length < 2) return void strengthen(stage)
    const { id } = stage.random.pick(some)
    void stage.run.operator.ask(on, 'demote', { id }, (node) => node.members.demote(id, how))
    return { id, on: on.id }
  }),
  remove: change((stage, on, how) => {
    const { members } = stage.run.operator
    const { random, run } = stage
    const { id, role } = random.pick(members)
    if (role !== 'learner' && voters(stage).length < 2) return void strengthen(stage)
    void run.operator.ask(on, 'remove', { id }, (node) => node.members.remove(id, how))
    return { id, on: on.id }
  }),
  replace: change((stage, on, how) => {
    const { members } = stage.run.operator
    const server = newcomer(stage)
    if (!server) return undefined
    const { id, address } = server
    const old = stage.random.pick(members).id
    void stage.run.operator.ask(on, 'replace', { old, id }, (node) => node.members.replace(old, { id, address }, how))
    return { old, id, on: on.id }
  }),
  /** Any members to any others in one request, while another node is asked for something else. */
  'change-many': change((stage, on, how) => {
    const { random, run } = stage
    const { members, ask } = { members: run.operator.members, ask: run.operator.ask.bind(run.operator) }
    if (!members.every(({ role }) => role === 'voter' || role === 'learner')) return undefined
    const one = newcomer(stage)
    if (!one) return undefined
    const staying = random.shuffle(members).slice(random.below(Math.min(2, members.length)))
    const asking = run.operator.intend()
    void stage.world.sleep(stage.run.plan.node.timing.electionTimeout!).then(() => {
      asking()
      if (one.incarnation === undefined || on.state !== 'up') return
      const { id, address, incarnation } = one
      const listed = staying.map((member) => ({ id: member.id, role: random.chance(0.8) }))
      const request = {
        type: 'change',
        voters: [{ id, address, incarnation }, ...listed.filter(({ role }) => role).map((each) => each.id)],
        learners: listed.filter(({ role }) => !role).map((each) => each.id),
      }
      void ask(on, 'change-many', request, (node) => node.members.change(request, how))
      const other = asked(stage)
      const voter = members.find(isVoter)
      if (other && voter && random.chance(0.5))
        void ask(other, 'demote', { id: voter.id }, (node) => node.members.demote(voter.id, how))
    })
    return { id: one.id, on: on.id }
  }),
  transfer(stage) {
    const { run, random } = stage
    const on = asked(stage)
    if (!on) return undefined
    const to = random.chance(0.6) ? random.pick(run.operator.members)?.id : undefined
    const how = { timeout: stage.lasts + run.plan.node.timing.electionTimeout! }
    void run.operator.ask(on, 'transfer', { to }, (node) => node.transferLeadership(to, how))
    return { on: on.id, ...(to === undefined ? {} : { to }) }
  },
  snapshot(stage) {
    const on = asked(stage)
    if (!on) return undefined
    const how = { timeout: stage.lasts + stage.run.plan.node.timing.electionTimeout! }
    void stage.run.operator.ask(on, 'snapshot', {}, (node) => node.snapshot(how))
    return { on: on.id }
  },
}
