import type { Storage } from '@raftkit/contract'
import type { Random } from '../../random.ts'
import type { Process } from '../process.ts'
import type { Server } from '../server.ts'
import type { Blob } from './blobs.ts'
import type { LogContent } from './content.ts'
import type { Medium, Misdirected, Rot } from './medium.ts'
import { PortMedium } from './port-medium.ts'
import { goodDisk, type Wear } from './wear.ts'

/** What outlives the processes of a server. */
export class Disk {
  readonly server: Server
  readonly random: Random
  /** May be replaced at any time. */
  wear: Wear
  /** Rot or misdirection that only a wipe repairs. */
  damaged = false
  readonly #make: (disk: Disk) => Medium
  #medium: Medium
  #full = false
  #stall = 0
  #failing = false
  #waitingForRoom: (() => void)[] = []

  constructor(
    server: Server,
    random: Random,
    wear: Wear = goodDisk,
    make: (disk: Disk) => Medium = (disk) => new PortMedium(disk),
  ) {
    this.server = server
    this.random = random
    this.wear = wear
    this.#make = make
    this.#medium = make(this)
  }

  /** What a crash now would leave at the least. */
  get durable(): LogContent {
    return this.#medium.durable
  }

  /** What was written so far, as the process itself sees it. */
  get issued(): LogContent {
    return this.#medium.issued
  }

  get blobs(): ReadonlyMap<string, Blob> {
    return this.#medium.blobs
  }

  get full(): boolean {
    return this.#full
  }

  /** The next flush takes so much longer. */
  stall(milliseconds: number): void {
    this.#stall += milliseconds
  }

  /** The next flush fails: its writes are rejected, and the node stops. */
  fail(): void {
    this.#failing = true
  }

  /** Writes stay pending until `free`. */
  fill(): void {
    this.#full = true
  }

  free(): void {
    this.#full = false
    const { process } = this.server
    if (!process) return
    for (const go of this.#waitingForRoom.splice(0)) go()
    this.#medium.freed(process)
  }

  /** From now on it is a good disk. What is damaged stays so, and a flush under way takes as long as it takes. */
  heal(): void {
    this.wear = goodDisk
    this.#stall = 0
    this.#failing = false
    this.free()
  }

  /** One bit of something at rest turns. False: there is nothing of that kind, or no good copy would be left (`World.mayDamage`). */
  rot(kind: Rot): boolean {
    return this.#damage('rot', kind, () => this.#medium.rot(kind))
  }

  /** Something was written where something else belongs: one record over another, one snapshot over another. */
  misdirect(kind: Misdirected): boolean {
    return this.#damage('misdirected-write', kind, () => this.#medium.misdirect(kind))
  }

  // —— what the world calls

  /** The process is gone, or `power` is. Either way, some of what was not flushed may be there; now and then, a power cut leaves nothing of it. */
  crash(power = false): void {
    const lost = power && this.random.chance(0.5) ? 1 : this.wear.lost
    this.#medium.crash(power, lost)
    this.#waitingForRoom = []
    this.#failing = false
    this.changed()
  }

  wipe(): void {
    this.#medium = this.#make(this)
    this.#waitingForRoom = []
    this.damaged = false
    this.#failing = false
    this.changed()
  }

  changed(): void {
    this.server.world.watchers.durable(this.server)
  }

  injected(kind: string, details: object): void {
    this.server.world.watchers.fault({ kind, server: this.server.id, ...details })
  }

  flushTime(bytes: number): number {
    const { flush, slow, slowness, bytesPerMs } = this.wear
    const stall = this.#stall
    this.#stall = 0
    const lame = this.random.chance(slow)
    if (lame) this.injected('slow-flush', {})
    return this.random.between(...flush) * (lame ? slowness : 1) + bytes / bytesPerMs + stall
  }

  readTime(): number {
    return this.random.between(...this.wear.read)
  }

  failsNow(): boolean {
    const fails = this.#failing || this.random.chance(this.wear.error)
    this.#failing = false
    return fails
  }

  /** Resolves once the disk is not full any more. */
  room(process: Process): Promise<void> {
    return new Promise((resolve) => this.#waitingForRoom.push(() => process.deliver(resolve)))
  }

  /** The disk as one process has it. */
  storage(process: Process): Storage {
    return this.#medium.storage(process)
  }

  #damage(kind: string, what: string, harm: () => boolean): boolean {
    if (!this.server.world.mayDamage(this.server) || !harm()) return false
    this.damaged = true
    this.injected(kind, { what })
    return true
  }
}
