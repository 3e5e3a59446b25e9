import {
  type Environment,
  type Index,
  isRaftkitError,
  RaftkitError,
  type SnapshotPoint,
  type SnapshotStore,
  type SnapshotWriter,
  type StateMachine,
  type Term,
} from '@raftkit/contract'
import { storageFailure } from './blobs.ts'
import type { RuntimeEvent } from './events.ts'
import { sealed, snapshotName } from './snapshot-file.ts'

/** When a node takes snapshots by itself: after so much was applied since the last one. */
export interface SnapshotPolicy {
  readonly everyEntries: number
  readonly everyBytes: number
  /** Not before the entries since a large one are so many times its size: else a large state is written down over and over (thesis §5.1.2). */
  readonly expansion: number
}

/** A snapshot up to this size costs too little to be put off. */
const small = 1024 * 1024

export interface SnapshotsHost {
  /** Where the machine stands; runs `freeze` between two batches. */
  between(
    freeze: (at: { readonly index: Index; readonly term: Term }) => void,
    fail: (error: RaftkitError) => void,
  ): void
  /** Runs `freeze` when the machine holds exactly what comes up to `index`. */
  at(
    index: Index,
    freeze: (at: { readonly index: Index; readonly term: Term }) => void,
    fail: (error: RaftkitError) => void,
  ): void
  /** The blob is committed: the protocol must hear of it. */
  taken(snapshot: SnapshotPoint): void
  failed(error: RaftkitError): void
  tell(event: RuntimeEvent): void
}

interface Waiter {
  readonly atLeast: Index
  resolve(snapshot: SnapshotPoint): void
  reject(error: RaftkitError): void
}

/**
 * Takes snapshots of the own machine, one at a time, without holding up what is applied meanwhile.
 * A machine that cannot be written down is reported and tried again later; a storage that fails stops the replica.
 */
export class Snapshots {
  readonly #machine: StateMachine
  readonly #store: SnapshotStore
  readonly #environment: Environment
  readonly #policy: SnapshotPolicy
  readonly #identity: string
  readonly #host: SnapshotsHost
  #waiters: Waiter[] = []
  #count = 0
  #entries = 0
  #bytes = 0
  /** Of the snapshot in force. */
  #size = 0
  /** After a failure: only once so much more was applied. */
  #patience = 0
  #writing: string | undefined
  /** Committed, but the protocol was not stepped with it yet; or being written for the protocol. */
  readonly #untold = new Set<string>()
  #closed: RaftkitError | undefined

  /** `identity` makes names unique among all that ever write to this store: incarnation and boot. */
  constructor(
    machine: StateMachine,
    store: SnapshotStore,
    environment: Environment,
    policy: SnapshotPolicy,
    identity: string,
    host: SnapshotsHost,
  ) {
    this.#machine = machine
    this.#store = store
    this.#environment = environment
    this.#policy = policy
    this.#identity = identity
    this.#host = host
  }

  /** Blobs that nobody but this object knows of. */
  names(): readonly string[] {
    return this.#writing ? [...this.#untold, this.#writing] : [...this.#untold]
  }

