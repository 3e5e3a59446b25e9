import type { LinkState, NodeId, Receiver } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import {
  type Attempt,
  type Batch,
  type Carrier,
  Connection,
  formatAddress,
  type Hello,
  type LinkOptions,
  type LinkTransport,
  linkTransport,
  type Meeting,
  type Pipe,
  type Reception,
  Refusal,
  reasonOf,
} from '@raftkit/links'

/** A carrier within one process: what is written arrives in a later turn, unless the test holds it. */
export class Pipes {
  /** By address. */
  readonly receptions = new Map<string, Reception>()
  readonly attempts: Attempt[] = []
  /** Attempts that were given up. */
  givenUp = 0
  /** Stands in for what an attempt does, before anything else. True: that is all. */
  meddle: (attempt: Attempt) => boolean = () => false
  readonly ends: PipeEnd[] = []
  #port = 1000

  transport(options: LinkOptions = {}): LinkTransport {
    return linkTransport(options, () => this.#carrier())
  }

  #carrier(): Carrier {
    return {
      dial: (attempt) => {
        this.attempts.push(attempt)
        if (!this.meddle(attempt)) setTimeout(() => this.#connect(attempt), 0)
        return () => {
          this.givenUp++
        }
      },
      listener: (reception) => {
        let at = ''
        return {
          listen: async (address) => {
            const bound = { host: address!.host, port: address!.port || this.#port++ }
            at = formatAddress(bound)
            this.receptions.set(at, reception)
            return bound
          },
          stop: async () => void this.receptions.delete(at),
          destroy: () => {},
        }
      },
    }
  }

  #connect(attempt: Attempt): void {
    const address = formatAddress(attempt.address)
    const reception = this.receptions.get(address)
    if (attempt.over) return
    if (!reception) {
      attempt.failed('unreachable', 'nobody there')
      return
    }
    const [near, far] = [new PipeEnd(), new PipeEnd()]
    near.other = far
    far.other = near
    const { lane } = attempt
    const of = { lane, dialled: true, remote: address }
    let meeting: Meeting | undefined
    let said: Hello | undefined
    // A turn between all that is said: two dials can cross.
    const steps = [
      () => {
        meeting = reception.meet(attempt.hello(), lane)
      },
      () => {
        if (attempt.over) return
        const { challenge } = meeting!
        const { caller, hello } = meeting!.admit(challenge && attempt.answer(challenge))
        said = hello
        far.connection = new Connection({ caller, lane, dialled: false, remote: 'a pipe' }, far)
      },
      () => {
        if (attempt.over) return
        near.connection = new Connection({ ...of, caller: attempt.check(said) }, near)
        this.ends.push(near, far)
        attempt.opened(near.connection)
      },
      () => {
        if (near.connection) reception.opened(far.connection!)
      },
    ]
    const next = () => {
      try {
        steps.shift()?.()
        if (steps.length > 0) setImmediate(next)
      } catch (error) {
        reception.refused('a pipe', error)
        attempt.failed(
          error instanceof Refusal && error.kind === 'connected' ? 'connected' : 'refused',
          reasonOf(error),
        )
      }
    }
    next()
  }

  /** Those of one lane that are not over, seen from whoever dialled. */
  standing(lane: 'control' | 'bulk'): PipeEnd[] {
    return this.ends.filter(({ over, connection }) => !over && connection!.lane === lane && connection!.dialled)
  }
}

export class PipeEnd implements Pipe {
  connection: Connection | undefined
  other: PipeEnd | undefined
  over = false
  /** Nothing that is written is taken from now on. */
  blocked = false
  readonly batches: Batch[] = []
  readonly #held: (() => void)[] = []

  write(batch: Batch, sent: () => void): void {
    this.batches.push(batch)
    this.#held.push(() => {
      for (const parts of batch.frames) this.other!.connection!.frame(new Uint8Array(Buffer.concat(parts)))
      if (!this.over) sent()
    })
    this.#next()
  }

  unblock(): void {
    this.blocked = false
    for (const _ of this.#held) this.#next()
  }

  #next(): void {
    if (!this.blocked) setImmediate(() => (this.blocked ? undefined : this.#held.shift()?.()))
  }

  end(): void {
    setImmediate(() => setImmediate(() => this.#finish()))
  }

  #finish(): void {
    if (this.over) return
    this.destroy()
    this.connection!.ended()
  }

  destroy(): void {
    if (this.over) return
    this.over = true
    setImmediate(() => {
      if (!this.other!.over) {
        this.other!.over = true
        this.other!.connection!.ended()
      }
    })
  }
}

/** What a host would be. Its name is its hello. */
export class Host implements Receiver {
  readonly id: NodeId
  readonly transport: LinkTransport
  readonly heard: string[] = []
  readonly links: `${NodeId} ${LinkState}`[] = []
  admitting = true

  constructor(id: NodeId, transport: LinkTransport) {
    this.id = id
    this.transport = transport
  }

  static async start(id: NodeId, transport: LinkTransport, address = '127.0.0.1:0'): Promise<Host> {
    const host = new Host(id, transport)
    await transport.start({ id, address }, host)
    return host
  }

  get peer(): { id: NodeId; address: string } {
    return { id: this.id, address: this.transport.address! }
  }

  hello(): Uint8Array {
    return new TextEncoder().encode(this.id)
  }

  /** Whether it can read what comes. */
  reading = true

  admit(hello: Uint8Array): NodeId {
    if (!this.admitting) throw new RaftkitError('REFUSED', 'nobody')
    return new TextDecoder().decode(hello)
  }

  frame(from: NodeId, frame: Uint8Array): boolean {
    this.heard.push(frame.length < 100 ? `${from}: ${new TextDecoder().decode(frame)}` : `${from}: ${frame.length} B`)
    return this.reading
  }

  link(peer: NodeId, state: LinkState): void {
    this.links.push(`${peer} ${state}`)
  }

  say(to: Host, text: string, lane: 'control' | 'bulk' = 'control'): void {
    this.transport.send(to.id, [new TextEncoder().encode(text)], lane)
  }
}

/** Every turn that anybody waits for. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
}
