import type { Config, Effects, ProtocolEvent, Term } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { keyOf } from './encoding.ts'
import { Invariant } from './invariant.ts'
import { isQuorum } from './quorum.ts'
import type { View } from './view.ts'

/** A round as it left the protocol: its place in the order of everything, and the leader's own clock. */
interface Emitted {
  readonly round: number
  readonly order: number
  readonly at: number
}

/** What one leader sent in its term, and which of it each peer has echoed. */
class Reign {
  readonly term: Term
  readonly emitted: Emitted[] = []
  readonly echoes: Map<string, number> = new Map()
  /** A voter was told to stand at once. */
  handedOver = false

  constructor(term: Term) {
    this.term = term
  }

  /** Whether a quorum echoed a round that was emitted after `order`. The leader itself needs no message. */
  isConfirmedSince(order: number, config: Config, self: string): boolean {
    let first: Emitted | undefined
    for (let at = this.emitted.length - 1; at >= 0 && this.emitted[at]!.order > order; at--) first = this.emitted[at]
    return isQuorum(
      config,
      (key) => key === self || (first !== undefined && (this.echoes.get(key) ?? 0) >= first.round),
    )
  }

  /** When the newest round was emitted that a quorum has echoed; undefined: none, or nobody else is needed. */
  confirmedAt(config: Config, self: string): number | undefined {
    for (let at = this.emitted.length - 1; at >= 0; at--) {
      const { round, at: time } = this.emitted[at]!
      if (isQuorum(config, (key) => key === self || (this.echoes.get(key) ?? 0) >= round)) return time
    }
    return undefined
  }
}

/** What the batch may have counted by: what was in force before it, and what it appended. */
const inForce = ({ configBefore, memory }: View): readonly Config[] =>
  memory.config.config === configBefore ? [configBefore] : [configBefore, memory.config.config]

/** Follows the rounds of every leader, by its messages alone. */
abstract class OfReigns extends Invariant {
  protected order = 0
  readonly #reigns = new Map<View, Reign>()

  protected reignOf(view: View): Reign | undefined {
    const reign = this.#reigns.get(view)
    return view.role === 'leader' && reign?.term === view.term ? reign : undefined
  }

  /** By the leader alone, without asking anybody. */
  protected decidesAlone(view: View): boolean {
    return inForce(view).some((config) => isQuorum(config, (key) => key === view.key))
  }

  booted(view: View): void {
    this.#reigns.delete(view)
  }

  turned(view: View): void {
    if (view.role === 'leader') this.#reigns.set(view, new Reign(view.term))
    else this.#reigns.delete(view)
  }

  stepping(view: View, event: ProtocolEvent<Message>): void {
    this.order++
    if (event.type !== 'message') return
    const { message, from } = event
    if (message.type !== 'appended' && message.type !== 'rejected') return
    const reign = this.reignOf(view)
    if (reign === undefined || message.term !== reign.term) return
    const key = keyOf(from)
    if (message.round > (reign.echoes.get(key) ?? 0)) reign.echoes.set(key, message.round)
  }

  took(view: View, { messages }: Effects<Message>, now: number): void {
    this.order++
    const reign = this.reignOf(view)
    if (reign === undefined) return
    for (const { message } of messages) {
      if (message.type === 'timeoutNow') reign.handedOver = true
      if (message.type !== 'appendEntries' && message.type !== 'offerSnapshot') continue
      const { emitted } = reign
      if (message.round > (emitted[emitted.length - 1]?.round ?? 0)) {
        emitted.push({ round: message.round, order: this.order, at: now })
        if (emitted.length > 4096) emitted.splice(0, 2048)
      }
    }
  }
}

export class ReadIsConfirmed extends OfReigns {
  readonly name = 'reads are confirmed'
  readonly says =
    'A leader answers a read without a lease only when it has committed in its term and a quorum has echoed a round that began after the read.'
  readonly source = 'thesis §6.4; hazards Q1, Q2, Q3'
  readonly #own = new Map<View, Map<number, number>>()
  readonly #asked = new Map<View, Map<string, number[]>>()
  #relayed = new Set<View>()