  /** So much was applied. */
  applied(entries: number, bytes: number): void {
    this.#entries += entries
    this.#bytes += bytes
    const { everyEntries, everyBytes, expansion } = this.#policy
    if (this.#entries < this.#patience) return
    if (this.#size > small && this.#bytes < expansion * this.#size) return
    if (this.#entries >= everyEntries || this.#bytes >= everyBytes) this.#begin()
  }

  /** One that holds at least what is applied by now. */
  take(index: Index): Promise<SnapshotPoint> {
    if (this.#closed) return Promise.reject(this.#closed)
    return new Promise((resolve, reject) => {
      this.#waiters.push({ atLeast: index, resolve, reject })
      this.#begin()
    })
  }

  /** The machine as it is at exactly `index`, for the protocol; undefined: it could not be written down, or there is no room. */
  takeAt(index: Index): Promise<SnapshotPoint | undefined> {
    return new Promise((resolve, reject) => {
      const freeze = ({ term }: { readonly term: Term }): void => {
        const name = snapshotName(index, term, `${this.#identity}-${++this.#count}`)
        this.#host.tell({ type: 'snapshotting', step: 'begun', index })
        let chunks: AsyncIterable<Uint8Array>
        try {
          chunks = this.#machine.snapshot()
        } catch (error) {
          this.#gaveUp(index, error)
          return resolve(undefined)
        }
        this.#untold.add(name)
        this.#save(name, index, term, chunks).then(resolve, (error) => {
          this.#untold.delete(name)
          if (error instanceof StorageFailed && !error.failure.retryable) return reject(error.failure)
          this.#gaveUp(index, error instanceof StorageFailed ? error.failure : error)
          resolve(undefined)
        })
      }
      this.#host.at(index, freeze, () => resolve(undefined))
    })
  }

  /** The protocol was stepped with this one: whether its blob stays is now the protocol's to say. */
  told(name: string): void {
    this.#untold.delete(name)
  }

  /** The machine was replaced: what was applied before does not count any more. */
  restored(): void {
    this.#entries = 0
    this.#bytes = 0
    this.#patience = 0
  }

  /** A snapshot is in force, of whatever origin. */
  inForce(snapshot: SnapshotPoint): void {
    this.#size = snapshot.bytes
    const waiting = this.#waiters
    this.#waiters = []
    for (const waiter of waiting) {
      if (waiter.atLeast <= snapshot.index) waiter.resolve(snapshot)
      else this.#waiters.push(waiter)
    }
  }

  /** Gives up what is being written; does not wait for it, since on a full disk it ends only when the storage is closed. */
  close(reason: RaftkitError): void {
    this.#closed ??= reason
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason)
  }

  #begin(): void {
    if (this.#writing || this.#closed) return
    this.#entries = 0
    this.#bytes = 0
    this.#patience = 0
    this.#host.between(
      (at) => {
        if (!this.#writing && !this.#closed) this.#freeze(at.index, at.term)
      },
      () => undefined,
    )
  }

  #freeze(index: Index, term: Term): void {
    const name = snapshotName(index, term, `${this.#identity}-${++this.#count}`)
    this.#host.tell({ type: 'snapshotting', step: 'begun', index })
    let chunks: AsyncIterable<Uint8Array>
    try {
      chunks = this.#machine.snapshot()
    } catch (error) {
      this.#gaveUp(index, error)
      return
    }
    this.#writing = name
    void this.#write(name, index, term, chunks).then(() => {
      this.#writing = undefined
      // Somebody asked while this one was being written, and wants what was applied since.
      if (this.#waiters.some(({ atLeast }) => atLeast > index)) this.#begin()
    })
  }

  async #write(name: string, index: Index, term: Term, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      const snapshot = await this.#save(name, index, term, chunks)
      if (snapshot === undefined) return
      this.#untold.add(name)
      this.#host.taken(snapshot)
    } catch (error) {
      // A full disk is no failure: the log goes on, and a later snapshot may find room.
      if (error instanceof StorageFailed && !error.failure.retryable) this.#host.failed(error.failure)
      else this.#gaveUp(index, error instanceof StorageFailed ? error.failure : error)
    }
  }

  /** Undefined: closed meanwhile. */
  async #save(
    name: string,
    index: Index,
    term: Term,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<SnapshotPoint | undefined> {
    const began = this.#environment.now()
    let writer: SnapshotWriter | undefined
    try {
      writer = await stored(this.#store.create(name))
      for await (const chunk of sealed(index, term, chunks)) {
        if (this.#closed) return undefined
        await stored(writer.write(chunk))
      }
      if (this.#closed) return undefined
      const { bytes } = writer
      await stored(writer.commit())
      const snapshot = { name, index, term, bytes }
      this.#host.tell({ type: 'saved', snapshot, milliseconds: this.#environment.now() - began })
      return snapshot
    } finally {
      await writer?.close().catch(() => undefined)
    }
  }

  #gaveUp(index: Index, cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#patience = Math.ceil(this.#policy.everyEntries / 10)
    this.#host.tell({ type: 'snapshotting', step: 'failed', index, reason })
    const error = isRaftkitError(cause)
      ? cause
      : new RaftkitError('INVALID_VALUE', `the state machine could not be written down: ${reason}`, { cause })
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }
}

/** Tells a failure of the store from one of the machine, which share a loop. */
class StorageFailed extends Error {
  readonly failure: RaftkitError
  constructor(cause: unknown) {
    super('storage failed', { cause })
    this.failure = storageFailure(cause)
  }
}

async function stored<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new StorageFailed(error)
  }
}
