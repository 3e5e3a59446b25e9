import {
  type Answer,
  type Ask,
  isRaftkitError,
  type RaftkitError,
  type SnapshotReader,
  type SnapshotStore,
  type SnapshotWriter,
} from '@raftkit/contract'
import { failure } from './failure.ts'

type BlobAsk = Extract<Ask, { readonly type: 'readSnapshot' | 'createSnapshot' | 'writeSnapshot' | 'commitSnapshot' }>

/** What a fetched blob is: still being written, or found complete (a crash fell between its commit and its adoption). */
type Fetched = { readonly writer: SnapshotWriter } | { readonly bytes: number }

/**
 * The protocol's I/O on snapshot blobs: pieces of complete ones for peers, and the one that is being fetched from a peer.
 * Steps on one blob are done in order.
 */
export class Blobs {
  readonly #store: SnapshotStore
  /** Blobs that the runtime writes itself and the protocol has not been told of. */
  readonly #own: () => readonly string[]
  readonly #check: (name: string) => Promise<void>
  readonly #readers = new Map<string, Promise<SnapshotReader>>()
  readonly #fetched = new Map<string, Fetched>()
  #tail: Promise<unknown> = Promise.resolve()
  #closed = false

  /** `check`: rejects `DAMAGED` for a blob that is not what some member wrote. */
  constructor(
    store: SnapshotStore,
    own: () => readonly string[],
    check: (name: string) => Promise<void> = async () => undefined,
  ) {
    this.#store = store
    this.#own = own
    this.#check = check
  }

  /** Resolves with the answer; rejects what the protocol cannot handle. */
  carryOut(ask: BlobAsk): Promise<Answer> {
    if (ask.type === 'readSnapshot') return answered(this.#read(ask.name, ask.offset, ask.maxBytes))
    // One after the other: the fetched blob has one writer.
    const answer = this.#tail.then(() => answered(this.#write(ask).catch((error) => this.#noRoom(ask.name, error))))
    this.#tail = answer.catch(() => undefined)
    return answer
  }

  /** All blobs but these may go, and but the runtime's own. */
  async retain(names: readonly string[]): Promise<void> {
    const kept = [...names, ...this.#own()]
    for (const [name, reader] of this.#readers) {
      if (kept.includes(name)) continue
      this.#readers.delete(name)
      void reader.then((open) => open.close()).catch(() => undefined)
    }
    const dropped: Fetched[] = []
    for (const [name, fetched] of this.#fetched) {
      if (kept.includes(name)) continue
      this.#fetched.delete(name)
      dropped.push(fetched)
    }
    // At once: it is about the blobs that are there now. But who begins one of the dropped names anew must find its writer closed.
    const removed = this.#store.retain(kept)
    const gone = removed.then(async () => {
      for (const fetched of dropped) if ('writer' in fetched) await fetched.writer.close()
    })
    this.#tail = Promise.allSettled([this.#tail, gone])
    await gone
  }

  /** Lets go of everything. Does not wait: on a full disk a write may hang until the storage itself is closed, which comes next. */
  close(): void {
    this.#closed = true
    for (const fetched of this.#fetched.values()) if ('writer' in fetched) fetched.writer.close().catch(() => undefined)
    this.#fetched.clear()
    for (const reader of this.#readers.values()) reader.then((open) => open.close()).catch(() => undefined)
    this.#readers.clear()
  }

  async #read(name: string, offset: number, maxBytes: number): Promise<Answer> {
    // The reader stays open, since the next piece is asked for soon; retain closes it.
    let reader = this.#readers.get(name)
    if (!reader) {
      reader = this.#store.open(name)
      this.#readers.set(name, reader)
    }
    try {
      const open = await reader
      if (this.#closed) void open.close().catch(() => undefined)
      return { type: 'readSnapshot', bytes: await open.read(offset, maxBytes) }
    } catch (error) {
      if (this.#readers.get(name) === reader) this.#readers.delete(name)
      void reader.then((open) => open.close()).catch(() => undefined)
      throw error
    }
  }

  async #write(ask: Exclude<BlobAsk, { readonly type: 'readSnapshot' }>): Promise<Answer> {
    const fetched = ask.type === 'createSnapshot' ? await this.#create(ask.name) : this.#fetched.get(ask.name)
    if (!fetched) return { type: 'failed', code: 'MISSING' }
    switch (ask.type) {
      case 'createSnapshot':
        return { type: 'createSnapshot', held: held(fetched) }
      case 'writeSnapshot':
        if ('writer' in fetched) await fetched.writer.write(ask.bytes)
        return { type: 'writeSnapshot', held: held(fetched) }
      case 'commitSnapshot':
        if ('writer' in fetched) await fetched.writer.commit()
        this.#fetched.delete(ask.name)
        // Whoever sent it may have read rot from its disk: it must not come into force here.
        try {
          await this.#check(ask.name)
        } catch (error) {
          if (isRaftkitError(error, 'UNKNOWN_FORMAT')) return { type: 'failed', code: 'DAMAGED' }
          throw error
        }
        return { type: 'commitSnapshot' }
    }
  }

  /** A full disk is no failure: this attempt is given up, what was written of the blob stays, and the protocol fetches again when it is offered. */
  async #noRoom(name: string, error: unknown): Promise<Answer> {
    if (!isRaftkitError(error, 'STORAGE_FAILED') || !error.retryable) throw error
    const fetched = this.#fetched.get(name)
    this.#fetched.delete(name)
    if (fetched && 'writer' in fetched) await fetched.writer.close().catch(() => undefined)
    return { type: 'failed', code: 'MISSING' }
  }

  async #create(name: string): Promise<Fetched> {
    const known = this.#fetched.get(name)
    if (known) return known
    let fetched: Fetched
    try {
      fetched = { writer: await this.#store.create(name) }
    } catch (error) {
      if (!isRaftkitError(error, 'REFUSED')) throw error
      const complete = await this.#store.open(name)
      fetched = { bytes: complete.bytes }
      await complete.close()
    }
    this.#fetched.set(name, fetched)
    return fetched
  }
}

const held = (fetched: Fetched): number => ('writer' in fetched ? fetched.writer.bytes : fetched.bytes)

/** Failures that are the protocol's to handle become an answer; the others stop the replica. */
export async function answered(work: Promise<Answer>): Promise<Answer> {
  try {
    return await work
  } catch (error) {
    const { code } = storageFailure(error)
    if (code === 'COMPACTED' || code === 'MISSING' || code === 'DAMAGED') return { type: 'failed', code }
    throw storageFailure(error)
  }
}

export const storageFailure = (cause: unknown): RaftkitError =>
  failure(
    cause,
    'STORAGE_FAILED',
    'the storage failed; this replica stops, since what is durable is not known any more',
  )
