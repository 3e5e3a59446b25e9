import type { Index, Settled, Term } from '@raftkit/contract'
import { isRaftkitError } from '@raftkit/contract'
import { type Digest, type Hash, textOf } from './hash.ts'
import { isBarrier } from './records.ts'
import { decodeRequest, type Request, requestCheck } from './request.ts'
import type { Check } from './statement.ts'
import type { Used } from './used.ts'

/** A signed request that a client outside handed to this node. */
export interface Submission {
  readonly id: number
  readonly bytes: Uint8Array
  readonly request: Request
}

interface Executed {
  readonly index: Index
  readonly term: Term
  readonly count: number
}

/** Requests whose place is remembered, for clients that ask again. */
const mostExecuted = 65_536

/** A signature stands for all that it covers: client, session, numbers and operations. */
const nameOf = ({ signature }: Request): string => textOf(signature)

/**
 * What clients outside hand in, until it is executed. Nothing is believed of a request, and nothing looked up for it, before its signature was
 * verified.
 */
export class Submissions {
  readonly #digest: Digest
  readonly #genesis: Hash
  #fresh: Submission[] = []
  #waiting: Map<string, { readonly request: Request; readonly ids: readonly number[] }> = new Map()
  #executed: Map<string, Executed> = new Map()

  constructor(digest: Digest, genesis: Hash) {
    this.#digest = digest
    this.#genesis = genesis
  }

  fork(): Submissions {
    const copy = new Submissions(this.#digest, this.#genesis)
    copy.#fresh = [...this.#fresh]
    copy.#waiting = new Map(this.#waiting)
    copy.#executed = new Map(this.#executed)
    return copy
  }

  /** Why it is refused without a look at its signature. */
  add(id: number, bytes: Uint8Array, most: number, admits?: (client: Uint8Array) => boolean): Settled | undefined {
    const refused = (code: string, reason: string): Settled => ({ type: 'refused', id, code, reason })
    if (bytes.length > most)
      return refused('TOO_LARGE', `a request of ${bytes.length} bytes; at most ${most} fit an entry: send several`)
    try {
      const request = decodeRequest(bytes)
      if (request.operations.some(isBarrier))
        return refused('REFUSED', 'an empty operation executes nothing; leave it out')
      if (admits?.(request.client) === false) return refused('REFUSED', 'nobody by that key may ask here')
      this.#fresh.push({ id, bytes, request })
      return undefined
    } catch (error) {
      if (!isRaftkitError(error)) throw error
      return refused('REFUSED', `this is no request: ${error.message}`)
    }
  }

  /** Those since the last turn, and what is to be verified of them. */
  take(): { readonly submissions: readonly Submission[]; readonly checks: readonly Check[] } | undefined {
    if (this.#fresh.length === 0) return undefined
    const submissions = this.#fresh
    this.#fresh = []
    return { submissions, checks: submissions.map(({ request }) => requestCheck(this.#digest, this.#genesis, request)) }
  }

  /** The signature holds. Undefined: it waits, to be placed if nobody has placed it yet. */
  verified({ id, request }: Submission, used: Used): Settled | undefined {
    const name = nameOf(request)
    const executed = this.#executed.get(name)
    if (executed) return { type: 'committed', id, ...executed }
    if (!used.isFresh(request)) return spent(id)
    this.#waiting.set(name, { request, ids: [...(this.#waiting.get(name)?.ids ?? []), id] })
    return undefined
  }

  executed(request: Request, index: Index, term: Term): Settled[] {
    const name = nameOf(request)
    const executed = { index, term, count: request.operations.length }
    this.#executed.set(name, executed)
    if (this.#executed.size > mostExecuted)
      for (const oldest of this.#executed.keys()) {
        this.#executed.delete(oldest)
        break
      }
    const waiting = this.#waiting.get(name)
    if (waiting === undefined) return []
    this.#waiting.delete(name)
    return waiting.ids.map((id) => ({ type: 'committed', id, ...executed }))
  }

  /** This node is no member any more, and hands nothing on. */
  abandon(): Settled[] {
    const ids = [...this.#fresh.map(({ id }) => id), ...[...this.#waiting.values()].flatMap((waiting) => waiting.ids)]
    this.#fresh = []
    this.#waiting = new Map()
    return ids.map((id) => ({ type: 'unknown', id, reason: 'this node was removed meanwhile; ask a member' }))
  }

  /** Those whose numbers went to others, or that were executed in entries which were skipped. */
  spent(used: Used): Settled[] {
    const settled: Settled[] = []
    for (const [name, { request, ids }] of this.#waiting) {
      if (used.isFresh(request)) continue
      this.#waiting.delete(name)
      settled.push(...ids.map(spent))
    }
    return settled
  }
}

const spent = (id: number): Settled => ({
  type: 'unknown',
  id,
  reason: 'its numbers were used, by itself or by another request, and what came of that is not kept any more',
})
