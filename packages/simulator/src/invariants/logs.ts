import type { Effects, LogWrite } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { keyOf } from './encoding.ts'
import { Invariant, type LogChange, type Written } from './invariant.ts'
import type { Clash, Unreadable } from './log.ts'
import type { View } from './view.ts'

export class LogMatching extends Invariant {
  readonly name = 'log matching'
  readonly says = 'An index and a term name one entry, behind one and the same entry, in every log that ever held it.'
  readonly source = 'Raft paper §5.3, Figure 3'

  clashed(view: View, { entry, other }: Clash): void {
    const what =
      entry.checksum === other.checksum
        ? `behind an entry of term ${entry.previous}, elsewhere behind one of term ${other.previous}`
        : 'which elsewhere is another entry'
    this.broken(`${view.key} holds entry ${entry.index} of term ${entry.term} ${what}`)
  }
}

export class NoHole extends Invariant {
  readonly name = 'no hole in a log'
  readonly says =
    'Every log, in memory and on disk, is records one behind the other, each sound and at its own index; what is missing before the first, the snapshot in force holds.'
  readonly source = 'Raft paper §7; hazards D2, D10, S4, R10'

  unreadable(view: View, where: 'memory' | 'disk', { index, reason }: Unreadable): void {
    this.broken(
      `${view.key || view.id}, ${where === 'disk' ? 'on its disk' : 'in what it writes'}, entry ${index}: ${reason}`,
    )
  }

  wrote(view: View): void {
    const { state, log } = view.memory
    const covered = state?.snapshot?.index ?? 0
    if (log.first - 1 > covered)
      this.broken(`${view.key} drops its log up to ${log.first - 1}; its snapshot ends at ${covered}`)
    if (log.last < covered) this.broken(`${view.key} has a log up to ${log.last}, before its snapshot at ${covered}`)
  }

  stored(view: View): void {
    const { state, log } = view.disk
    if (log.entries.length > 0 && state === undefined) this.broken(`the disk of ${view.id} holds a log, and no state`)
    const covered = state?.snapshot?.index ?? 0
    if (log.first - 1 > covered)
      this.broken(
        `the disk of ${view.key || view.id} lacks entries up to ${log.first - 1}; its snapshot ends at ${covered}`,
      )
    if (log.last < covered)
      this.broken(`the disk of ${view.key || view.id} ends at ${log.last}, before its snapshot at ${covered}`)
  }
}

export class LeaderAppendOnly extends Invariant {
  readonly name = 'leader append-only'
  readonly says = 'A leader never overwrites or deletes entries of its log; it only appends new ones, of its own term.'
  readonly source = 'Raft paper §5.3, Figure 3'
  /** Where the log ended when it was last seen leading, and in which term. */
  readonly #led = new Map<View, { readonly term: number; readonly last: number }>()

  wrote(view: View, { from, gone, added, reset }: Written): void {
    const led = this.#led.get(view)
    if (led === undefined || view.role !== 'leader' || led.term !== view.term) return
    if (reset || from <= led.last) {
      if (gone.length > 0 || reset)
        this.broken(
          `${view.key}, which leads term ${view.term}, writes from ${from} on though its log reaches ${led.last}`,
        )
    }
    for (const entry of added) {
      if (entry.term !== view.term)
        this.broken(`${view.key}, which leads term ${view.term}, appends entry ${entry.index} of term ${entry.term}`)
    }
  }

  took(view: View): void {
    if (view.role === 'leader') this.#led.set(view, { term: view.term, last: view.memory.log.last })
    else this.#led.delete(view)
  }

  booted(view: View): void {
    this.#led.delete(view)
  }
}

export class TermsAlongTheLog extends Invariant {
  readonly name = 'terms and times rise along a log'
  readonly says = "Along a log neither terms nor time stamps go back, and no entry's term is above its server's."
  readonly source = 'Raft paper §5.3; contract, Command.time; hazard T3'

