import { type GroupId, type LogStore, RaftkitError, type SnapshotStore, type Storage } from '@raftkit/contract'
import { emptyLog, type LogContent, MemoryLog } from './log.ts'
import { MemorySnapshots } from './snapshots.ts'

export interface MemoryOptions {
  /**
   * What the storage says of itself. Default false: a restart is a wipe. `true` is for tests that restart a node on the same object:
   * the node then believes what it finds, as it would on a disk.
   */
  readonly durable?: boolean
}

/**
 * Keeps everything in this object. After `close` the content is still there, and the next call opens it again, as a process would
 * that starts again on its disk: hand the object to a second node once the first is closed. What was opened before stays closed.
 * Throws `INVALID_OPTION`.
 */
export function memoryStorage(options: MemoryOptions = {}): Storage {
  const { durable = false } = options
  if (typeof durable !== 'boolean') throw new RaftkitError('INVALID_OPTION', '`durable` is true or false')
  return new MemoryStorage(durable)
}

interface Group {
  readonly content: LogContent
  readonly snapshots: MemorySnapshots
  log?: MemoryLog | undefined
}

class MemoryStorage implements Storage {
  readonly contract = 1
  readonly durable: boolean
  readonly #groups = new Map<GroupId, Group>()

  constructor(durable: boolean) {
    this.durable = durable
  }

  async groups(): Promise<readonly GroupId[]> {
    return [...this.#groups]
      .filter(([, group]) => group.content.written || !group.snapshots.empty)
      .map(([name]) => name)
  }

  async log(name: GroupId): Promise<LogStore> {
    const group = this.#group(name)
    if (group.log) throw new RaftkitError('LOCKED', `the log of ${name} is open already; close it first`)
    group.log = new MemoryLog(group.content, () => {
      group.log = undefined
    })
    return group.log
  }

  async snapshots(name: GroupId): Promise<SnapshotStore> {
    return this.#group(name).snapshots.session()
  }

  async destroy(name: GroupId): Promise<void> {
    const group = this.#group(name)
    if (group.log) throw new RaftkitError('LOCKED', `the log of ${name} is open; close it before you destroy it`)
    group.snapshots.end()
    this.#groups.delete(name)
  }

  async close(): Promise<void> {
    for (const group of this.#groups.values()) {
      group.snapshots.end()
      await group.log?.close()
    }
  }

  #group(name: GroupId): Group {
    if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
      throw new RaftkitError('INVALID_OPTION', `${JSON.stringify(name)} does not name a group`)
    let group = this.#groups.get(name)
    if (!group) {
      group = { content: emptyLog(), snapshots: new MemorySnapshots() }
      this.#groups.set(name, group)
    }
    return group
  }
}
