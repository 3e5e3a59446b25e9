import type { Index, ProtocolEvent } from '@raftkit/contract'
import type { Accepted, CallKind, Ending } from './pending.ts'
import type { Proposing } from './proposal.ts'

/** What became of a request that a client outside signed. */
export interface Submitted {
  /** Where its first operation stands; the others follow. */
  readonly index: Index
  /** Of each operation, what the machine made of it. */
  readonly results: readonly Uint8Array[]
}

/** A signed request, to be executed once, however often it comes. */
export class Submission implements CallKind<Submitted> {
  readonly effect = true
  readonly #request: Uint8Array
  readonly #by: Proposing

  constructor(request: Uint8Array, by: Proposing) {
    this.#request = request
    this.#by = by
  }

  get bytes(): number {
    return this.#request.length
  }

  event(id: number, time: number): ProtocolEvent {
    return { type: 'submit', id, request: this.#request, time }
  }

  accept(settled: Accepted, ending: Ending<Submitted>, now: number): void {
    if (settled.type !== 'committed') return
    const { applier, meter } = this.#by
    meter.committed(now - ending.began)
    const { index: first, count = 1 } = settled
    const results: Uint8Array[] = []
    for (let index = first; index < first + count; index++)
      applier.expect(index, {
        began: ending.began,
        index,
        done: ({ result }) => {
          results.push(result)
          if (results.length === count) ending.done({ index: first, results })
        },
        fail: (error) => ending.fail(error),
      })
  }

  ended(error?: unknown): void {
    this.#by.meter.ended(error)
  }
}
