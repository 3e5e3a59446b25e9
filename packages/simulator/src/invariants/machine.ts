import { crc32 } from '@raftkit/bytes'
import type { Command, Effects, Index } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import type { NodeEvent, ReplicatedMachine } from 'raftkit'
import type { World } from '../world/world.ts'
import { Invariant } from './invariant.ts'
import { sameBytes } from './reads.ts'
import { ticketOf } from './ticket.ts'
import type { View } from './view.ts'

export class AppliedInOrder extends Invariant {
  readonly name = 'applied in order'
  readonly says =
    'After each start a machine begins at the snapshot in force and is given every committed entry once, in order, none before it is committed.'
  readonly source = 'Raft paper §5.3, Figure 2 (lastApplied); hazards R17, S2, Q12'
  readonly #handed = new Map<View, Index>()
  readonly #applied = new Map<View, Index>()

  booted(view: View): void {
    const from = view.disk.state?.snapshot?.index ?? 0
    this.#handed.set(view, from)
    this.#applied.set(view, from)
  }

  took(view: View, { apply, asks }: Effects<Message>): void {
    if (apply !== undefined) {
      const before = this.#handed.get(view) ?? 0
      if (apply.from !== before + 1) this.broken(`${view.key} hands out entries from ${apply.from} on, after ${before}`)
      if (apply.to > view.commit)
        this.broken(`${view.key} hands out entries up to ${apply.to}; its commit is ${view.commit}`)
      this.#handed.set(view, apply.to)
    }
    for (const ask of asks) {
      if (ask.type !== 'restore') continue
      const before = this.#handed.get(view) ?? 0
      if (ask.snapshot.index <= before)
        this.broken(
          `${view.key} restores its machine from ${ask.snapshot.index}, after it was handed entries up to ${before}`,
        )
      this.#handed.set(view, ask.snapshot.index)
    }
  }

  told(view: View, event: NodeEvent): void {
    if (event.type === 'snapshot' && event.step === 'installed') this.#applied.set(view, event.snapshot.index)
    if (event.type !== 'applied') return
    const before = this.#applied.get(view) ?? 0
    if (event.from !== before + 1 && event.from - 1 !== this.#restoredTo(view))
      this.broken(`${view.key} applies entries ${event.from} … ${event.to}, after ${before}`)
    if (event.to > (this.#handed.get(view) ?? 0))
      this.broken(`${view.key} applies entries up to ${event.to}, and was handed them up to ${this.#handed.get(view)}`)
    this.#applied.set(view, event.to)
  }

  /** Restored, and entries behind it applied, before the protocol has heard of it. */
  #restoredTo(view: View): Index {
    return view.memory.state?.snapshot?.index ?? 0
  }
}

export class AppliesTheLog extends Invariant {
  readonly name = 'the machine is given the log'
  readonly says =
    'What a machine applies at an index is the committed entry of that index: its bytes, its time, its randomness.'
  readonly source = 'Raft paper §5.4.3 (State Machine Safety); design rule 5; hazard D10'
  readonly #last = new Map<View, Index>()

  booted(view: View): void {
    this.#last.set(view, 0)
  }

  ran(view: View, commands: readonly Command[]): void {
    const { committed } = this.cluster
    for (const { index, data, time, seed } of commands) {
      const entry = committed[index]
      if (entry === undefined) this.broken(`${view.key} applies entry ${index}, which no leader has committed`)
      if (entry.time !== time || entry.seed !== seed || !sameBytes(entry.payload, data))
        this.broken(`${view.key} applies at ${index} something else than the entry committed there`)
      const before = this.#last.get(view) ?? 0
      if (index <= before) this.broken(`${view.key} applies entry ${index} after ${before}`)
      this.#last.set(view, index)
    }
  }
}

export class ResultsAgree extends Invariant {
  readonly name = 'machines agree'
  readonly says =
    'An entry gives the same result on every replica, and replicas that applied equally much hold equal states.'
  readonly source = 'Raft paper §2 (replicated state machines); hazards R19, S3'
  readonly #results: (number | undefined)[] = []

  ran(view: View, commands: readonly Command[], results: readonly Uint8Array[]): void {
    for (let at = 0; at < commands.length; at++) {
      const { index } = commands[at]!
      const result = crc32(results[at]!)
      const known = this.#results[index]
      if (known === undefined) this.#results[index] = result
      else if (known !== result) this.broken(`${view.key} answers entry ${index} otherwise than the replica before it`)
    }
  }

  ended(world: World): void {
    const states = new Map<Index, { readonly who: string; readonly state: Uint8Array }>()
    for (const server of world.servers.values()) {
      const machine = server.machine as Partial<ReplicatedMachine> | undefined
      if (!server.alive || typeof machine?.encode !== 'function' || machine.applied === undefined) continue
      const state = machine.encode()
      const known = states.get(machine.applied)
      if (known === undefined) states.set(machine.applied, { who: server.id, state })
      else if (!sameBytes(known.state, state))
        this.broken(`${server.id} and ${known.who} both applied ${machine.applied} entries, and hold different states`)
    }
  }
}

/** Sessions are read from the entries themselves: what the replicated table makes of them is what is judged. */
export class ExactlyOnce extends Invariant {
  readonly name = 'a command of a session runs once'
  readonly says =
    'However often a command of a session stands in the log, later ones are answered as the first was, or as expired; what was answered as expired never runs.'
  readonly source = 'Raft paper §8; thesis §6.3; hazards Q8, Q9'
  readonly #first = new Map<string, { readonly index: Index; readonly result: Uint8Array }>()

  ran(view: View, commands: readonly Command[], results: readonly Uint8Array[]): void {
    for (let at = 0; at < commands.length; at++) {
      const { index, data } = commands[at]!
      const ticket = ticketOf(data)
      if (ticket === undefined) continue
      const result = results[at]!
      const first = this.#first.get(ticket)
      if (first === undefined || first.index > index) this.#first.set(ticket, { index, result: result.slice() })
      else if (first.index < index && result[0] !== expired && !sameBytes(first.result, result))
        this.broken(
          `${view.key} runs command ${ticket} again at ${index}: it was answered at ${first.index}${first.result[0] === expired ? ' as expired' : ''}, and otherwise now`,
        )
    }
  }
}

/** Tag of an answer that says: not executed. */
const expired = 4
