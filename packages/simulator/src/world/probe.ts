import type {
  Command,
  Effects,
  Index,
  NodeId,
  Opening,
  Outgoing,
  Protocol,
  ProtocolEvent,
  ProtocolInit,
  ProtocolKind,
  Run,
  StateMachine,
  Status,
} from '@raftkit/contract'
import type { Message, Raft } from '@raftkit/core'
import { never } from './disk/log.ts'
import type { Process } from './process.ts'

/**
 * The protocol as the runtime gets it: the real one, watched. What it calls a message on the way out is the whole `Outgoing`, which is
 * opaque to it; so `encode` tells which message leaves, and when.
 */
export function watchedProtocol(kind: ProtocolKind<Message, unknown>, process: Process): ProtocolKind {
  return {
    ...kind,
    open(init: ProtocolInit): Opening {
      const opening = kind.open(init)
      return {
        snapshot: opening.snapshot,
        load: (run: Run) => opening.load(run),
        start(now) {
          const protocol = opening.start(now)
          process.server.opened(process, protocol as Raft)
          return new Probe(protocol, process) as Protocol
        },
      }
    },
  }
}

const nothing: Effects<never> = { messages: [], asks: [], settled: [], happened: [] }

class Probe implements Protocol<Message | Outgoing<Message>, unknown> {
  readonly #protocol: Protocol<Message, unknown>
  readonly #process: Process

  constructor(protocol: Protocol<Message, unknown>, process: Process) {
    this.#protocol = protocol
    this.#process = process
  }

  step(event: ProtocolEvent<Message>, now: number): void {
    const process = this.#process
    if (!process.alive) return
    const { world, server } = process
    world.stepped()
    world.watchers.stepping(server, event, now)
    this.#protocol.step(event, now)
    world.watchers.stepped(server, event, now)
  }

  take(now: number): Effects<Outgoing<Message>> {
    const process = this.#process
    if (!process.alive) return nothing
    const effects = this.#protocol.take(now)
    if (effects.write) process.writeId = effects.write.id
    process.world.watchers.took(process.server, effects, now)
    if (effects.messages.length === 0) return effects as Effects<never>
    const messages: Outgoing<Outgoing<Message>>[] = []
    for (const outgoing of effects.messages) {
      const { to, incarnation, lane, after } = outgoing
      messages.push({ to, incarnation, lane, after, message: outgoing })
    }
    // Field by field: copying by spread costs more than all the rest of the probe.
    const { asks, settled, happened, write, apply, deadline } = effects
    const handed: { -readonly [K in keyof Effects]: Effects<Outgoing<Message>>[K] } = {
      messages,
      asks,
      settled,
      happened,
    }
    if (write) handed.write = write
    if (apply) handed.apply = apply
    if (deadline !== undefined) handed.deadline = deadline
    return handed
  }

  encode(outgoing: Message | Outgoing<Message>): readonly Uint8Array[] {
    const process = this.#process
    const sent = outgoing as Outgoing<Message>
    if (process.alive) {
      process.world.watchers.left(process.server, sent)
      process.leaves(sent)
    }
    return this.#protocol.encode(sent.message)
  }

  decode(bytes: Uint8Array): Message {
    return this.#protocol.decode(bytes)
  }

  status(): Status {
    return this.#protocol.status()
  }

  receipt(index: Index): Uint8Array | undefined {
    return (this.#protocol as Protocol<Message>).receipt?.(index)
  }

  fork(): this {
    throw new Error('a watched protocol is not forked: fork server.protocol')
  }

  digest(rename?: (id: NodeId) => NodeId): Uint8Array {
    return this.#protocol.digest(rename)
  }
}

/** The machine as the runtime gets it: what it takes over is told; of a dead process, it takes over nothing. */
export function watchedMachine(machine: StateMachine, process: Process): StateMachine {
  const { server, world } = process
  const applied = (batch: readonly Command[], results: readonly Uint8Array[]): readonly Uint8Array[] => {
    if (process.alive) {
      world.watchers.applied(server, batch, results)
      process.effect()
    }
    return results
  }
  return {
    version: machine.version,
    apply(batch) {
      if (!process.alive) return never()
      const results = machine.apply(batch)
      return 'then' in results ? results.then((given) => applied(batch, given)) : applied(batch, results)
    },
    query: (question) => machine.query(question),
    snapshot: () => machine.snapshot(),
    async restore(chunks) {
      await machine.restore(chunks)
      if (!process.alive) return never()
      world.watchers.restored(server)
      process.effect()
    },
  }
}
