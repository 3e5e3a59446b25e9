import { type GroupId, RaftkitError, type Storage } from '@raftkit/contract'
import type { Random } from '../../random.ts'
import type { Process } from '../process.ts'
import type { Server } from '../server.ts'
import { type Blob, BlobFolder } from './blobs.ts'
import type { LogContent } from './content.ts'
import { closed, LogFile, never, OpenLog } from './log.ts'
import { goodDisk, type Wear } from './wear.ts'

interface Group {
  readonly log: LogFile
  readonly blobs: BlobFolder
}

/** The group of a node without Multi-Raft. */
const main = 'main'

/** What outlives the processes of a server. */
export class Disk {
  readonly server: Server
  readonly random: Random
  /** May be replaced at any time. */
  wear: Wear
  /** Rot or misdirection that only a wipe repairs. */
  damaged = false
  #full = false
  #groups = new Map<GroupId, Group>()
  #stall = 0
  #failing = false
  #waitingForRoom: (() => void)[] = []

  constructor(server: Server, random: Random, wear: Wear = goodDisk) {
    this.server = server
    this.random = random
    this.wear = wear
  }

  /** What a crash now would leave at the least. */
  get durable(): LogContent {
    return this.#group(main).log.durable
  }

  /** What was written so far, as the process itself sees it. */
  get issued(): LogContent {
    return this.#group(main).log.issued
  }

  get blobs(): ReadonlyMap<string, Blob> {
    return this.#group(main).blobs.files
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
    for (const { log } of this.#groups.values()) log.flush(process)
  }

  /** From now on it is a good disk. What is damaged stays so, and a flush under way takes as long as it takes. */
  heal(): void {
    this.wear = goodDisk
    this.#stall = 0
    this.#failing = false
    this.free()
  }

  /** One bit of something at rest turns. False: there is nothing of that kind, or no good copy would be left (`World.mayDamage`). */
  rot(kind: 'record' | 'blob' | 'state'): boolean {
    const { random } = this
    if (!this.server.world.mayDamage(this.server)) return false
    const { log, blobs } = this.#group(main)
    const detected = kind === 'state' || random.chance(this.wear.detects)
    if (kind === 'blob') {
      const file = random.pick([...blobs.files.values()].filter(({ bytes, complete }) => complete && bytes.length > 0))
      if (!file) return false
      file.bytes = flipped(file.bytes, random)
      file.detected = detected
    } else if (kind === 'record') {
      const { first, records } = log.durable
      if (records.length === 0) return false
      const at = random.below(records.length)
      const good = records[at]!
      records[at] = flipped(good, random)
      const issued = at + first - log.issued.first
      if (log.issued.records[issued] === good) log.issued.records[issued] = records[at]!
      log.detected ||= detected
    } else {
      if (log.durable.state === undefined) return false
      log.detected = true // the state has no checksum but the adapter's: it must be found there
    }
    return this.#damage('rot', kind)
  }

  /** Something was written where something else belongs: one record over another, one snapshot over another. */
  misdirect(kind: 'record' | 'blob'): boolean {
    const { random } = this
    if (!this.server.world.mayDamage(this.server)) return false
    const { log, blobs } = this.#group(main)
    if (kind === 'blob') {
      const files = random.shuffle([...blobs.files.values()].filter(({ complete }) => complete))
      const to = files[0]
      const bytes = files[1]?.bytes ?? blobs.freed
      if (!to || !bytes) return false
      to.bytes = bytes
    } else {
      const { first, records } = log.durable
      if (records.length < 2) return false
      const to = random.below(records.length)
      const from = (to + 1 + random.below(records.length - 1)) % records.length
      const good = records[to]!
      records[to] = records[from]!
      const issued = to + first - log.issued.first
      if (log.issued.records[issued] === good) log.issued.records[issued] = records[to]!
    }
    return this.#damage('misdirected-write', kind)
  }

  // —— what the world calls

  /** The process is gone, or `power` is. Either way, some of what was not flushed may be there; now and then, a power cut leaves nothing of it. */
  crash(power = false): void {
    const lost = power && this.random.chance(0.5) ? 1 : this.wear.lost
    for (const { log, blobs } of this.#groups.values()) {
      log.crash(lost)
      blobs.crash(lost)
    }
    this.#waitingForRoom = []
    this.#failing = false
    this.changed()
  }

  wipe(): void {
    this.#groups = new Map()
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
    const groups = this.#groups
    let open = true
    const logs = new Set<OpenLog>()
    const io = <T>(done: () => T): Promise<T> => {
      if (!process.alive) return never()
      if (!open) return Promise.reject(closed())
      return process.io(this.readTime(), () => {
        if (!open) throw closed()
        return done()
      })
    }
    return {
      contract: 1,
      durable: true,
      groups: () =>
        io(() =>
          [...groups].filter(([, { log, blobs }]) => log.issued.written || blobs.files.size > 0).map(([name]) => name),
        ),
      log: (name) =>
        io(() => {
          const { log } = this.#group(checked(name))
          if (log.owner) throw new RaftkitError('LOCKED', `the log of ${name} is open already; close it first`)
          if (log.detected) throw new RaftkitError('DAMAGED', `the log of ${name} is not what was written`)
          const opened = new OpenLog(log, process)
          log.owner = opened
          logs.add(opened)
          return opened
        }),
      snapshots: (name) => io(() => this.#group(checked(name)).blobs.store(process, () => open)),
      destroy: (name) =>
        io(() => {
          if (this.#group(checked(name)).log.owner)
            throw new RaftkitError('LOCKED', `the log of ${name} is open; close it before you destroy it`)
          groups.delete(name)
          this.changed()
        }),
      close: async () => {
        if (!process.alive) return never()
        const closing = [...logs].map((log) => log.close())
        for (const log of logs) log.giveUp()
        await Promise.all(closing)
        open = false
      },
    }
  }

  #damage(kind: string, what: string): boolean {
    this.damaged = true
    this.injected(kind, { what })
    return true
  }

  #group(name: GroupId): Group {
    let group = this.#groups.get(name)
    if (!group) {
      group = { log: new LogFile(this), blobs: new BlobFolder(this) }
      this.#groups.set(name, group)
    }
    return group
  }
}

function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[random.below(copy.length)]! ^= 1 << random.below(8)
  return copy
}

function checked(name: GroupId): GroupId {
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
    throw new RaftkitError('INVALID_OPTION', `${JSON.stringify(name)} does not name a group`)
  return name
}
