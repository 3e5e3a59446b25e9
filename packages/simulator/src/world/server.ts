import {
  type ErrorCode,
  isRaftkitError,
  type NodeId,
  type Outcome,
  RaftkitError,
  type StateMachine,
} from '@raftkit/contract'
import { type Raft, raft } from '@raftkit/core'
import { type AnyMachine, createNode, isRefusal, type Node, type NodeEvent } from 'raftkit'
import type { Random } from '../random.ts'
import type { Ending } from '../watcher.ts'
import { Clock } from './clock.ts'
import { Disk } from './disk/disk.ts'
import { WalMedium } from './disk/wal-medium.ts'
import { environmentOf } from './environment.ts'
import { watchedMachine, watchedProtocol } from './probe.ts'
import { Process } from './process.ts'
import type { World } from './world.ts'

export interface StartOptions {
  /** Who founds the cluster together. */
  readonly members?: readonly NodeId[]
  /** Wait to be added, with an empty disk. */
  readonly join?: boolean
}

/** How a call of a client ended. A `Refusal` of the machine is an answer like any other: `done`, with the refusal as its value. */
export type Called<T> =
  | { readonly outcome: 'done'; readonly value: T }
  | { readonly outcome: 'refused' | 'unknown'; readonly error: unknown }

// biome-ignore lint/suspicious/noExplicitAny: commands and queries are of whatever machine the world was given
export type AnyNode = Node<any>

const wal = (disk: Disk): WalMedium => new WalMedium(disk)

/** A server: what outlives its processes (name, disk, clock), and the process that runs now, if one does. */
export class Server {
  readonly id: NodeId
  readonly address: string
  readonly world: World
  readonly random: Random
  readonly disk: Disk
  readonly clock: Clock
  /** Each turn comes up to so many milliseconds late. */
  slow = 0
  /** Processes started so far. */
  boots = 0
  /** Of the disk, as far as it was seen. */
  incarnation: string | undefined
  /** Set once `createNode` resolved, until the process ends. */
  node: AnyNode | undefined
  /** The live machine of the protocol, from `booted` until the process ends. */
  protocol: Raft | undefined
  /** What `WorldOptions.machine` gave this process. */
  machine: StateMachine | AnyMachine | undefined
  /** Why the last process ended by itself: what `createNode` rejected with, or what stopped the node. */
  failure: unknown
  #process: Process | undefined
  #start: StartOptions = {}

  constructor(world: World, id: NodeId, random: Random) {
    this.world = world
    this.id = id
    this.address = `${id}:1`
    this.random = random
    this.disk = new Disk(this, random.split('disk'), world.wear, world.options.storage === 'wal' ? wal : undefined)
    this.clock = new Clock(Math.floor(random.split('clock').between(0, 1_000_000)))
  }

  get process(): Process | undefined {
    return this.#process
  }

  /** A process runs. */
  get alive(): boolean {
    return this.#process !== undefined
  }

  get paused(): boolean {
    return this.#process?.paused ?? false
  }

  get state(): 'off' | 'starting' | 'up' {
    return this.node ? 'up' : this.#process ? 'starting' : 'off'
  }

