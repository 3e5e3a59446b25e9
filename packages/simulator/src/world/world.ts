import type { Member, NodeId, ProtocolKind, StateMachine } from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import type { AnyMachine, NodeOptions } from 'raftkit'
import { Random } from '../random.ts'
import { type Due, Timeline } from '../timeline.ts'
import { Violation, type Watcher } from '../watcher.ts'
import { goodDisk, type Wear } from './disk/wear.ts'
import { Network, type NetworkOptions } from './network/network.ts'
import type { Weather } from './network/weather.ts'
import type { Process } from './process.ts'
import { Server } from './server.ts'
import { Watchers } from './watchers.ts'

/** What a world may choose for its nodes: all options of `createNode` that are not the world's own. */
export type NodeSettings = Partial<
  Omit<
    NodeOptions<AnyMachine | StateMachine>,
    | 'id'
    | 'cluster'
    | 'machine'
    | 'storage'
    | 'transport'
    | 'environment'
    | 'protocol'
    | 'observer'
    | 'members'
    | 'join'
    | 'address'
  >
>

export type StorageKind = 'virtual' | 'wal'

export interface WorldOptions {
  readonly seed: number | string
  /** Default `sim`. */
  readonly cluster?: string
  /** Called for every process. A `StateMachine` (also what `replicate` of raftkit gives) is watched: `applied` and `restored`. */
  readonly machine: (server: Server) => StateMachine | AnyMachine
  /** Default: joint consensus, and the defaults of `createNode`. */
  readonly node?: NodeSettings | ((server: Server) => NodeSettings)
  /** Default: Raft. Of another protocol the watchers see messages and effects, and no `server.protocol`. */
  readonly protocol?: (server: Server) => ProtocolKind
  /** Of all links. */
  readonly weather?: Partial<Weather>
  readonly network?: NetworkOptions
  /** `virtual`, the default: the port itself is simulated. `wal`: the real write-ahead log, on simulated files. */
  readonly storage?: StorageKind
  /** Of all disks. */
  readonly disk?: Partial<Wear>
  readonly watchers?: readonly Watcher[]
}

/** Ends a run, whichever comes first. */
export interface Limit {
  /** World's time, in milliseconds. */
  readonly until?: number
  /** Count of events in this world. */
  readonly events?: number
  /** Asked after each event. */
  readonly when?: () => boolean
}

/** Events between two turns of the real event loop, so that signals and messages of workers are heard. */
const batch = 2000

/** More things at one moment than any cluster has to do: one of them asks for itself again and again. */
const standstill = 100_000

/**
 * A cluster in virtual time: one thread, one seed, no clock. One thing happens at a time, and all promises that follow from it
 * settle before the next.
 */
export class World {
  readonly seed: number | string
  readonly random: Random
  readonly options: WorldOptions
  readonly cluster: string
  readonly timeline: Timeline<Process> = new Timeline()
  readonly watchers: Watchers
  readonly network: Network
  readonly wear: Wear
  readonly nodeDefaults: NodeSettings = { membership: jointConsensus() as never }
  readonly #servers = new Map<NodeId, Server>()
  #standingAt = -1
  #standing = 0
  #quiet = false
  #steps = 0
  #completions = 0

