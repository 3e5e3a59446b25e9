import type { ProtocolEvent } from '@raftkit/contract'
import type { Applied, Applier } from './applier.ts'
import type { Accepted, CallKind, Ending } from './pending.ts'

/** What proposals share that are made through one replica. */
export interface Proposing {
  readonly applier: Applier
  readonly seeds: () => number
  /** Told how long one took to be committed, in milliseconds, and how each ended. */
  readonly meter: { committed(milliseconds: number): void; ended(error?: unknown): void }
}

/** Data that is to be placed in the log once; it ends with what the machine makes of it. */
export class Proposal implements CallKind<Applied> {
  readonly effect = true
  readonly #data: Uint8Array
  readonly #by: Proposing

  constructor(data: Uint8Array, by: Proposing) {
    this.#data = data
    this.#by = by
  }

  get bytes(): number {
    return this.#data.length
  }

  event(id: number, time: number): ProtocolEvent {
    return { type: 'propose', id, data: this.#data, time, seed: this.#by.seeds() }
  }

  accept(settled: Accepted, ending: Ending<Applied>, now: number): void {
    if (settled.type !== 'committed') return
    const { applier, meter } = this.#by
    meter.committed(now - ending.began)
    applier.expect(settled.index, ending)
  }

  ended(error?: unknown): void {
    this.#by.meter.ended(error)
  }
}
