import { setTimeout as pause } from 'node:timers/promises'
import { type Committed, decodeCommitted, encodeCommitted, positionsOf, receiptIn } from '@raftkit/bft'
import { sha256 } from '@raftkit/ed25519'
import { ClassicLevel } from 'classic-level'

type Store = ClassicLevel<string, Uint8Array>

/** Bytes that may wait for the disk. What comes beyond that is not kept: the member must go on. */
const mostWaiting = 64 * 1024 * 1024
/** Milliseconds between two flushes: shorter than it takes until what was written since is behind a checkpoint, from which a restart brings it again. */
const flushEvery = 1_000
const retryAfter = 1_000

/**
 * What receipts are made of, for all that this member executed, for ever: members themselves forget it behind a checkpoint. By first position, the entries
 * that were committed together and their certificate, once for all requests in them. Whatever goes wrong here is told, and stops nobody.
 */
export class Archive {
  readonly #store: Store | undefined
  readonly #say: (line: string) => void
  /** The last position that is kept, or given up. */
  #last: number
  #waiting: Committed[] = []
  #waitingBytes = 0
  #flushed = 0
  #writing: Promise<void> | undefined
  #isTold = false
  #isClosed = false

  private constructor(store: Store | undefined, last: number, say: (line: string) => void) {
    this.#store = store
    this.#last = last
    this.#say = say
  }

  /** Never rejects: without a store it keeps nothing, and says so. */
  static async open(directory: string, say: (line: string) => void): Promise<Archive> {
    const store: Store = new ClassicLevel(directory, { keyEncoding: 'utf8', valueEncoding: 'view' })
    try {
      await store.open()
      const [newest] = await store.values({ reverse: true, limit: 1 }).all()
      return new Archive(store, newest === undefined ? 0 : positionsOf(decodeCommitted(newest)).to, say)
    } catch (error) {
      await store.close().catch(() => {})
      say(`RECEIPTS ARE NOT KEPT: ${directory} cannot be read (${(error as Error).message}); move it away, and restart`)
      return new Archive(undefined, 0, say)
    }
  }

  /** In the middle of the member's turn: it is written later. */
  keep({ certificate, entries }: Committed): void {
    if (this.#store === undefined || this.#isClosed) return
    // After a restart some come again.
    const fresh = entries.filter((entry) => positionsOf({ certificate, entries: [entry] }).to > this.#last)
    if (fresh.length === 0) return
    const committed = { certificate, entries: fresh }
    this.#last = positionsOf(committed).to
    if (fresh.every(({ header }) => header.kind !== 'data')) return
    const bytes = bytesOf(committed)
    if (this.#waitingBytes + bytes > mostWaiting) return this.#tell('the disk does not keep up')
    this.#waiting.push(committed)
    this.#waitingBytes += bytes
    this.#writing ??= this.#write(this.#store)
  }

  /** Undefined: no request stands there, or this member does not hold it. */
  async receipt(position: number): Promise<Uint8Array | undefined> {
    const waiting = this.#waiting.find((one) => positionsOf(one).to >= position)
    if (waiting !== undefined && positionsOf(waiting).from <= position) return receiptIn(sha256, waiting, position)
    if (this.#store?.status !== 'open') return undefined
    try {
      const [kept] = await this.#store.values({ lte: keyOf(position), reverse: true, limit: 1 }).all()
      return kept && receiptIn(sha256, decodeCommitted(kept), position)
    } catch (error) {
      this.#say(`the receipt for ${position} cannot be read: ${(error as Error).message}`)
      return undefined
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#writing
    await this.#store?.close().catch((error: Error) => this.#tell(error.message))
  }

  async #write(store: Store): Promise<void> {
    // Not in the turn in which it came.
    await pause(0)
    while (this.#waiting.length > 0) {
      const taken = [...this.#waiting]
      const sync = this.#isClosed || performance.now() - this.#flushed > flushEvery
      try {
        await store.batch(
          taken.map((one) => ({ type: 'put', key: keyOf(positionsOf(one).from), value: encodeCommitted(one) })),
          { sync },
        )
        if (sync) this.#flushed = performance.now()
        this.#waiting.splice(0, taken.length)
        this.#waitingBytes -= taken.reduce((sum, one) => sum + bytesOf(one), 0)
        if (this.#isTold && !this.#isClosed) this.#say('receipts are kept again')
        this.#isTold = false
      } catch (error) {
        this.#tell((error as Error).message)
        if (this.#isClosed) break
        await pause(retryAfter)
      }
    }
    this.#writing = undefined
  }

  /** Once, until it goes again. */
  #tell(why: string): void {
    if (!this.#isTold)
      this.#say(`RECEIPTS MAY BE MISSING HERE from position ${this.#last} on: ${why}; other members hold them`)
    this.#isTold = true
  }
}

/** In the order of the positions. */
const keyOf = (position: number): string => String(position).padStart(16, '0')

const bytesOf = ({ entries }: Committed): number =>
  entries.reduce((sum, { items }) => sum + items.reduce((all, { length }) => all + length, 200), 1_000)
