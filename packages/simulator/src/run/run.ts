import type { Environment, NodeId } from '@raftkit/contract'
import { type AnyMachine, replicate } from 'raftkit'
import { Random } from '../random.ts'
import type { Watcher } from '../watcher.ts'
import { fairWeather } from '../world/network/weather.ts'
import type { Server } from '../world/server.ts'
import { World } from '../world/world.ts'
import { Nemesis } from './acts/nemesis.ts'
import { Operator } from './acts/operator.ts'
import { Caretaker } from './caretaker.ts'
import { History } from './history.ts'
import { Listeners } from './listeners.ts'
import { type Plan, planServers, serverId } from './plan.ts'
import { Client } from './workload/client.ts'
import { Ledger } from './workload/ledger.ts'
import { type Executed, registers } from './workload/registers.ts'

/** One plan being carried out: the world, who acts in it, and what is known of it. */
export class Run {
  readonly plan: Plan
  readonly world: World
  readonly random: Random
  readonly servers: readonly Server[]
  readonly ledger: Ledger = new Ledger()
  readonly history: History = new History()
  readonly operator: Operator
  readonly caretaker: Caretaker
  readonly nemesis: Nemesis
  readonly listeners: Listeners
  readonly clients: readonly Client[]
  /** Outcomes of operations, and whatever else is worth counting. */
  readonly counts: Map<string, number> = new Map()
  /** Injected faults by kind, those of the weather among them. */
  readonly faults: Map<string, number> = new Map()
  /** Faults are over; what is left has to come together. */
  healing = false
  /** Acts still wait for their chance: clients hold back, so that time passes for few events. */
  waiting = false
  #operations = 0
  #quietSince: number | undefined

  constructor(plan: Plan, watchers: readonly Watcher[]) {
    this.plan = plan
    this.random = new Random(plan.seed).split('run')
    const executed: Executed = (input, index, output) => this.judge(() => this.ledger.executed(input, index, output))
    const definition = registers(executed)
    this.world = new World({
      seed: plan.seed,
      machine: () => (plan.workload.sessions === 'client' ? replicate(definition) : definition) as AnyMachine,
      node: plan.node,
      network: plan.network,
      weather: plan.weather,
      disk: plan.wear,
      ...(plan.storage && { storage: plan.storage }),
      watchers: [...watchers, this.#watcher()],
    })
    this.servers = planServers(plan).map((id) => this.world.server(id))
    this.operator = new Operator(this)
    this.caretaker = new Caretaker(this)
    this.nemesis = new Nemesis(this)
    this.listeners = new Listeners(this)
    this.clients = Array.from({ length: plan.workload.clients }, (_, i) => new Client(this, `c${i + 1}`))
  }

  /** Begins everything; nothing has happened yet. */
  start(): void {
    const { plan, world } = this
    this.servers.forEach((server, i) => {
      server.clock.drift(plan.rates[i]!, world.now)
    })
    world.found(Array.from({ length: plan.founders }, (_, i): NodeId => serverId(i + 1)))
    for (const client of this.clients) this.mind(client.start())
    const interval = plan.node.timing.electionTimeout! / 10
    const tick = (): void => {
      this.caretaker.tick()
      if (!this.healing) this.nemesis.tick()
      this.listeners.tick()
      world.after(interval, tick)
    }
    world.after(interval, tick)
  }

  /** Clients begin nothing in quiet parts of the safety phase. Long quiet makes no events, and so would never end by their count. */
  get quiet(): boolean {
    if (this.waiting) return true
    const { world, plan } = this
    const share = world.events / plan.events
    const quiet = plan.workload.quiet.some(([from, to]) => from <= share && share < to)
    if (!quiet) this.#quietSince = undefined
    else this.#quietSince ??= world.now
    return quiet && world.now - this.#quietSince! < 20 * plan.node.timing.electionTimeout!
  }

  nextOperation(): number {
    return ++this.#operations
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  /** Runs a check whose violation ends the run, and disturbs nobody who is being watched. */
  judge(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.world.watchers.fail(error)
    }
  }

  /** A promise of ours must not fail unnoticed. */
  mind(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.world.watchers.fail(error))
  }

  usualWeather(): void {
    this.world.network.setWeather({ ...fairWeather, ...this.plan.weather })
  }

  /** The world as a client outside of any server sees it. */
  environment(purpose: string): Environment {
    const { world } = this
    const random = this.random.split(purpose)
    return {
      now: () => world.now,
      wall: () => 1_700_000_000_000 + Math.floor(world.now),
      at: (time, run) => world.at(Math.max(time, world.now), run),
      soon: (run) => void world.at(world.now, run),
      random: (into) => random.fill(into),
    }
  }

  #watcher(): Watcher {
    return {
      told: (server, event) => this.listeners.told(server, event),
      crashed: (server, how) => this.caretaker.crashed(server, how),
      fault: ({ kind }) => this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1),
    }
  }
}