  override booted(view: View): void {
    super.booted(view)
    this.#own.set(view, new Map())
    this.#asked.set(view, new Map())
  }

  override stepping(view: View, event: ProtocolEvent<Message>): void {
    super.stepping(view, event)
    if (event.type === 'read') this.#own.get(view)?.set(event.id, this.order)
    if (event.type !== 'message') return
    const { message, from } = event
    if (message.type === 'readIndex') {
      // A message that comes again asks again; answers come in the order of the questions.
      const asked = this.#asked.get(view)
      const name = `${keyOf(from)} ${message.id}`
      const times = asked?.get(name)
      if (times === undefined) asked?.set(name, [this.order])
      else times.push(this.order)
    } else if (message.type === 'readIndexResult') this.#relayed.add(view)
  }

  override took(view: View, effects: Effects<Message>, now: number): void {
    const own = this.#own.get(view)
    const asked = this.#asked.get(view)
    for (const outcome of effects.settled) {
      const began = own?.get(outcome.id)
      if (began === undefined) continue
      own!.delete(outcome.id)
      // What another leader said counts as that one's answer.
      if (outcome.type === 'read' && outcome.until === undefined && !this.#relayed.has(view))
        this.#check(view, began, `its read ${outcome.id}`)
    }
    for (const { message, to, incarnation } of effects.messages) {
      if (message.type !== 'readIndexResult') continue
      const name = `${keyOf({ id: to, incarnation })} ${message.id}`
      const times = asked?.get(name)
      const began = times?.shift()
      if (times?.length === 0) asked?.delete(name)
      if (began !== undefined && message.index !== undefined) this.#check(view, began, `a read of ${to}`)
    }
    this.#relayed.delete(view)
    super.took(view, effects, now)
  }

  #check(view: View, began: number, what: string): void {
    const reign = this.reignOf(view)
    if (reign === undefined) return // deposed in the same batch, after it had answered
    const committed = view.memory.log.termAt(view.commit)
    if (committed !== undefined && committed >= 0 && committed !== view.term)
      this.broken(`${view.key} answers ${what} in term ${view.term}, in which it has committed nothing`)
    if (this.decidesAlone(view)) return
    if (!inForce(view).some((config) => reign.isConfirmedSince(began, config, view.key)))
      this.broken(`${view.key} answers ${what}, though no quorum has heard of it since the read began`)
  }
}

export class LeaseIsEarned extends OfReigns {
  readonly name = 'leases are earned'
  readonly says =
    'A lease ends less than an election timeout after the newest round was emitted that a quorum has echoed; once a voter was told to stand at once there is none.'
  readonly source = 'thesis §6.4.1; hazards Q2, Q5, Q7'

  override took(view: View, effects: Effects<Message>, now: number): void {
    const reign = this.reignOf(view)
    for (const outcome of effects.settled) {
      if (outcome.type !== 'read' || outcome.until === undefined || reign === undefined) continue
      if (reign.handedOver) this.broken(`${view.key} answers by a lease in term ${view.term}, which it is handing over`)
      const committed = view.memory.log.termAt(view.commit)
      if (committed !== undefined && committed >= 0 && committed !== view.term)
        this.broken(`${view.key} answers by a lease in term ${view.term}, in which it has committed nothing`)
      if (this.decidesAlone(view)) continue
      const since = inForce(view)
        .map((config) => reign.confirmedAt(config, view.key))
        .find((at) => at !== undefined && outcome.until! <= at + view.raft.settings.electionTimeout)
      const { electionTimeout } = view.raft.settings
      if (since === undefined)
        this.broken(
          `${view.key} answers by a lease until ${outcome.until}, more than an election timeout (${electionTimeout} ms) after what a quorum has echoed`,
        )
    }
    super.took(view, effects, now)
  }
}
