import type { Command, Effects, LogWrite, NodeId, Outgoing, ProtocolEvent } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import type { NodeEvent } from 'raftkit'
import type { Packet } from './world/packet.ts'
import type { Server } from './world/server.ts'
import type { World } from './world/world.ts'

/**
 * Sees everything, synchronously, in the order in which it happens. Throws a `Violation` if something may not be: the runtime under test
 * never feels it; the run ends after the event. Nothing is told of a process after its `crashed`.
 */
export interface Watcher {
  /** The process begins to open its disk: `server.disk.durable` is what it finds. */
  starting?(server: Server): void
  /** Protocol open and started: `server.protocol` is set, nothing was stepped yet. */
  booted?(server: Server): void
  stepping?(server: Server, event: ProtocolEvent<Message>, now: number): void
  stepped?(server: Server, event: ProtocolEvent<Message>, now: number): void
  took?(server: Server, effects: Effects<Message>, now: number): void
  /** A message leaves the runtime's outbox: the writes it waited for must be durable by now. */
  left?(server: Server, outgoing: Outgoing<Message>): void
  /** The log's `write` is called; `id` as in the effects. */
  issued?(server: Server, write: { readonly id: number; readonly change: LogWrite }): void
  /** The durable content of this server changed: a flush ended, or a crash decided what is left. */
  durable?(server: Server): void
  /** A frame was handed to the network. */
  sent?(packet: Packet): void
  /** Delivered to the process: also duplicates and replays, as packets of their own (`packet.copyOf`). */
  arrived?(packet: Packet): void
  dropped?(packet: Packet, reason: string): void
  /** The machine took these over, and gave these. Only for machines of the raw port (`StateMachine`). */
  applied?(server: Server, commands: readonly Command[], results: readonly Uint8Array[]): void
  /** The machine was replaced by a snapshot. */
  restored?(server: Server): void
  /** What the node's observer was told. */
  told?(server: Server, event: NodeEvent): void
  /** The process is gone. `wipe`: its disk, too. `exit`: it stopped by itself (`server.failure`) or was closed. `power`: with the whole machine. */
  crashed?(server: Server, how: Ending): void
  /** A schedule of faults acts, or network, disk and process injected one by themselves. */
  fault?(fault: Fault): void
  /** A client's operation has begun, or has ended (`outcome` set). */
  operation?(operation: Operation): void
  /** After heal and convergence. */
  ended?(world: World): void
}

export type Ending = 'kill' | 'wipe' | 'exit' | 'power'

export interface Fault {
  readonly kind: string
  readonly [detail: string]: unknown
}

/** One operation of a client, as histories hold it. Times are the world's, in milliseconds. */
export interface Operation {
  readonly id: number
  readonly client: string
  /** Where it was asked. */
  readonly node: NodeId
  readonly kind: string
  readonly input: unknown
  readonly begun: number
  ended?: number
  outcome?: 'done' | 'refused' | 'unknown'
  output?: unknown
}

/** Something that must never be was seen. */
export class Violation extends Error {
  readonly invariant: string
  readonly details: unknown

  constructor(invariant: string, sentence: string, details?: unknown) {
    super(`${invariant}: ${sentence}`)
    this.name = 'Violation'
    this.invariant = invariant
    this.details = details
  }
}
