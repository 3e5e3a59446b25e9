import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GroupId, LogStore, SnapshotStore, Storage } from '@raftkit/contract'
import type { Suite } from '../runner.ts'
import { settles } from '../runner.ts'
import type { StorageSubject } from './subject.ts'

const closesWithinMs = 10_000

/** One directory, and the storage that is open on it. */
export class Place {
  readonly directory: string
  readonly subject: StorageSubject
  #storage: Promise<Storage> | undefined
  #logs: LogStore[] = []

  constructor(subject: StorageSubject, directory: string) {
    this.subject = subject
    this.directory = directory
  }

  storage(): Promise<Storage> {
    if (!this.#storage) {
      const opening = Promise.resolve().then(() => this.subject.open(this.directory))
      this.#storage = opening
      // An adapter may find another owner here already; that one may be gone at the next call.
      opening.catch(() => {
        if (this.#storage === opening) this.#storage = undefined
      })
    }
    return this.#storage
  }

  async log(group: GroupId = 'main'): Promise<LogStore> {
    const log = await (await this.storage()).log(group)
    this.#logs.push(log)
    return log
  }

  async snapshots(group: GroupId = 'main'): Promise<SnapshotStore> {
    return (await this.storage()).snapshots(group)
  }

  /** As after a clean end and a new start; where nothing outlives an end, every log gets a new owner. */
  async again(): Promise<void> {
    const logs = this.#logs
    this.#logs = []
    if (this.subject.durable !== false) return this.close()
    for (const log of logs) await settles(log.close(), 'close() of a log', closesWithinMs)
  }

  async close(): Promise<void> {
    const storage = this.#storage
    this.#storage = undefined
    await settles(Promise.resolve((await storage)?.close()), 'close() of the storage', closesWithinMs)
  }
}

/** Defines a test in a directory of its own, closed and removed afterwards. */
export type Promises = (name: string, body: (place: Place) => Promise<void>) => void

export function promisesIn(suite: Suite, subject: StorageSubject, parent?: string): Promises {
  return (name, body) => suite.test(name, () => inPlace(subject, body, parent))
}

export async function inPlace(
  subject: StorageSubject,
  body: (place: Place) => Promise<void>,
  parent: string = tmpdir(),
): Promise<void> {
  const directory = await mkdtemp(join(parent, 'raftkit-compliance-'))
  const place = new Place(subject, directory)
  try {
    await body(place)
    await place.close()
  } catch (error) {
    // What a broken adapter rejects on the way out must not hide why the test failed.
    await place.close().catch(() => undefined)
    throw error
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The log's range and state in a form that a failure shows well. */
export function foundIs(log: LogStore, first: number, last: number, state?: string): void {
  const { found } = log
  assert.deepEqual(
    { first: found.first, last: found.last, state: found.state && Buffer.from(found.state).toString('latin1') },
    { first, last, state },
  )
}
