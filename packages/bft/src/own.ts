import type { Index, Settled, Term } from '@raftkit/contract'
import { type Digest, type Hash, isEqual } from './hash.ts'
import { encodeRequest, mostOperations, type Request, requestCheck } from './request.ts'
import type { Used } from './used.ts'

/** What waits for an operation to be executed: a proposal, or reads, which a barrier stands for. */
interface Waiting {
  readonly data: Uint8Array
  readonly id: number | undefined
  readonly reads: readonly number[]
}

/** Numbers of a session that may be open at once: whoever is further behind is too old to be told from a repetition. */
const openNumbers = 256
/** Requests on their way beyond which a smaller one waits for more to come: signatures are dear. */
const manyOpen = 2

const barrier = new Uint8Array(0)

/**
 * What this node itself proposes: it is a client of its own, under its own key. What came since the last turn is one request, under one
 * signature.
 */
export class Own {
  readonly #client: Uint8Array
  readonly #session: number
  readonly #digest: Digest
  readonly #genesis: Hash
  readonly #bytes: number
  #queue: Waiting[] = []
  #reads: number[] = []
  /** By number, rising. */
  #open: Map<number, Waiting> = new Map()
  /** Numbers of requests on their way: the first of each. */
  #requests: Map<number, number> = new Map()
  #next = 1
  #waitingBytes = 0

  /** `session`: never used before by this client. `bytes`: of operations in one request, at most. */
  constructor(client: Uint8Array, session: number, digest: Digest, genesis: Hash, bytes: number) {
    this.#client = client
    this.#session = session
    this.#digest = digest
    this.#genesis = genesis
    this.#bytes = bytes
  }

  fork(): Own {
    const copy = new Own(this.#client, this.#session, this.#digest, this.#genesis, this.#bytes)
    copy.#queue = [...this.#queue]
    copy.#reads = [...this.#reads]
    copy.#open = new Map(this.#open)
    copy.#requests = new Map(this.#requests)
    copy.#next = this.#next
    copy.#waitingBytes = this.#waitingBytes
    return copy
  }

  /** Bytes that wait for a place in a request. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  propose(id: number, data: Uint8Array): void {
    this.#queue.push({ data, id, reads: [] })
    this.#waitingBytes += data.length
  }

  /** Linearizable: answered once a barrier that was placed after the call is executed. */
  read(id: number): void {
    this.#reads.push(id)
  }

  /** The next requests to sign, and what is signed of each. */
  take(): { readonly request: Request; readonly bytes: Uint8Array }[] {
    if (this.#reads.length > 0) this.#queue.push({ data: barrier, id: undefined, reads: this.#reads })
    this.#reads = []
    const taken: { request: Request; bytes: Uint8Array }[] = []
    for (;;) {
      const waiting = this.#gather()
      if (waiting.length === 0) return taken
      const unsigned = {
        ...{ client: this.#client, session: this.#session, seq: this.#next },
        ...{ operations: waiting.map(({ data }) => data), signature: barrier },
      }
      this.#queue.splice(0, waiting.length)
      this.#requests.set(this.#next, waiting.length)
      for (const one of waiting) {
        this.#waitingBytes -= one.data.length
        this.#open.set(this.#next++, one)
      }
      taken.push({ request: unsigned, bytes: requestCheck(this.#digest, this.#genesis, unsigned).bytes })
    }
  }

  #gather(): Waiting[] {
    const [lowest = this.#next] = this.#open.keys()
    const room = Math.min(mostOperations, lowest + openNumbers - this.#next)
    const waiting: Waiting[] = []
    let bytes = 0
    for (const one of this.#queue) {
      bytes += 4 + one.data.length
      if (waiting.length === room || (bytes > this.#bytes && waiting.length > 0)) return waiting
      waiting.push(one)
    }
    return this.#requests.size < manyOpen ? waiting : []
  }

  /** A request was executed, its first operation at `index`. What this node waited for; undefined: it was not its own. */
  executed({ client, session, seq, operations }: Request, index: Index, term: Term): Settled[] | undefined {
    if (session !== this.#session || !isEqual(client, this.#client)) return undefined
    this.#requests.delete(seq)
    return operations.flatMap((_, at): Settled[] => {
      const waiting = this.#open.get(seq + at)
      this.#open.delete(seq + at)
      if (waiting === undefined) return []
      if (waiting.id !== undefined) return [{ type: 'committed', id: waiting.id, index: index + at, term }]
      return waiting.reads.map((id) => ({ type: 'read', id, index: index + at }))
    })
  }

  /** This node is no member any more, and nobody takes anything of it. */
  abandon(): Settled[] {
    const settled: Settled[] = []
    for (const { id, reads } of this.#queue)
      for (const one of id === undefined ? reads : [id])
        settled.push({ type: 'refused', id: one, code: 'NOT_A_MEMBER', reason: 'this node is no member any more' })
    for (const id of this.#reads)
      settled.push({ type: 'refused', id, code: 'NOT_A_MEMBER', reason: 'this node is no member any more' })
    for (const { id, reads } of this.#open.values())
      for (const one of id === undefined ? reads : [id])
        settled.push({ type: 'unknown', id: one, reason: 'this node was removed meanwhile' })
    this.#queue = []
    this.#reads = []
    this.#open = new Map()
    this.#requests = new Map()
    this.#waitingBytes = 0
    return settled
  }

  /** Entries were skipped: what was executed in them left no trace here. */
  skipped(used: Used): Settled[] {
    const settled: Settled[] = []
    for (const [number, { id, reads }] of this.#open) {
      const request = {
        client: this.#client,
        session: this.#session,
        seq: number,
        operations: [barrier],
        signature: barrier,
      }
      if (used.isFresh(request)) continue
      this.#open.delete(number)
      this.#requests.delete(number)
      if (id !== undefined)
        settled.push({
          type: 'unknown',
          id,
          reason: 'it was executed, but this node took a checkpoint over and never saw its result',
        })
      for (const read of reads)
        settled.push({ type: 'unknown', id: read, reason: 'this node took a checkpoint over; read again' })
    }
    return settled
  }
}

export const signedRequest = (request: Request, signature: Uint8Array): Uint8Array =>
  encodeRequest({ ...request, signature })
