import type { Command, Effects, LogWrite, Outgoing, ProtocolEvent } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import type { NodeEvent } from 'raftkit'
import { type Fault, type Operation, Violation, type Watcher } from '../watcher.ts'
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
    for (const watcher of this.#listeners.starting) this.#guard(() => watcher.starting!(server))
  }

  booted(server: Server): void {
    for (const watcher of this.#listeners.booted) this.#guard(() => watcher.booted!(server))
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
    for (const watcher of this.#listeners.issued) this.#guard(() => watcher.issued!(server, write))
  }

  durable(server: Server): void {
    for (const watcher of this.#listeners.durable) this.#guard(() => watcher.durable!(server))
  }

  sent(packet: Packet): void {
    for (const watcher of this.#listeners.sent) this.#guard(() => watcher.sent!(packet))
  }

  arrived(packet: Packet): void {
    for (const watcher of this.#listeners.arrived) this.#guard(() => watcher.arrived!(packet))
  }

  dropped(packet: Packet, reason: string): void {
    for (const watcher of this.#listeners.dropped) this.#guard(() => watcher.dropped!(packet, reason))
  }

  applied(server: Server, commands: readonly Command[], results: readonly Uint8Array[]): void {
    for (const watcher of this.#listeners.applied) this.#guard(() => watcher.applied!(server, commands, results))
  }

  restored(server: Server): void {
    for (const watcher of this.#listeners.restored) this.#guard(() => watcher.restored!(server))
  }

  told(server: Server, event: NodeEvent): void {
    for (const watcher of this.#listeners.told) this.#guard(() => watcher.told!(server, event))
  }

  crashed(server: Server, how: 'kill' | 'wipe' | 'exit'): void {
    for (const watcher of this.#listeners.crashed) this.#guard(() => watcher.crashed!(server, how))
  }

  fault(fault: Fault): void {
    for (const watcher of this.#listeners.fault) this.#guard(() => watcher.fault!(fault))
  }

  operation(operation: Operation): void {
    for (const watcher of this.#listeners.operation) this.#guard(() => watcher.operation!(operation))
  }

  ended(world: World): void {
    for (const watcher of this.#listeners.ended) this.#guard(() => watcher.ended!(world))
  }

  #guard(run: () => void): void {
    try {
      run()
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
