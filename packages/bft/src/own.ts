import { isBarrier } from './records.ts'
import { mostOperations, type Request } from './request.ts'
import type { Used } from './used.ts'
import type { Asked, Call } from './waiting.ts'

/** An operation that waits for a place in a request: a proposal, or a barrier, which stands for reads. */
interface Queued {
  readonly data: Uint8Array
  readonly ids: readonly number[]
}

/** Numbers of a session that may be open at once: whoever is further behind is too old to be told from a repetition. */
const openNumbers = 256
/** Requests on their way beyond which a smaller one waits for more to come: signatures are dear. */
const manyOpen = 2

const nothing = new Uint8Array(0)

/**
 * What this node itself proposes: it is a client of its own, under its own key. What came since the last turn is one request, under one
 * signature.
 */
export class Own {
  readonly #client: Uint8Array
  readonly #session: number
  readonly #bytes: number
  #queue: Queued[] = []
  #reads: number[] = []
  /** First numbers of the requests that are on their way, rising. */
  #open: readonly number[] = []
  #next = 1
  #waitingBytes = 0

  /** `session`: never used before by this client. `bytes`: of operations in one request, at most. */
  constructor(client: Uint8Array, session: number, bytes: number) {
    this.#client = client
    this.#session = session
    this.#bytes = bytes
  }

  fork(): Own {
    const copy = new Own(this.#client, this.#session, this.#bytes)
    copy.#queue = [...this.#queue]
    copy.#reads = [...this.#reads]
    copy.#open = this.#open
    copy.#next = this.#next
    copy.#waitingBytes = this.#waitingBytes
    return copy
  }

  /** Bytes that wait for a place in a request. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  propose(id: number, data: Uint8Array): void {
    this.#queue.push({ data, ids: [id] })
    this.#waitingBytes += data.length
  }

  /** Linearizable: answered once a barrier that was placed after the call is executed. */
  read(id: number): void {
    this.#reads.push(id)
  }

  /** The next requests, unsigned. `used`: by what was executed. */
  take(used: Used): Asked[] {
    if (this.#reads.length > 0) this.#queue.push({ data: nothing, ids: this.#reads })
    this.#reads = []
    const taken: Asked[] = []
    if (this.#queue.length > 0) this.#open = this.#open.filter((seq) => used.isFresh(this.#request(seq, [nothing])))
    for (let next = this.#gather(); next.length > 0; next = this.#gather()) {
      const operations = next.map(({ data }) => data)
      taken.push({
        request: this.#request(this.#next, operations),
        calls: next.flatMap(({ data, ids }, at) =>
          ids.map((id) => (isBarrier(data) ? read(id, at) : proposal(id, at))),
        ),
      })
      this.#queue.splice(0, next.length)
      for (const { length } of operations) this.#waitingBytes -= length
      this.#open = [...this.#open, this.#next]
      this.#next += next.length
    }
    return taken
  }

  #gather(): Queued[] {
    const [lowest = this.#next] = this.#open
    const room = Math.min(mostOperations, lowest + openNumbers - this.#next)
    const next: Queued[] = []
    let bytes = 0
    for (const one of this.#queue) {
      bytes += 4 + one.data.length
      if (next.length === room || (bytes > this.#bytes && next.length > 0)) return next
      next.push(one)
    }
    return this.#open.length < manyOpen ? next : []
  }

  #request(seq: number, operations: readonly Uint8Array[]): Request {
    return { client: this.#client, session: this.#session, seq, operations, signature: nothing }
  }

  /** Nothing is taken any more. Whose calls waited for it. */
  abandon(): readonly number[] {
    const ids = [...this.#queue.flatMap((queued) => queued.ids), ...this.#reads]
    this.#queue = []
    this.#reads = []
    this.#waitingBytes = 0
    return ids
  }
}

const read = (id: number, at: number): Call => ({ id, done: (index) => ({ type: 'read', id, index: index + at }) })

const proposal = (id: number, at: number): Call => ({
  id,
  done: (index, term) => ({ type: 'committed', id, index: index + at, term }),
})
