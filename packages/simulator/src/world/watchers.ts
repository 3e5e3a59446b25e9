import type { Command, Effects, LogWrite, Outgoing, ProtocolEvent } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import type { NodeEvent } from 'raftkit'
import { type Ending, type Fault, type Operation, Violation, type Watcher } from '../watcher.ts'
import type { Packet } from './packet.ts'
import type { Server } from './server.ts'
import type { World } from './world.ts'

const hooks = [
  'starting',
  'booted',
  'stepping',
  'stepped',
  'took',
  'left',
  'issued',
  'durable',
  'sent',
  'arrived',
  'dropped',
  'applied',
  'restored',
  'told',
  'crashed',
  'fault',
  'operation',
  'ended',
] as const satisfies readonly (keyof Watcher)[]

type Hook = (typeof hooks)[number]
type Listeners = { [Name in Hook]: Pick<Watcher, Name>[] }

/** All watchers as one. What they throw ends the run, and never reaches the code that is watched. */
export class Watchers implements Required<Watcher> {
  /** The first that was thrown. */
  violation: Violation | undefined
  readonly #listeners: Listeners

  constructor(watchers: readonly Watcher[] = []) {
    this.#listeners = Object.fromEntries(hooks.map((name) => [name, []])) as unknown as Listeners
    for (const watcher of watchers) this.add(watcher)
  }

  add(watcher: Watcher): void {
    for (const name of hooks) if (watcher[name]) (this.#listeners[name] as Watcher[]).push(watcher)
  }

  starting(server: Server): void {
    try {
      for (const watcher of this.#listeners.starting) watcher.starting!(server)
    } catch (error) {
      this.fail(error)
    }
  }

  booted(server: Server): void {
    try {
      for (const watcher of this.#listeners.booted) watcher.booted!(server)
    } catch (error) {
      this.fail(error)
    }
  }

  stepping(server: Server, event: ProtocolEvent<Message>, now: number): void {
    try {
      for (const watcher of this.#listeners.stepping) watcher.stepping!(server, event, now)
    } catch (error) {
      this.fail(error)
    }
  }

  stepped(server: Server, event: ProtocolEvent<Message>, now: number): void {
    try {
      for (const watcher of this.#listeners.stepped) watcher.stepped!(server, event, now)
    } catch (error) {
      this.fail(error)
    }
  }

  took(server: Server, effects: Effects<Message>, now: number): void {
    try {
      for (const watcher of this.#listeners.took) watcher.took!(server, effects, now)
    } catch (error) {
      this.fail(error)
    }
  }

  left(server: Server, outgoing: Outgoing<Message>): void {
    try {
      for (const watcher of this.#listeners.left) watcher.left!(server, outgoing)
    } catch (error) {
      this.fail(error)
    }
  }

  issued(server: Server, write: { readonly id: number; readonly change: LogWrite }): void {
    try {
      for (const watcher of this.#listeners.issued) watcher.issued!(server, write)
    } catch (error) {
      this.fail(error)
    }
  }

  durable(server: Server): void {
    try {
      for (const watcher of this.#listeners.durable) watcher.durable!(server)
    } catch (error) {
      this.fail(error)
    }
  }

  sent(packet: Packet): void {
    try {
      for (const watcher of this.#listeners.sent) watcher.sent!(packet)
    } catch (error) {
      this.fail(error)
    }
  }

  arrived(packet: Packet): void {
    try {
      for (const watcher of this.#listeners.arrived) watcher.arrived!(packet)
    } catch (error) {
      this.fail(error)
    }
  }

  dropped(packet: Packet, reason: string): void {
    try {
      for (const watcher of this.#listeners.dropped) watcher.dropped!(packet, reason)
    } catch (error) {
      this.fail(error)
    }
  }

  applied(server: Server, commands: readonly Command[], results: readonly Uint8Array[]): void {
    try {
      for (const watcher of this.#listeners.applied) watcher.applied!(server, commands, results)
    } catch (error) {
      this.fail(error)
    }
  }

  restored(server: Server): void {
    try {
      for (const watcher of this.#listeners.restored) watcher.restored!(server)
    } catch (error) {
      this.fail(error)
    }
  }

  told(server: Server, event: NodeEvent): void {
    try {
      for (const watcher of this.#listeners.told) watcher.told!(server, event)
    } catch (error) {
      this.fail(error)
    }
  }

  crashed(server: Server, how: Ending): void {
    try {
      for (const watcher of this.#listeners.crashed) watcher.crashed!(server, how)
    } catch (error) {
      this.fail(error)
    }
  }

  fault(fault: Fault): void {
    try {
      for (const watcher of this.#listeners.fault) watcher.fault!(fault)
    } catch (error) {
      this.fail(error)
    }
  }

  operation(operation: Operation): void {
    try {
      for (const watcher of this.#listeners.operation) watcher.operation!(operation)
    } catch (error) {
      this.fail(error)
    }
  }

  ended(world: World): void {
    try {
      for (const watcher of this.#listeners.ended) watcher.ended!(world)
    } catch (error) {
      this.fail(error)
    }
  }

  /** Ends the run after this event. */
  fail(error: unknown): void {
    this.violation ??=
      error instanceof Violation
        ? error
        : Object.assign(new Violation('watcher', `a watcher failed: ${String(error)}`, error), { cause: error })
  }
}