  constructor(options: WorldOptions) {
    this.options = options
    this.seed = options.seed
    this.random = new Random(options.seed)
    this.cluster = options.cluster ?? 'sim'
    this.watchers = new Watchers(options.watchers)
    this.wear = { ...goodDisk, ...options.disk }
    this.network = new Network(this, this.random.split('network'), options.weather, options.network)
  }

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.timeline.now
  }

  /** Steps of protocols, and completions of I/O: what is simulated. Time that is skipped counts nothing. */
  get events(): number {
    return this.#steps + this.#completions
  }

  get steps(): number {
    return this.#steps
  }

  get completions(): number {
    return this.#completions
  }

  get servers(): ReadonlyMap<NodeId, Server> {
    return this.#servers
  }

  get violation(): Violation | undefined {
    return this.watchers.violation
  }

  /** Alive, leader, of the highest term. */
  get leader(): Server | undefined {
    let leader: Server | undefined
    for (const server of this.#servers.values()) {
      const { protocol } = server
      if (protocol?.role.type !== 'leader') continue
      if (!leader || protocol.state.term > leader.protocol!.state.term) leader = server
    }
    return leader
  }

  /** Made at the first call: off, with an empty disk. */
  server(id: NodeId): Server {
    let server = this.#servers.get(id)
    if (!server) {
      server = new Server(this, id, this.random.split(`server ${id}`))
      this.#servers.set(id, server)
    }
    return server
  }

  /** Starts all of them, to found the cluster together. */
  found(ids: readonly NodeId[]): void {
    for (const id of ids) this.server(id)
    for (const id of ids) this.server(id).start({ members: ids })
  }

  /** Runs at `time`, at the earliest now. Returns what cancels it. */
  at(time: number, run: () => void): () => void {
    const due = this.timeline.at(time, run)
    return () => this.timeline.cancel(due)
  }

  after(milliseconds: number, run: () => void): () => void {
    return this.at(this.now + milliseconds, run)
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.after(milliseconds, resolve))
  }

  /**
   * A quorum of voters whose disks are whole stays without this server's, so that every committed entry has a good copy that can be elected.
   * It must last once all who join have their votes, too, which comes about by itself; and until then, none of them counts.
   */
  mayDamage(server: Server): boolean {
    const leader = this.leader?.protocol
    if (!leader) return false
    const { config, configCommitted } = leader.status()
    const isWhole = ({ id, incarnation, role }: Member): boolean => {
      const member = this.#servers.get(id)
      if (member === undefined || member === server || role === 'incoming') return false
      return !member.disk.damaged && member.incarnation === incarnation
    }
    const coming = leader.membership.next(config, { caughtUp: () => true, reachable: () => true }) ?? config
    return configCommitted && [config, coming].every((each) => leader.membership.isQuorum(each, isWhole))
  }

  /** Resolves with what ended it; rejects with the violation, after the event in which it was seen. */
  run(limit: Limit): Promise<'until' | 'events' | 'when' | 'idle'> {
    const { until = Number.POSITIVE_INFINITY, events = Number.POSITIVE_INFINITY, when } = limit
    return new Promise((resolve, reject) => {
      let left = batch
      // After each event, a microtask asks for the next tick: by then every microtask that followed from the event has run, too.
      const ask = (): void => {
        if (--left > 0) process.nextTick(tick)
        else {
          left = batch
          setImmediate(tick)
        }
      }
      const tick = (): void => {
        try {
          do {
            if (this.watchers.violation) return reject(this.watchers.violation)
            if (when?.()) return resolve('when')
            if (this.events >= events) return resolve('events')
            const due = this.timeline.next(until)
            if (!due) {
              const idle = this.timeline.size === 0
              this.timeline.skip(until)
              return resolve(idle ? 'idle' : 'until')
            }
            this.#quiet = false
            this.#happen(due)
          } while (this.#quiet)
          queueMicrotask(ask)
        } catch (error) {
          reject(error)
        }
      }
      setImmediate(tick)
    })
  }

  /** Kills every process and forgets all that was due. */
  close(): void {
    for (const server of this.#servers.values()) server.kill()
    this.timeline.clear()
  }

  /** One I/O, or several at once, came back to a process. */
  completed(count = 1): void {
    this.#completions += count
  }

  /** A frame came: the runtime only puts it by for its next turn, so no promise follows from it that should be waited for. */
  delivered(): void {
    this.#completions++
    this.#quiet = true
  }

  /** A protocol took a step. */
  stepped(): void {
    this.#steps++
  }

  #happen(due: Due<Process>): void {
    if (due.time > this.#standingAt) {
      this.#standingAt = due.time
      this.#standing = 0
    } else if (++this.#standing > standstill) {
      const culprit = due.owner ? `, lately on ${due.owner.server.id}` : ''
      throw new Violation('progress', `${standstill} things happened at ${due.time}${culprit}, and time does not go on`)
    }
    const { owner } = due
    if (owner) return owner.dispatch(due)
    const { run } = due
    due.run = undefined
    run?.()
  }
}
