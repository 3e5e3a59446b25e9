import type { Effects, Index, ProtocolEvent, Term } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { Invariant } from './invariant.ts'
import type { View } from './view.ts'

export class ReadIndexIsFresh extends Invariant {
  readonly name = 'reads see what was committed before'
  readonly says =
    'A linearizable or lease read is answered from an index at or beyond everything that was committed when it began.'
  readonly source = 'thesis §6.4; hazards Q1, Q2, Q3, Q12'
  readonly #began = new Map<View, Map<number, Index>>()

  booted(view: View): void {
    this.#began.set(view, new Map())
  }

  stepping(view: View, event: ProtocolEvent<Message>): void {
    if (event.type === 'read') this.#began.get(view)?.set(event.id, this.cluster.frontier)
  }

  took(view: View, { settled }: Effects<Message>): void {
    if (settled.length === 0) return
    const began = this.#began.get(view)
    for (const outcome of settled) {
      const least = began?.get(outcome.id)
      if (least === undefined) continue
      began!.delete(outcome.id)
      // An answer by a lease is given only if the clock is below `until` afterwards.
      const given = outcome.type === 'read' && (outcome.until === undefined || view.now < outcome.until)
      if (given && outcome.index < least)
        this.broken(
          `${view.key} answers read ${outcome.id} from ${outcome.index}; ${least} was committed before it began`,
        )
    }
  }
}

export class LeaseIsSafe extends Invariant {
  readonly name = 'leases are safe'
  readonly says =
    'While a leader may answer new reads by its lease, by its own clock, no leader of a later term commits anything.'
  readonly source = 'thesis §6.4.1; design rule 8; hazards Q5, Q6, Q7'
  readonly #leases = new Map<View, { readonly until: number; readonly term: Term }>()

  booted(view: View): void {
    this.#leases.delete(view)
  }

  turned(view: View): void {
    if (view.role !== 'leader') this.#leases.delete(view)
  }

  took(view: View, { settled, messages }: Effects<Message>): void {
    if (view.role !== 'leader') return
    for (const outcome of settled) {
      if (outcome.type === 'read' && outcome.until !== undefined)
        this.#leases.set(view, { until: outcome.until, term: view.term })
    }
    // Who hands leadership over answers nothing by a lease any more: its heir does not wait for it (thesis §6.4.1).
    if (this.#leases.has(view) && messages.some(({ message }) => message.type === 'timeoutNow'))
      this.#leases.delete(view)
  }

  decides(view: View, to: Index, term: Term): void {
    for (const [holder, lease] of this.#leases) {
      if (holder === view || lease.term >= term || !holder.up || holder.now >= lease.until) continue
      this.broken(
        `${view.key} commits ${to} in term ${term}, while ${holder.key} may answer by its lease of term ${lease.term} for another ${lease.until - holder.now} ms`,
      )
    }
  }
}

/** What a caller is told of a proposal, against where its entry stands. */
export class OutcomesAreTrue extends Invariant {
  readonly name = 'outcomes are true'
  readonly says =
    'A proposal that is told as committed stands, with its own bytes, at the index and in the term that are told; every call is settled once at most.'
  readonly source = 'design rule 9; hazards Q10, Q11'
  readonly #asked = new Map<View, Map<number, Uint8Array | undefined>>()

  booted(view: View): void {
    this.#asked.set(view, new Map())
  }

  stepping(view: View, event: ProtocolEvent<Message>): void {
    if (event.type === 'propose') this.#asked.get(view)?.set(event.id, event.data)
    else if (event.type === 'change' || event.type === 'read' || event.type === 'transfer')
      this.#asked.get(view)?.set(event.id, undefined)
  }

  took(view: View, { settled }: Effects<Message>): void {
    for (const outcome of settled) {
      const asked = this.#asked.get(view)
      if (asked === undefined || !asked.has(outcome.id))
        this.broken(
          `${view.key} settles call ${outcome.id} as ${outcome.type}, which is settled already or was never made`,
        )
      const data = asked.get(outcome.id)
      asked.delete(outcome.id)
      if (outcome.type !== 'committed') continue
      const entry = this.cluster.committed[outcome.index]
      if (entry === undefined)
        this.broken(
          `${view.key} tells call ${outcome.id} committed at ${outcome.index}; leaders have committed up to ${this.cluster.frontier}`,
        )
      if (entry.term !== outcome.term || (data !== undefined && !sameBytes(entry.payload, data)))
        this.broken(
          `${view.key} tells call ${outcome.id} committed at ${outcome.index} in term ${outcome.term}; another entry stands there, of term ${entry.term}`,
        )
    }
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}
