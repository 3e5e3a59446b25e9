import type { Index, Settled, Term } from '@raftkit/contract'
import { textOf } from './hash.ts'
import type { Request } from './request.ts'
import type { Used } from './used.ts'

/** Somebody who waits for an operation of a request, or for all of them. */
export interface Call {
  readonly id: number
  /** What it is told when the request was executed, its first operation at `index`. */
  readonly done: (index: Index, term: Term) => Settled
}

/** A request, and who waits for it here. */
export interface Asked {
  readonly request: Request
  readonly calls: readonly Call[]
}

/** Requests whose place is remembered, for clients that ask again. */
const mostExecuted = 65_536

/** A signature stands for all that it covers: client, session, numbers and operations. */
const nameOf = ({ signature }: Request): string => textOf(signature)

/** Requests with good signatures that this node placed, or found placed, until they are executed. */
export class Waiting {
  #asked: Map<string, Asked> = new Map()
  #executed: Map<string, { readonly index: Index; readonly term: Term }> = new Map()
  /** Goes on where it stopped: a new one would first pass over all that was deleted. */
  #oldest = this.#executed.keys()

  fork(): Waiting {
    const copy = new Waiting()
    copy.#asked = new Map(this.#asked)
    copy.#executed = new Map(this.#executed)
    copy.#oldest = copy.#executed.keys()
    return copy
  }

  /** Where it stands already. Undefined: it waits, to be placed if nobody has placed it yet. */
  add({ request, calls }: Asked): Settled[] | undefined {
    const name = nameOf(request)
    const executed = this.#executed.get(name)
    if (executed) return calls.map(({ done }) => done(executed.index, executed.term))
    this.#asked.set(name, { request, calls: [...(this.#asked.get(name)?.calls ?? []), ...calls] })
    return undefined
  }

  executed(request: Request, index: Index, term: Term): Settled[] {
    const name = nameOf(request)
    const calls = this.#asked.get(name)?.calls ?? []
    this.#asked.delete(name)
    this.#executed.set(name, { index, term })
    if (this.#executed.size > mostExecuted) this.#executed.delete(this.#oldest.next().value!)
    return calls.map(({ done }) => done(index, term))
  }

  /** Those whose numbers went to others, or that were executed in entries which were skipped. */
  spent(used: Used): Settled[] {
    const settled: Settled[] = []
    for (const [name, { request, calls }] of this.#asked) {
      if (used.isFresh(request)) continue
      this.#asked.delete(name)
      settled.push(...calls.map(spent))
    }
    return settled
  }

  /** Nobody will tell any more. */
  abandon(reason: string): Settled[] {
    const calls = [...this.#asked.values()].flatMap((asked) => asked.calls)
    this.#asked.clear()
    return calls.map(({ id }) => ({ type: 'unknown', id, reason }))
  }
}

const spent = ({ id }: Call): Settled => ({
  type: 'unknown',
  id,
  reason: 'its numbers were used, by itself or by another request, and what came of that is not kept any more',
})