  wrote(view: View, { added }: Written): void {
    for (const entry of added) {
      const before = view.memory.log.at(entry.index - 1)
      if (before !== undefined && (entry.term < before.term || entry.time < before.time))
        this.broken(
          `${view.key} has entry ${entry.index} (term ${entry.term}, time ${entry.time}) behind one of term ${before.term}, time ${before.time}`,
        )
      if (entry.term > view.term)
        this.broken(`${view.key} is in term ${view.term} and writes entry ${entry.index} of term ${entry.term}`)
    }
  }
}

/** What the process wrote is all that it would need again. */
export class NothingUnwritten extends Invariant {
  readonly name = 'nothing in memory alone'
  readonly says =
    'After every take, all of state and log is in the writes handed out: term, vote, founding and snapshot, and the log from the first to the last term.'
  readonly source = 'Raft paper Figure 2 (updated on stable storage before responding); hazards E3, E4, M3'

  took(view: View): void {
    const { raft, memory } = view
    const { state, log } = memory
    if (state === undefined) this.broken(`${view.id} took a turn and has written no state`)
    if (state.term !== view.term || state.vote !== view.vote || state.genesis !== view.genesis)
      this.broken(
        `${view.key} is in term ${view.term} with vote ${view.vote || 'none'}; it wrote ${state.term} and ${state.vote || 'none'}`,
      )
    const named = raft.state.snapshot?.name
    if (state.snapshot?.name !== named)
      this.broken(`${view.key} holds the snapshot ${named ?? 'none'}; it wrote ${state.snapshot?.name ?? 'none'}`)
    const { first, last } = raft.log
    if (last !== log.last || first !== log.first)
      this.broken(`${view.key} has a log of ${first} … ${last}; it wrote ${log.first} … ${log.last}`)
    if (last >= first && raft.log.termAt(last) !== log.termAt(last))
      this.broken(`${view.key} has term ${raft.log.termAt(last)} at ${last}; it wrote ${log.termAt(last)}`)
  }
}

/** The runtime hands the storage what the protocol wrote, once, in order. */
export class WritesInOrder extends Invariant {
  readonly name = 'writes in order'
  readonly says = 'The storage is given exactly the writes that the protocol handed out, each once, in order.'
  readonly source = 'contract, LogStore.write and Effects.write; hazard R10'
  readonly #expected = new Map<View, { readonly id: number; readonly change: LogWrite }[]>()

  booted(view: View): void {
    this.#expected.set(view, [])
  }

  took(view: View, { write }: Effects<Message>): void {
    if (write !== undefined) this.#expected.get(view)?.push(write)
  }

  issued(view: View, { change }: { readonly id: number; readonly change: LogWrite }): void {
    const next = this.#expected.get(view)?.shift()
    if (next === undefined) this.broken(`${view.key} issues a write that its protocol did not hand out`)
    if (next.change !== change) this.broken(`${view.key} issues another write than write ${next.id}, which is next`)
  }
}

export class CommittedStays extends Invariant {
  readonly name = 'what is committed stays'
  readonly says =
    'No process and no disk that holds a committed entry cuts or replaces it, but under a snapshot that covers it.'
  readonly source = 'Raft paper §5.4, Figure 3 (State Machine Safety); hazards R4, D2, D3'

  wrote(view: View, { gone }: Written): void {
    this.#check(view.key, gone, view.memory.log.at.bind(view.memory.log), view.memory.state?.snapshot?.index ?? 0)
  }

  stored(view: View, { gone }: LogChange): void {
    const { state, log } = view.disk
    this.#check(
      `the disk of ${state === undefined ? view.id : keyOf(state)}`,
      gone,
      log.at.bind(log),
      state?.snapshot?.index ?? 0,
    )
  }

  #check(who: string, gone: LogChange['gone'], at: (index: number) => unknown, covered: number): void {
    for (const entry of gone) {
      if (entry.index > this.cluster.frontier) return
      if (this.cluster.committed[entry.index] !== entry || at(entry.index) === entry || entry.index <= covered) continue
      this.broken(`${who} loses the committed entry ${entry.index} of term ${entry.term}`)
    }
  }
}
