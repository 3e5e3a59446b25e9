import type { Command, Effects, Index, LogWrite, Outgoing, ProtocolEvent, Term } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import type { NodeEvent } from 'raftkit'
import { type Ending, type Operation, Violation } from '../watcher.ts'
import type { World } from '../world/world.ts'
import type { Cluster } from './cluster.ts'
import type { StateSeen } from './encoding.ts'
import type { Clash, Entry, Unreadable } from './log.ts'
import type { View } from './view.ts'

/** How a log, of a process or of a disk, changed in one step. */
export interface LogChange {
  /** The lowest index that changed; `last + 1` if none did. */
  readonly from: Index
  /** Cut or replaced, from `from` on; after a reset all there was. */
  readonly gone: readonly Entry[]
  readonly added: readonly Entry[]
  /** The log begins anew, behind a snapshot. */
  readonly reset: boolean
  /** The state before, if it changed. */
  readonly before: StateSeen | undefined
  readonly stateChanged: boolean
}

/** A process wrote: its view of its log is another. */
export interface Written extends LogChange {
  readonly id: number
  readonly change: LogWrite
}

/** What an invariant may be told; each is called only when something of the kind happened. */
export interface Hooks {
  booted?(view: View): void
  stepping?(view: View, event: ProtocolEvent<Message>, now: number): void
  stepped?(view: View, event: ProtocolEvent<Message>, now: number): void
  /** Term or vote of the live protocol changed, from these. */
  promised?(view: View, term: Term, vote: string): void
  /** The role changed. */
  turned?(view: View, from: View['role']): void
  /** The live commit index is another than before the event. */
  moved?(view: View, from: Index): void
  /** After each `take`, when `memory` says what the process wrote. */
  took?(view: View, effects: Effects<Message>, now: number): void
  wrote?(view: View, written: Written): void
  /** A leader raised the commit index, from `cluster.frontier` to `to`; told before the cluster believes it. */
  decides?(view: View, to: Index, term: Term): void
  /** Any server raised its commit index within the last batch, from `from` to `view.commit`. */
  committed?(view: View, from: Index): void
  /** A record that a process wrote, or that its disk holds, is not what belongs there. */
  unreadable?(view: View, where: 'memory' | 'disk', record: Unreadable): void
  clashed?(view: View, clash: Clash): void
  /** The disk holds another log or state than before. */
  stored?(view: View, change: LogChange): void
  left?(view: View, outgoing: Outgoing<Message>): void
  issued?(view: View, write: { readonly id: number; readonly change: LogWrite }): void
  ran?(view: View, commands: readonly Command[], results: readonly Uint8Array[]): void
  restored?(view: View): void
  told?(view: View, event: NodeEvent): void
  crashed?(view: View, how: Ending): void
  operation?(operation: Operation): void
  ended?(world: World): void
}

/** Something that must hold whatever happens. Has state of its own, so it serves one run. */
export abstract class Invariant {
  /** Stands in the violation. */
  abstract readonly name: string
  /** One sentence. */
  abstract readonly says: string
  /** Section of the Raft paper or the thesis, rule of the design, row of the hazards. */
  abstract readonly source: string
  /** What all invariants of a run share. Set before anything is told. */
  cluster!: Cluster

  protected broken(sentence: string, details?: unknown): never {
    throw new Violation(this.name, sentence, details)
  }
}

/** One that says by its methods what it wants to be told. */
export type Judge = Invariant & Hooks
