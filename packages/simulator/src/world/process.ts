import type { Lane, NodeId, Outgoing } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import type { Due } from '../timeline.ts'
import type { Server } from './server.ts'
import type { World } from './world.ts'

/** Who waits for an answer of a process that may die before. */
type Mourner = () => void

/**
 * One life of a server: from start to crash, close or failure. All that the runtime under test does to the outside passes here, and all
 * that the outside does to it. Once it is dead, nothing of it happens any more: its callbacks are dropped, its promises stay pending.
 */
export class Process {
  readonly server: Server
  readonly world: World
  /** Counts the lives of the server, from 1. */
  readonly boot: number
  alive = true
  /** Standing still in the middle of a turn, it is so many milliseconds ahead of the world. */
  lag = 0
  /** The write that the protocol handed out last. */
  writeId = 0
  /** Messages that left the outbox in this turn and are in no frame yet. */
  #outgoing: Outgoing<Message>[] = []
  #paused = false
  #busy: Due<Process> | undefined
  #parked: Due<Process>[] = []
  /** Effects until something happens to it. */
  #killIn = 0
  #stallIn = 0
  #stallFor = 0
  readonly #mourners = new Set<Mourner>()

  constructor(server: Server, boot: number) {
    this.server = server
    this.world = server.world
    this.boot = boot
  }

  get paused(): boolean {
    return this.#paused
  }

  /** It stands still: what comes for it waits. */
  get held(): boolean {
    return this.#paused || this.#busy !== undefined
  }

  /** Something happens to the process: now, once it goes on, or, if it is dead, never. */
  deliver(run: () => void): void {
    if (!this.alive) return
    if (this.held) this.#parked.push({ time: 0, order: 0, run, owner: this })
    else run()
  }

  /** What is due for the process, unless it stands still. */
  dispatch(due: Due<Process>): void {
    if (!this.alive) return
    if (this.held) this.#parked.push(due)
    else {
      const { run } = due
      due.run = undefined
      run?.()
    }
  }

  /** An I/O that takes `milliseconds`: resolves with what `done` gives then, as one completion. */
  io<T>(milliseconds: number, done: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!this.alive) return
      const { world } = this
      world.timeline.at(
        world.now + this.lag + milliseconds,
        () => {
          world.completed()
          try {
            resolve(done())
          } catch (error) {
            reject(error)
          }
        },
        this,
      )
    })
  }

  /** A message leaves; the frame it goes in follows. */
  leaves(outgoing: Outgoing<Message>): void {
    this.#outgoing.push(outgoing)
  }

  takeOutgoing(to: NodeId, lane: Lane): readonly Message[] {
    const taken: Message[] = []
    let kept = 0
    const all = this.#outgoing
    for (const outgoing of all) {
      if (outgoing.to === to && outgoing.lane === lane) taken.push(outgoing.message)
      else all[kept++] = outgoing
    }
    all.length = kept
    return taken
  }

  /** The process has done something that others can notice. A crash or stall may be due right here, in the middle of its turn. */
  effect(): void {
    if (this.#stallIn > 0 && --this.#stallIn === 0) this.#stall(this.#stallFor)
    if (this.#killIn > 0 && --this.#killIn === 0) this.server.kill()
  }

  killAfter(effects: number): void {
    this.#killIn = effects
  }

  stallAfter(effects: number, milliseconds: number): void {
    this.#stallIn = effects
    this.#stallFor = milliseconds
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#goOn()
  }

  /** Told if the process dies before `forget`. */
  mourn(mourner: Mourner): void {
    this.#mourners.add(mourner)
  }

  forget(mourner: Mourner): void {
    this.#mourners.delete(mourner)
  }

  die(): void {
    this.alive = false
    this.#parked = []
    if (this.#busy) this.world.timeline.cancel(this.#busy)
    const mourners = [...this.#mourners]
    this.#mourners.clear()
    for (const mourner of mourners) mourner()
  }

  /** The rest of this turn happens so much later; what comes meanwhile waits. */
  #stall(milliseconds: number): void {
    this.lag += milliseconds
    const { timeline } = this.world
    if (this.#busy) timeline.cancel(this.#busy)
    this.#busy = timeline.at(timeline.now + this.lag, () => {
      this.#busy = undefined
      this.lag = 0
      this.#goOn()
    })
  }

  #goOn(): void {
    if (this.held || this.#parked.length === 0) return
    const parked = this.#parked
    this.#parked = []
    for (const due of parked) this.world.timeline.again(due)
  }
}
