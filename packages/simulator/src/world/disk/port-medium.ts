import { type GroupId, RaftkitError, type Storage } from '@raftkit/contract'
import type { Random } from '../../random.ts'
import type { Process } from '../process.ts'
import { type Blob, BlobFolder } from './blobs.ts'
import type { LogContent } from './content.ts'
import type { Disk } from './disk.ts'
import { closed, LogFile, never, OpenLog } from './log.ts'
import type { Medium, Misdirected, Rot } from './medium.ts'

interface Group {
  readonly log: LogFile
  readonly blobs: BlobFolder
}

/** The group of a node without Multi-Raft. */
export const main = 'main'

/** The port of a storage, simulated as a whole: a write is a change of what is there. */
export class PortMedium implements Medium {
  readonly #disk: Disk
  readonly #groups = new Map<GroupId, Group>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  get durable(): LogContent {
    return this.#group(main).log.durable
  }

  get issued(): LogContent {
    return this.#group(main).log.issued
  }

  get blobs(): ReadonlyMap<string, Blob> {
    return this.#group(main).blobs.files
  }

  crash(_power: boolean, lost: number): void {
    for (const { log, blobs } of this.#groups.values()) {
      log.crash(lost)
      blobs.crash(lost)
    }
  }

  freed(process: Process): void {
    for (const { log } of this.#groups.values()) log.flush(process)
  }

  rot(kind: Rot): boolean {
    const { random, wear } = this.#disk
    const { log, blobs } = this.#group(main)
    const detected = kind === 'state' || random.chance(wear.detects)
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
    return true
  }

  misdirect(kind: Misdirected): boolean {
    const { random } = this.#disk
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
    return true
  }

  storage(process: Process): Storage {
    const groups = this.#groups
    let open = true
    const logs = new Set<OpenLog>()
    const io = <T>(done: () => T): Promise<T> => {
      if (!process.alive) return never()
      if (!open) return Promise.reject(closed())
      return process.io(this.#disk.readTime(), () => {
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
          this.#disk.changed()
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

  #group(name: GroupId): Group {
    let group = this.#groups.get(name)
    if (!group) {
      group = { log: new LogFile(this.#disk), blobs: new BlobFolder(this.#disk) }
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