  /** A new process on what the disk holds. By default it starts like the last one. */
  start(how: StartOptions = this.#start): void {
    if (this.#process) throw new Error(`${this.id} runs already`)
    this.#start = how
    const { world } = this
    const process = new Process(this, ++this.boots)
    this.#process = process
    this.failure = undefined
    world.watchers.starting(this)
    const given = world.options.machine(this)
    this.machine = given
    const { members } = how
    const { node } = world.options
    const random = this.random.split(`boot ${this.boots}`)
    const options = {
      closeTimeout: 1000,
      ...world.nodeDefaults,
      ...(typeof node === 'function' ? node(this) : node),
      id: this.id,
      cluster: world.cluster,
      machine: 'initial' in given ? given : watchedMachine(given, process),
      environment: environmentOf(process, random.split('environment')),
      protocol: watchedProtocol((world.options.protocol?.(this) as typeof raft | undefined) ?? raft, process),
      storage: this.disk.storage(process),
      transport: world.network.transport(process),
      address: this.address,
      observer: (event: NodeEvent) => this.#told(process, event),
      ...(members && { members: Object.fromEntries(members.map((id) => [id, world.server(id).address])) }),
      ...(how.join && { join: true }),
    }
    createNode(options).then(
      (up) =>
        process.deliver(() => {
          this.node = up
        }),
      (error) => process.deliver(() => this.#exit(process, error)),
    )
  }

  /** Now: nothing of the process ever happens again. What was not flushed may be lost. */
  kill(): void {
    if (this.#process) this.#end(this.#process, 'kill')
  }

  /** The whole machine stops: what its disk has not flushed may be lost even if no process runs. */
  cutPower(): void {
    if (this.#process) this.#end(this.#process, 'power')
    else this.disk.crash(true)
  }

  /** Kill, in the middle of whatever turn does so many more things that others can notice: frames, writes, reads, steps on blobs, what is applied. */
  killAfter(effects: number): void {
    this.#process?.killAfter(effects)
  }

  /** The process stands still after so many effects, in the middle of its turn. */
  stall(effects: number, milliseconds: number): void {
    this.#process?.stallAfter(effects, milliseconds)
  }

  /** SIGSTOP: timers and deliveries wait; the disk goes on. */
  pause(): void {
    this.#process?.pause()
  }

  resume(): void {
    this.#process?.resume()
  }

  /** The process ends in order. Resolves when it is over, however. */
  async close(): Promise<void> {
    const process = this.#process
    const { node } = this
    if (!process) return
    if (!node) return this.kill()
    const called = await this.call(() => node.close())
    if (this.#process === process) this.#exit(process, called.outcome === 'done' ? undefined : called.error)
  }

  /** Kill, and the disk is empty: this server must be added again, under a new incarnation. */
  wipe(): void {
    if (this.#process) this.#end(this.#process, 'wipe')
    this.disk.wipe()
    this.incarnation = undefined
    this.#start = { join: true }
  }

  /** A client's call in this process. Never rejects: if the process dies first, the outcome is unknown. */
  call<T>(run: (node: AnyNode) => Promise<T>): Promise<Called<T>> {
    const process = this.#process
    const { node } = this
    if (!process || !node) return Promise.resolve({ outcome: 'refused', error: this.#down('CLOSED', 'refused') })
    return new Promise((resolve) => {
      const died = (): void => resolve({ outcome: 'unknown', error: this.#down('UNKNOWN_OUTCOME', 'unknown') })
      const end = (called: Called<T>): void =>
        process.deliver(() => {
          process.forget(died)
          resolve(called)
        })
      process.mourn(died)
      run(node).then(
        (value) => end({ outcome: 'done', value }),
        (error) => {
          if (isRefusal(error)) end({ outcome: 'done', value: error as T })
          else end({ outcome: isRaftkitError(error) && error.outcome === 'refused' ? 'refused' : 'unknown', error })
        },
      )
    })
  }

  #down(code: ErrorCode, outcome: Outcome): RaftkitError {
    return new RaftkitError(code, `no process of ${this.id} runs`, { outcome, retryable: true })
  }

  /** The protocol of `process` is open. */
  opened(process: Process, protocol: Raft): void {
    if (!process.alive) return
    if (this.world.options.protocol === undefined) this.protocol = protocol
    this.incarnation = protocol.status().incarnation
    this.world.watchers.booted(this)
  }

  #told(process: Process, event: NodeEvent): void {
    if (!process.alive) return
    this.world.watchers.told(this, event)
    // What a program does then: it exits. Not in the middle of the turn that told.
    if (event.type === 'stopped') this.world.timeline.soon(() => this.#exit(process, event.error), process)
  }

  #exit(process: Process, failure: unknown): void {
    if (!process.alive) return
    this.failure = failure
    this.#end(process, 'exit')
  }

  #end(process: Process, how: Ending): void {
    this.#process = undefined
    this.node = undefined
    this.protocol = undefined
    this.machine = undefined
    const { network, watchers } = this.world
    process.die()
    network.died(process)
    watchers.crashed(this, how)
    this.disk.crash(how === 'power')
  }
}
