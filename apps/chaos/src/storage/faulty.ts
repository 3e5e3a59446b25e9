import {
  type GroupId,
  type LogStore,
  type LogWrite,
  RaftkitError,
  type SnapshotReader,
  type SnapshotStore,
  type SnapshotWriter,
  type Storage,
} from '@raftkit/contract'
import type { Disk } from './disk.ts'

/** A storage on a disk with faults. It keeps the port's promises as long as `storage` does: a fault is late, or a rejection that stays. */
export function faulty(storage: Storage, disk: Disk): Storage {
  const queue = new Queue(disk)
  return {
    contract: 1,
    durable: storage.durable,
    groups: () => storage.groups(),
    log: async (group: GroupId) => new FaultyLog(await storage.log(group), queue),
    snapshots: async (group: GroupId) => faultySnapshots(await storage.snapshots(group), queue),
    destroy: (group: GroupId) => storage.destroy(group),
    close: () => {
      queue.giveUp()
      return storage.close()
    },
  }
}

interface Job {
  readonly run: () => Promise<unknown>
  readonly done: (result: unknown) => void
  readonly failed: (error: unknown) => void
}

/** All that the disk is asked for, in order. While it works, nothing waits here. */
class Queue {
  readonly #disk: Disk
  readonly #closed = new AbortController()
  #jobs: Job[] = []
  #pumping = false
  #broken: RaftkitError | undefined

  constructor(disk: Disk) {
    this.#disk = disk
  }

  write<T>(run: () => Promise<T>): Promise<T> {
    if (this.#broken) return Promise.reject(this.#broken)
    if (this.#disk.works && !this.#pumping) return run()
    return new Promise<T>((resolve, failed) => {
      this.#jobs.push({ run, done: resolve as (result: unknown) => void, failed })
      if (!this.#pumping) void this.#pump()
    })
  }

  /** Reads come behind the writes that were issued before them, and cost no flush. */
  read<T>(run: () => Promise<T>): Promise<T> {
    return this.#jobs.length === 0 ? run() : this.write(run)
  }

  /** What still waits is rejected: nobody waits for a disk that may never work again. */
  giveUp(): void {
    this.#broken ??= new RaftkitError('CLOSED', 'the storage was closed while its disk did not work')
    this.#closed.abort()
  }

  async #pump(): Promise<void> {
    this.#pumping = true
    while (this.#jobs.length > 0) {
      await this.#disk.turn(this.#closed.signal)
      const { fault } = this.#disk
      const jobs = this.#jobs
      this.#jobs = []
      if (fault.kind === 'failing' && fault.when === 'after') await Promise.allSettled(jobs.map(({ run }) => run()))
      if (fault.kind === 'failing')
        this.#broken ??= new RaftkitError('STORAGE_FAILED', 'a flush failed (EIO); nobody knows what the disk holds')
      for (const { run, done, failed } of jobs) {
        if (this.#broken) failed(this.#broken)
        else run().then(done, failed)
      }
    }
    this.#pumping = false
  }
}

class FaultyLog implements LogStore {
  readonly #log: LogStore
  readonly #queue: Queue

  constructor(log: LogStore, queue: Queue) {
    this.#log = log
    this.#queue = queue
  }

  get found() {
    return this.#log.found
  }

  write(change: LogWrite): Promise<void> {
    return this.#queue.write(() => this.#log.write(change))
  }

  read(from: number, to: number, maxBytes: number) {
    return this.#queue.read(() => this.#log.read(from, to, maxBytes))
  }

  close(): Promise<void> {
    this.#queue.giveUp()
    return this.#log.close()
  }
}

function faultySnapshots(snapshots: SnapshotStore, queue: Queue): SnapshotStore {
  return {
    open: (name): Promise<SnapshotReader> => snapshots.open(name),
    create: async (name): Promise<SnapshotWriter> => {
      const writer = await queue.write(() => snapshots.create(name))
      return {
        get bytes() {
          return writer.bytes
        },
        write: (chunk) => queue.write(() => writer.write(chunk)),
        commit: () => queue.write(() => writer.commit()),
        close: () => writer.close(),
      }
    },
    retain: (names) => queue.write(() => snapshots.retain(names)),
  }
}
